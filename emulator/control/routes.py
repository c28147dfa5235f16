"""/_emulator/*: readiness, TLS, journal, clock, faults, codes, caches, for whoever runs it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from emulator.emulator import Emulator
from emulator.errors import ApiError, BadRequest, InvalidJson, MethodNotAllowed, NotFound
from emulator.faults import Answer
from emulator.middleware import refuse

DEFAULT_ENTRIES = 100
_CONNECTION_FIELDS = ("account", "job_id", "session_id", "service_id", "sandbox", "way", "outcome")
Endpoint = Callable[[Emulator, Request], Awaitable[Response]]


def _answer(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def ready(emulator: Emulator, _request: Request) -> Response:
    """200 only when an execution would work now; 503 with the reasons before."""
    reasons = emulator.obstacles()
    status = "starting" if reasons else "ready"
    return _answer({"status": status, "reasons": reasons}, 503 if reasons else 200)


async def read_tls(emulator: Emulator, request: Request) -> Response:
    """Where the API is served over TLS, and the certificate that clients have to trust."""
    certificate = emulator.authority.certificate_pem.decode()
    return _answer({"address": request.app.state.tls_address, "certificate": certificate})


async def read_certificate(emulator: Emulator, _request: Request) -> Response:
    """The same certificate as a file."""
    return Response(emulator.authority.certificate_pem, media_type="application/x-pem-file")


async def read_journal(emulator: Emulator, request: Request) -> Response:
    """The newest requests first; `limit` and the fields below narrow it."""
    query = request.query_params
    entries = emulator.journal.entries(
        _whole(query.get("limit", str(DEFAULT_ENTRIES)), "limit"),
        operation=query.get("operation"),
        account=query.get("account"),
        job_id=query.get("job_id"),
        request_id=query.get("request_id"),
        service=query.get("service"),
        status=_whole(query["status"], "status") if "status" in query else None,
    )
    return _answer({"requests": entries, "count": len(entries)})


async def clear_journal(emulator: Emulator, _request: Request) -> Response:
    emulator.journal.clear()
    return _answer({"status": "cleared"})


async def read_connections(emulator: Emulator, request: Request) -> Response:
    """What sandboxes connected to, the newest first; the parameters are fields to match."""
    query = request.query_params
    entries = emulator.journal.connections(
        _whole(query.get("limit", str(DEFAULT_ENTRIES)), "limit"),
        **{name: query.get(name) for name in _CONNECTION_FIELDS},
    )
    return _answer({"connections": entries, "count": len(entries)})


async def clear_connections(emulator: Emulator, _request: Request) -> Response:
    emulator.journal.clear_connections()
    return _answer({"status": "cleared"})


async def read_clock(emulator: Emulator, _request: Request) -> Response:
    return _answer(_clock(emulator))


async def advance_clock(emulator: Emulator, request: Request) -> Response:
    """`{"advance": seconds}` moves the emulator's clock forward."""
    seconds = (await _json(request)).get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequest("advance: must be a number of seconds")
    try:
        emulator.clock.advance(seconds)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    emulator.jobs.expire()
    return _answer(_clock(emulator))


async def read_compiles(emulator: Emulator, _request: Request) -> Response:
    return _answer(emulator.compiles.figures())


async def clear_compiles(emulator: Emulator, _request: Request) -> Response:
    emulator.compiles.clear()
    return _answer({"status": "cleared"})


async def add_fault(emulator: Emulator, request: Request) -> Response:
    """Put a rule in force; `faults.Rule` says what it may hold."""
    return _answer(emulator.faults.add(await _json(request)), 201)


async def list_faults(emulator: Emulator, _request: Request) -> Response:
    rules = list(emulator.faults)
    return _answer({"faults": rules, "count": len(rules)})


async def clear_faults(emulator: Emulator, _request: Request) -> Response:
    return _answer({"status": "cleared", "count": emulator.faults.clear()})


async def remove_fault(emulator: Emulator, request: Request) -> Response:
    rule_id = request.path_params["id"]
    emulator.faults.remove(rule_id)
    return _answer({"status": "cleared", "id": rule_id})


async def list_challenges(emulator: Emulator, _request: Request) -> Response:
    """What waits for a one-time code, the newest first, with the codes that would be mailed."""
    challenges = emulator.challenges.open()
    return _answer({"challenges": challenges, "count": len(challenges)})


async def reset(emulator: Emulator, _request: Request) -> Response:
    """Forget what was asked: journal, fault rules, challenges, what was counted against rates."""
    emulator.journal.clear()
    emulator.faults.clear()
    emulator.rates.clear()
    emulator.challenges.clear()
    return _answer({"status": "reset"})


def _clock(emulator: Emulator) -> dict[str, object]:
    return {"now": emulator.clock.isoformat(), "ahead_seconds": emulator.clock.offset}


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"{name}: must be a whole number")
    return int(text)


async def _json(request: Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(f"The body is not a JSON object: {error}") from None


ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/_emulator/ready", ready),
    ("GET", "/_emulator/tls", read_tls),
    ("GET", "/_emulator/ca.pem", read_certificate),
    ("GET", "/_emulator/requests", read_journal),
    ("DELETE", "/_emulator/requests", clear_journal),
    ("GET", "/_emulator/connections", read_connections),
    ("DELETE", "/_emulator/connections", clear_connections),
    ("GET", "/_emulator/clock", read_clock),
    ("POST", "/_emulator/clock", advance_clock),
    ("GET", "/_emulator/faults", list_faults),
    ("POST", "/_emulator/faults", add_fault),
    ("DELETE", "/_emulator/faults", clear_faults),
    ("DELETE", "/_emulator/faults/{id}", remove_fault),
    ("GET", "/_emulator/sudo", list_challenges),
    ("POST", "/_emulator/reset", reset),
    ("GET", "/_emulator/compiles", read_compiles),
    ("DELETE", "/_emulator/compiles", clear_compiles),
)


class ControlPath:
    """One path of the surface; whatever goes wrong is answered in the API's error envelope."""

    def __init__(self, emulator: Emulator, endpoints: dict[str, Endpoint]) -> None:
        self._emulator = emulator
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except ApiError as error:
            await refuse(scope, receive, send, Answer(error.status, error.body(), error.headers))
        else:
            await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        if scope["type"] == "websocket":
            raise NotFound("The admin surface has no WebSockets")
        request = Request(scope, receive)
        return await self._pick(request.method)(self._emulator, request)

    def _pick(self, method: str) -> Endpoint:
        endpoint = self._endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is not None:
            return endpoint
        if self._endpoints:
            raise MethodNotAllowed("This path does not take this method", sorted(self._endpoints))
        paths = sorted({path for _, path, _ in ENDPOINTS})
        raise NotFound(f"The admin surface has: {', '.join(paths)}")


def control_routes(emulator: Emulator) -> list[BaseRoute]:
    """A route for each path of ENDPOINTS, and one that answers all others."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for method, path, endpoint in ENDPOINTS:
        paths.setdefault(path, {})[method] = endpoint
    known: list[BaseRoute] = [
        Route(path, ControlPath(emulator, endpoints)) for path, endpoints in paths.items()
    ]
    return [*known, Mount("/", app=ControlPath(emulator, {}))]
