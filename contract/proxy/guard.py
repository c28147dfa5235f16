"""Keeps web pages out: a listener on loopback is in reach of every page that a browser shows."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

__all__ = ["LOOPBACK", "HostGuard"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HostGuard:
    """Refuses requests to host names that are not `hosts`, and from pages of other origins."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        if _host("//" + headers.get("host", "")) not in self._hosts:
            return _refused(421, "this name is not served here; --allow-host adds one")
        origins = headers.getlist("origin")
        if any(_host(origin) not in self._hosts for origin in origins):
            return _refused(403, "requests from pages of other origins are refused")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _refused(403, "requests from pages of other origins are refused")
        return None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _refused(status: int, why: str) -> JSONResponse:
    body = {"error": "Refused by unsandbox-contract proxy", "code": "PROXY", "details": why}
    return JSONResponse(body, status)
