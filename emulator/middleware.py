"""What every request passes before it is dispatched, as plain ASGI classes."""

import logging
import re
import time
from collections.abc import Iterable

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from emulator import ids
from emulator.errors import ApiError, ForeignOrigin, MisdirectedRequest
from emulator.exchange import Exchange
from emulator.faults import Answer
from emulator.journal import Journal

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_STATUS_MESSAGES = frozenset(
    {"http.response.start", "websocket.http.response.start", "websocket.accept"}
)
_SWITCHING_PROTOCOLS = 101

_AUTHORITY = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?"
)
"""A host and its port, and nothing that others might take for a part of it."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_PORT_MOST = 65_535


class RequestRecord:
    """Gives every request its id and its exchange; journals and logs it when it has ended."""

    def __init__(
        self, app: ASGIApp, journal: Journal | None = None, log: str = "emulator.access"
    ) -> None:
        self.app = app
        self.journal = journal
        self._log = logging.getLogger(log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(
            ids.request_id(),
            scope.get("method", "GET"),
            scope["path"],
            scope["query_string"].decode("latin-1"),
        )
        exchange.attach(scope)
        began = time.perf_counter()

        async def tagged(message: Message) -> None:
            if message["type"] in _STATUS_MESSAGES:
                exchange.status = message.get("status", _SWITCHING_PROTOCOLS)
                own = (b"x-request-id", exchange.request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), own]}
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        finally:
            self._record(exchange, time.perf_counter() - began)

    def _record(self, exchange: Exchange, seconds: float) -> None:
        told = (exchange.method, exchange.path, exchange.status, seconds * 1000)
        extra: dict[str, object] = {"request_id": exchange.request_id}
        if self.journal is not None:
            self.journal.record(exchange, seconds)
            extra |= _whose(exchange, told)
        self._log.info("%s %s %s %.1f ms", *told, extra=extra)


def _whose(exchange: Exchange, told: tuple[object, ...]) -> dict[str, object]:
    """Whose line it is; where that is not known, what may be told of it to others."""
    if exchange.account is not None:
        return {"account": exchange.account.public_key}
    method, _, *rest = told
    path = "..." if exchange.operation is None else exchange.operation.path
    return {"untold": (method, path, *rest)}


class HostGuard:
    """Refuses foreign `Host` and `Origin`.

    The default keys are public, so a web page that a developer has open must not be able to run
    code here, by rebinding a name or by a plain form.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope))
        except ApiError as error:
            await refuse(scope, receive, send, Answer(error.status, error.body(), error.headers))
            return
        await self.app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        given = headers.getlist("host")
        if len(given) != 1 or _hostname(given[0].lower()) not in self.hosts:
            raise MisdirectedRequest(
                "This host name is not served here; "
                "the setting allowed_hosts (--allowed-hosts) adds names"
            )
        if any(
            _of_origin(origin.lower()) not in self.hosts for origin in headers.getlist("origin")
        ):
            raise ForeignOrigin("Requests from pages of other origins are refused")


async def refuse(scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
    """Send `answer`, also to who wanted a WebSocket."""
    exchange = Exchange.of(scope)
    exchange.code = str(answer.body["code"])
    headers = {**exchange.response_headers, **answer.headers}
    body = msgspec.json.encode(answer.body)
    response = Response(body, answer.status, headers, "application/json")
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


def _hostname(authority: str) -> str:
    """The host's name of `HOST[:PORT]`, in lower case; "" where it is malformed."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or int(found["port"] or 0) > _PORT_MOST:
        return ""
    return found["address"] or found["name"]


def _of_origin(origin: str) -> str:
    """The host's name of `SCHEME://HOST[:PORT]`; "" where it is malformed."""
    scheme = _SCHEME.match(origin)
    return "" if scheme is None else _hostname(origin[scheme.end() :])
