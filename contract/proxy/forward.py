"""The proxy's way through: requests to the target, answers back, both as they are."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import httpx
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from contract.exchange import Headers, Request, Response

__all__ = ["Forward", "Tell", "kept_headers", "sent_request"]

BODY_BYTES = 256 * 1024 * 1024
"""A longer request is refused: it is held in memory to be judged."""

COPY_BYTES = 16 * 1024 * 1024
"""So much of an answer is kept to be judged; all of it goes through."""

_PIECE_BYTES = 64 * 1024
"""So much of a packed answer is unpacked at once."""

_HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization"),
        *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    )
)
RawHeaders = list[tuple[bytes, bytes]]


class Tell(Protocol):
    """Takes what went through; `whole` is whether all of the answer did."""

    def __call__(
        self, request: Request, response: Response | None, at: float, *, whole: bool
    ) -> Awaitable[None]: ...


class TooLarge(Exception):
    """A request's body is longer than BODY_BYTES."""


def kept_headers(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """All but those that concern one connection alone (RFC 9110, 7.6.1), and Host."""
    headers = list(headers)
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    dropped = _HOP_BY_HOP | named | {b"host"}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def sent_request(scope: Scope, body: bytes = b"") -> Request:
    """The request of an ASGI scope, its target as in the request line."""
    headers = tuple((_text(name), _text(value)) for name, value in scope["headers"])
    method = scope.get("method", "GET")  # a WebSocket begins with GET
    return Request(method, _target(scope).decode("latin-1"), headers, body)


def _target(scope: Scope) -> bytes:
    query = scope["query_string"]
    path: bytes = scope["raw_path"]
    return path + b"?" + query if query else path


@dataclass(slots=True)
class _Copy:
    """What of an answer's body came through, up to COPY_BYTES."""

    body: bytearray = field(default_factory=bytearray)
    whole: bool = False

    async def passing(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        length = 0
        try:
            async for chunk in answer.aiter_raw():
                length += len(chunk)
                self.body += chunk[: COPY_BYTES - len(self.body)]
                yield chunk
            self.whole = length == len(self.body)
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()


class Forward:
    """An ASGI application for HTTP: sends every request on to `url`."""

    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient,
        tell: Tell,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._http = http
        self._tell = tell
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at = self._now()
        try:
            body = await _body(Incoming(scope, receive))
        except TooLarge:
            await _failed(413, "the request's body is too long for the proxy")(scope, receive, send)
            return
        request = sent_request(scope, body)
        began = time.monotonic()
        try:
            answer = await self._http.send(self._outgoing(scope, body), stream=True)
        except httpx.HTTPError as error:
            await _failed(502, f"the target gave no answer: {error!r}")(scope, receive, send)
            await self._tell(request, None, at, whole=True)
            return
        copy = _Copy()
        response = StreamingResponse(copy.passing(answer), answer.status_code)
        response.raw_headers = kept_headers(answer.headers.raw)
        try:
            await response(scope, receive, send)
        finally:
            came = _decoded(answer, copy, time.monotonic() - began)
            await self._tell(request, came, at, whole=copy.whole)

    def _outgoing(self, scope: Scope, body: bytes) -> httpx.Request:
        """The same bytes; httpx would encode a target anew, hence the extension."""
        return httpx.Request(
            scope["method"],
            self._url,
            headers=kept_headers(scope["headers"]),
            content=body,
            extensions={"target": _target(scope)},
        )


async def _body(request: Incoming) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise TooLarge
    return bytes(body)


def _decoded(answer: httpx.Response, copy: _Copy, seconds: float) -> Response:
    """The answer with its Content-Encoding undone, up to COPY_BYTES: little may unpack to much."""
    raw, body = bytes(copy.body), bytearray()
    pieces = (raw[at : at + _PIECE_BYTES] for at in range(0, len(raw), _PIECE_BYTES))
    try:
        for chunk in httpx.Response(200, headers=answer.headers, content=pieces).iter_bytes():
            copy.whole = copy.whole and len(body) + len(chunk) <= COPY_BYTES
            body += chunk[: COPY_BYTES - len(body)]
            if not copy.whole:
                break
    except httpx.DecodingError:
        copy.whole, body = False, bytearray(raw)
    return Response(answer.status_code, _pairs(answer.headers.raw), bytes(body), seconds)


def _pairs(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((_text(name), _text(value)) for name, value in headers)


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")


def _failed(status: int, why: str) -> JSONResponse:
    body = {"error": "unsandbox-contract proxy", "code": "PROXY", "details": why}
    return JSONResponse(body, status)
