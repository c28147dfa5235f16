"""The stand-in over HTTP: route, signature, schema, handler, answer; all from the contract."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from contract.spec import Operation, Spec
from contract.target import EMULATOR
from tests.contract.standin import images, lives, logs, sessions, shell
from tests.contract.standin.access import ROLES, verified
from tests.contract.standin.world import Call, Refused, Thing, World, moment

Document = dict[str, Any]
Handler = Callable[[World, Call], Document]
READY_SECONDS = 30
JSON = "application/json"

HANDLERS: dict[str, Handler] = {
    f"{verb}{kind.capitalize()}{'s' if verb == 'list' else ''}": partial(act, kind=kind)
    for kinds, acts in (
        (("session", "service", "snapshot", "image"), lives.ALL),
        (("session", "service"), lives.LIVE),
    )
    for kind in kinds
    for verb, act in acts.items()
} | {
    "createSession": sessions.create_session,
    "executeSession": sessions.execute_session,
    "snapshotSession": images.snapshot_session,
    "restoreSession": images.restore_session,
    "createService": sessions.create_service,
    "updateService": sessions.update,
    "setServiceDomains": sessions.set_domains,
    "redeployService": sessions.redeploy,
    "executeService": sessions.execute_service,
    "getServiceLogs": sessions.service_logs,
    "getServiceEnv": sessions.vault_status,
    "setServiceEnv": sessions.fill_vault,
    "deleteServiceEnv": sessions.empty_vault,
    "exportServiceEnv": sessions.vault,
    "snapshotService": images.snapshot_service,
    "createSnapshot": images.create_snapshot,
    "restoreSnapshot": images.restore_snapshot,
    "cloneSnapshot": images.clone_snapshot,
    "publishImage": images.publish,
    "listImages": images.images,
    "listPublicImages": images.images,
    "listOwnedImages": images.images,
    "listSharedImages": images.images,
    "setImageVisibility": images.set_visibility,
    "grantImage": images.grant,
    "revokeImage": images.revoke,
    "listTrustedKeys": images.trusted,
    "transferImage": images.transfer,
    "spawnImage": images.spawn,
    "cloneImage": images.clone_image,
    "getPaasLogs": logs.read_logs,
    "getJob": partial(lives.read, kind="job"),
}
"""What answers an operation, by its id; an operation that is not here answers its example, on
sessions that are there: what is done to these is for the emulator to show."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Where one listens, and its state."""

    url: str
    world: World


