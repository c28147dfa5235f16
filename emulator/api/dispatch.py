"""From a request to its handler and back: route, body, sender, limits, contract, answer."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from uvicorn.protocols.utils import ClientDisconnected

from emulator import compat
from emulator.api.call import Call, Json, Reply, Streamed, Upgraded
from emulator.api.streaming import stream
from emulator.api.table import CHECKS, HANDLERS, SUBJECTS
from emulator.auth import SignedRequest, is_signed
from emulator.emulator import Emulator
from emulator.errors import (
    ApiError,
    BadRequest,
    InternalError,
    InvalidJson,
    NotImplementedYet,
    PayloadTooLarge,
    TierRequired,
    UpgradeRequired,
)
from emulator.exchange import Exchange
from emulator.faults import FAULT_HEADER, Answer, Struck, parse_header, strike
from emulator.spec import Operation, Signature, check
from emulator.sudo import Action, Confirmation

logger = logging.getLogger(__name__)

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a request body."""

_JSON = "application/json"
_TEXT = "text/plain"
_INTERNAL_ERROR = 1011
_JSON_FAULTS = {RecursionError: "too deeply nested", UnicodeDecodeError: "not UTF-8"}


class Dispatcher:
    """The ASGI application behind the middleware; it refuses WebSockets by HTTP."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange.of(scope)
        try:
            answer = await self._respond(scope, receive, exchange)
        except ClientDisconnect:
            return
        except Struck:
            raise
        except Exception:
            logger.exception("request %s failed", exchange.request_id)
            answer = _render(_internal_error(exchange), exchange)
        if isinstance(answer, Upgraded):
            socket = WebSocket(scope, receive, _accepting(send, exchange.response_headers))
            await _converse(answer, socket, exchange)
        elif isinstance(answer, Streamed):
            await stream(answer, exchange, receive, send, checked=self._checked)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(answer)
        else:
            await answer(scope, receive, send)

    @property
    def _checked(self) -> bool:
        return self._emulator.settings.check_responses != "off"

    async def _respond(
        self, scope: Scope, receive: Receive, exchange: Exchange
    ) -> Response | Upgraded | Streamed:
        try:
            reply = await self._answer(scope, receive, exchange)
        except ApiError as error:
            exchange.code = error.code
            reply = Reply(error.body(), error.status, headers=error.headers)
        if isinstance(reply, Streamed):
            return reply
        if isinstance(reply, Upgraded):
            if self._checked and exchange.operation is not None:
                exchange.operation.check_upgrade()
            return reply
        if self._checked and exchange.operation is not None:
            exchange.operation.check_reply(reply.status, reply.media_type, reply.body)
        return _render(reply, exchange)

    async def _answer(
        self, scope: Scope, receive: Receive, exchange: Exchange
    ) -> Reply | Upgraded | Streamed:
        raw_path = scope["raw_path"]
        if not self._emulator.settings.strict:
            raw_path = compat.canonical_path(raw_path, exchange)
        operation, path = self._emulator.spec.match(exchange.method, raw_path)
        exchange.operation = operation
        headers = Headers(scope=scope)
        signed = _is_signed(operation, headers)
        if not signed:
            await self._strike(headers, exchange)  # before a stranger's body is held for a delay
        raw = b"" if scope["type"] == "websocket" else await _read(receive, headers)
        exchange.body_bytes = len(raw)
        if signed:
            self._admit(scope, headers, raw, exchange)
            await self._strike(headers, exchange)
        handler = HANDLERS.get(operation.id)
        if handler is None:
            raise NotImplementedYet(f"{operation.method} {operation.path} is not in this version")
        _check_tier(operation, exchange)
        body = self._body(operation, headers, raw, exchange)
        query = self._query(operation, scope, body, exchange)
        if scope["type"] == "websocket" and operation.streams:
            raise BadRequest("Events come from this path as an answer to GET, not as a WebSocket")
        sender = exchange.account
        call = Call(exchange, path, query, body, sender, headers, scope["scheme"], receive)
        if operation.sudo and call.account.sudo_code is not None:
            await self._confirm(operation, call)
        reply = await handler(self._emulator, call)
        if isinstance(reply, Upgraded) and scope["type"] != "websocket":
            raise UpgradeRequired("Open a WebSocket on this path")
        return reply

    def _admit(self, scope: Scope, headers: Headers, raw: bytes, exchange: Exchange) -> None:
        """Authenticate, then count against the rate; both leave their marks on the exchange."""
        signed = SignedRequest(exchange.method, scope["raw_path"], scope["query_string"], raw)
        verified = self._emulator.authenticator.verify(headers, signed)
        exchange.account = verified.account
        if verified.note:
            exchange.notes.append(verified.note)
        allowance, refusal = self._emulator.rates.take(verified.account)
        exchange.response_headers.update(allowance.headers())
        if refusal is not None:
            raise refusal

    async def _strike(self, headers: Headers, exchange: Exchange) -> None:
        """The fault that a request asks for by its own header, once it is known whose it is."""
        asked = headers.getlist(FAULT_HEADER)
        if not asked:
            return
        if not self._emulator.settings.fault_header:
            exchange.notes.append(f"faults: {FAULT_HEADER} is ignored, fault_header is off")
            return
        try:
            fault = parse_header("; ".join(asked))
        except BadRequest as error:  # no operation's contract has this answer
            raise Struck(Answer(error.status, error.body(), error.headers)) from None
        await strike(fault, "header", exchange, self._emulator.clock)

    async def _confirm(self, operation: Operation, call: Call) -> None:
        """Ask for the one-time code, unless there is nothing to confirm."""
        await SUBJECTS[operation.id](self._emulator, call)
        action = Action(operation.id, frozenset(call.path.items()))
        code = call.headers.get("x-sudo-otp", "")
        challenge = call.headers.get("x-sudo-challenge", "")
        given = Confirmation(code, challenge) if code else None
        self._emulator.challenges.confirm(call.account, action, given)

    def _body(
        self, operation: Operation, headers: Headers, raw: bytes, exchange: Exchange
    ) -> Json | str:
        if not operation.bodies:
            return {}
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        usual = _TEXT if _TEXT in operation.bodies else _JSON
        if not media_type:
            media_type = usual
        elif media_type not in operation.bodies and not self._emulator.settings.strict:
            exchange.notes.append(f"compat: this content type read as {usual}")
            media_type = usual
        lenient = media_type == _JSON and not self._emulator.settings.strict
        if lenient and compat.is_env_file(operation.id, raw, exchange):
            media_type, lenient = _TEXT, False
        validator = operation.body_validator(media_type)
        body = _parse_json(raw) if media_type == _JSON else _parse_text(raw)
        if lenient:
            shells = self._emulator.catalogue.shell_of_language
            body = compat.canonical_body(operation.id, body, exchange, shells)
        if media_type == _JSON and not isinstance(body, dict):
            raise BadRequest("body: must be a JSON object")
        if isinstance(body, dict):
            exchange.body = body  # raw text may be a vault
            self._check_first(operation, body)
        check(validator, body)
        return body

    def _check_first(self, operation: Operation, body: Json) -> None:
        if operation.id in CHECKS:
            CHECKS[operation.id](self._emulator, body)

    def _query(
        self, operation: Operation, scope: Scope, body: Json | str, exchange: Exchange
    ) -> dict[str, object]:
        if not operation.query:
            return {}
        given = dict(QueryParams(scope["query_string"]))
        if not self._emulator.settings.strict:
            given = compat.canonical_query(operation.id, given, body, exchange)
        for parameter in operation.query:
            if parameter.required and parameter.name not in given:
                raise BadRequest(f"{parameter.name}: is required")
        return {
            parameter.name: parameter.read(given[parameter.name])
            for parameter in operation.query
            if parameter.name in given
        }


def _check_tier(operation: Operation, exchange: Exchange) -> None:
    """Raise TierRequired for a sender of the free tier where that does not have the operation."""
    if operation.paid and exchange.account is not None and exchange.account.is_free:
        raise TierRequired(
            f"The free tier does not have {operation.method} {operation.path}; "
            "use a key of a paid tier"
        )


def _is_signed(operation: Operation, headers: Headers) -> bool:
    """Whether the sender is to be verified."""
    if operation.signature is Signature.OPTIONAL:
        return is_signed(headers)
    return operation.signature is Signature.REQUIRED


async def _read(receive: Receive, headers: Headers) -> bytes:
    """The whole body; raises PayloadTooLarge as soon as it is known to be over the limit."""
    length = headers.get("content-length", "0")
    too_large = PayloadTooLarge(f"A request body may have at most {MAX_BODY} bytes")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _parse_json(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    if not raw.strip():
        return {}
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = _JSON_FAULTS.get(type(error)) or str(error)
        raise InvalidJson(f"The body is not JSON: {reason}") from None


def _parse_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadRequest("body: must be UTF-8") from None


def _accepting(send: Send, headers: Mapping[str, str]) -> Send:
    """A `send` that accepts a WebSocket with `headers`."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def accepting(message: Message) -> None:
        if message["type"] == "websocket.accept":
            message = {**message, "headers": [*message.get("headers", ()), *raw]}
        await send(message)

    return accepting