class Application:
    """One contract, one world."""

    def __init__(self, spec: Spec, world: World) -> None:
        self._spec = spec
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.shell(WebSocket(scope, receive, send))
        else:
            answer = await self.http(Request(scope, receive))
            await answer(scope, receive, send)

    async def http(self, request: Request) -> Response:
        started = time.time()
        body = await request.body()
        try:
            response = self._answer(request, body)
        except Refused as refused:
            response = _json(refused.status, refused.body)
        self._world.lines.append(
            f"{moment()} {request.method} {request.url.path} {response.status_code} "
            f"{secrets.token_hex(4)}"
        )
        response.headers["X-Request-Id"] = secrets.token_hex(8)
        if "authorization" in request.headers:
            response.headers["X-RateLimit-Limit"] = "600000"
            response.headers["X-RateLimit-Remaining"] = "599999"
            response.headers["X-RateLimit-Reset"] = str(int(started) + 60)
        return response

    def _answer(self, request: Request, body: bytes) -> Response:
        path = request.scope["raw_path"].decode("ascii")
        operation = self._spec.match(request.method, path)
        if operation is None:
            raise Refused(404, "NOT_FOUND", "No such path")
        account = self._account(request, body, operation)
        call = self._call(request, body, operation, account)
        canonical = self._spec.operations[operation.alias_of or operation.id]
        if canonical.id == "streamPaasLogs":
            return StreamingResponse(logs.stream(self._world, call), media_type="text/event-stream")
        if canonical.id == "openSessionShell":
            self._world.find("session", call.id, account)
            raise Refused(426, "UPGRADE_REQUIRED", "Open a WebSocket on this path")
        handler = HANDLERS.get(canonical.id)
        if handler is None and canonical.tag == "Sessions":
            self._world.find("session", call.id, account)
        if handler is None:
            return _example(canonical)
        if operation.traits.sudo and ROLES[account] == "sudo":
            self._confirm(call)
        status = 202 if canonical.id == "executeService" and "timeout" in call.given else 200
        return _json(status, handler(self._world, call))

    def _account(self, request: Request, body: bytes, operation: Operation) -> str:
        if not operation.signed:
            return ""
        target = request.scope["raw_path"].decode("ascii")
        query = request.scope["query_string"].decode("ascii")
        account = verified(request.headers, request.method, (target, query), body)
        if ROLES[account] == "free" and operation.traits.tier != "free":
            raise Refused(403, "TIER_REQUIRED", "The plan of this key lacks the feature")
        return account

    def _call(self, request: Request, body: bytes, operation: Operation, account: str) -> Call:
        parts = request.scope["raw_path"].decode("ascii").split("/")
        path = {
            part[1:-1]: value
            for part, value in zip(operation.path.split("/"), parts, strict=True)
            if part.startswith("{")
        }
        document = self._document(request, body, operation)
        given = {**path, **request.query_params, **document}
        self._check_parameters(operation, given)
        headers = dict(request.headers)
        return Call(operation, account, path.get("id", ""), given, body, headers)

    def _document(self, request: Request, body: bytes, operation: Operation) -> Document:
        """The JSON body, without what is null; empty for text, and when there is none."""
        content = operation.document.get("requestBody", {}).get("content", {})
        media_type = request.headers.get("content-type", JSON).split(";")[0]
        if not content or (media_type != JSON and media_type in content):
            return {}
        if media_type != JSON:
            raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", f"Send {' or '.join(content)}")
        try:
            document = json.loads(body or b"{}") or {}
        except ValueError:
            raise Refused(400, "INVALID_JSON", "The body is not JSON") from None
        if isinstance(document, dict):
            document = {name: value for name, value in document.items() if value is not None}
        path = operation.path.replace("/", "~1")
        pointer = f"#/paths/{path}/{operation.method.lower()}/requestBody/content/"
        self._fits(f"{pointer}application~1json/schema", document)
        return dict(document)

    def _check_parameters(self, operation: Operation, given: Mapping[str, Any]) -> None:
        for parameter in operation.parameters:
            name, schema = parameter["name"], parameter.get("schema", {})
            if parameter["in"] == "query" and name in given:
                value = given[name]
                if schema.get("type") == "integer":
                    value = int(value) if value.isdecimal() else value
                if "$ref" in schema:
                    self._fits(schema["$ref"], value)
                elif schema.get("type") == "integer" and not (
                    isinstance(value, int) and schema["minimum"] <= value <= schema["maximum"]
                ):
                    raise Refused(400, "INVALID_REQUEST", f"{name} is out of bounds")

    def _fits(self, pointer: str, value: object) -> None:
        fault = next(self._spec.validator(pointer).iter_errors(value), None)
        if fault is not None:
            raise Refused(400, "INVALID_REQUEST", fault.message)

    def _confirm(self, call: Call) -> None:
        """Let a sudo account pass with the code to a challenge that was given for this."""
        kind = call.operation.path.split("/")[1].removesuffix("s")
        self._world.find(kind, call.id, call.account)
        asked = (call.operation.id, call.id)
        answered = self._world.challenges.pop(call.headers.get("x-sudo-challenge", ""), None)
        if answered == asked and call.headers.get("x-sudo-otp") == EMULATOR.sudo_code:
            return
        challenge = f"chal_{secrets.token_hex(8)}"
        self._world.challenges[challenge] = asked
        raise Refused(428, "SUDO_REQUIRED", "Repeat with the code", challenge_id=challenge)

    async def shell(self, websocket: WebSocket) -> None:
        path = websocket.scope["raw_path"].decode("ascii").split("?")[0]
        try:
            operation = self._spec.match("GET", path)
            if operation is None or operation.id != "openSessionShell":
                raise Refused(404, "NOT_FOUND", "No such path")
            session = self._session(websocket, path)
        except Refused as refused:
            await websocket.send_denial_response(_json(refused.status, refused.body))
            return
        await shell.serve(session.machine, websocket)

    def _session(self, websocket: WebSocket, path: str) -> Thing:
        account = None
        if "authorization" in websocket.headers:
            account = verified(websocket.headers, "GET", (path, ""), b"")
        name = path.split("/")[2]
        kind = "service" if name.startswith("unsb-service-") else "session"
        thing = self._world.find(kind, name, account)
        if thing.shown["status"] == "frozen":
            raise Refused(409, "CONFLICT", "It is frozen")
        return thing


def _example(operation: Operation) -> Response:
    media = operation.responses.get(200, {}).get("content", {}).get(JSON)
    if media is None:
        raise Refused(501, "NOT_IMPLEMENTED", "The stand-in has no such operation")
    return _json(200, next(iter(media["examples"].values()))["value"])


def _json(status: int, document: object) -> Response:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return Response(text, status, media_type=JSON)


@contextmanager
def running(*faults: str, spec: Spec | None = None) -> Iterator[StandIn]:
    """A stand-in on a free port of loopback, with these faults of FAULTS switched on."""
    world = World(faults)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            Application(spec or Spec(), world),
            lifespan="off",
            ws="websockets-sansio",
            log_level="critical",  # a handshake that is denied is an error to uvicorn
            access_log=False,
        )
        config.timeout_graceful_shutdown = 1
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        until = time.monotonic() + READY_SECONDS
        while not server.started and time.monotonic() < until:
            time.sleep(0.005)
        try:
            yield StandIn(f"http://127.0.0.1:{listener.getsockname()[1]}", world)
        finally:
            server.should_exit = True
            thread.join(READY_SECONDS)