async def _converse(upgraded: Upgraded, socket: WebSocket, exchange: Exchange) -> None:
    """Have a WebSocket served; what goes wrong is told to the log, and it ends."""
    try:
        await upgraded.serve(socket)
    except (WebSocketDisconnect, ClientDisconnected):
        return
    except ApiError as error:  # what came to be known after the handshake was looked at
        exchange.code = error.code
        reply = Reply(error.body(), error.status, headers=error.headers)
        await socket.send_denial_response(_render(reply, exchange))
    except Exception:
        logger.exception("request %s failed", exchange.request_id)
        await _give_up(socket, exchange)


async def _give_up(socket: WebSocket, exchange: Exchange) -> None:
    if socket.application_state is WebSocketState.CONNECTING:
        await socket.send_denial_response(_render(_internal_error(exchange), exchange))
    elif socket.application_state is WebSocketState.CONNECTED:
        with suppress(WebSocketDisconnect):
            await socket.close(_INTERNAL_ERROR)


def _internal_error(exchange: Exchange) -> Reply:
    error = InternalError(f"The emulator failed; its log tells more at {exchange.request_id}")
    exchange.code = error.code
    return Reply(error.body(), error.status)


def _render(reply: Reply, exchange: Exchange) -> Response:
    content = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
    exchange.status = reply.status
    return Response(
        content, reply.status, {**exchange.response_headers, **reply.headers}, reply.media_type
    )
