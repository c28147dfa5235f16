"""WebSockets through the proxy: messages both ways, and how it was closed or refused."""

import time
from collections.abc import Callable

import anyio
from starlette.responses import Response as Answer
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from contract.exchange import Response
from contract.proxy.forward import Tell, kept_headers, sent_request
from contract.redirects import ConnectOnce

__all__ = ["Shell"]

_NO_STATUS, _GOING_AWAY, _ABNORMAL = 1005, 1001, 1006
_OPEN_SECONDS = 20


class Shell:
    """An ASGI application for WebSockets: opens the same one at `url` and relays."""

    def __init__(self, url: str, tell: Tell, now: Callable[[], float] = time.time) -> None:
        self._url = url.replace("http", "ws", 1)
        self._tell = tell
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket, request, at = WebSocket(scope, receive, send), sent_request(scope), self._now()
        await socket.receive()  # the handshake
        try:
            upstream = await self._connected(scope, request.target)
        except InvalidStatus as error:
            came = error.response
            headers = tuple(came.headers.raw_items())
            refusal = Answer(bytes(came.body), came.status_code)
            refusal.raw_headers = kept_headers(
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers
            )
            await socket.send_denial_response(refusal)
            response = Response(came.status_code, headers, bytes(came.body))
            await self._tell(request, response, at, whole=True)
            return
        except (OSError, InvalidHandshake):
            await socket.send_denial_response(Answer("the target gave no answer", 502))
            await self._tell(request, None, at, whole=True)
            return
        async with upstream:
            await socket.accept(upstream.subprotocol)
            answer = upstream.response
            headers = tuple(answer.headers.raw_items()) if answer else ()
            await self._tell(request, Response(101, headers, b""), at, whole=True)
            await _relay(socket, upstream)

    async def _connected(self, scope: Scope, target: str) -> ClientConnection:
        """The same handshake at the target, with nothing of our own put in the messages' way."""
        return await ConnectOnce(
            self._url + target,
            additional_headers=[
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in kept_headers(scope["headers"])
                if not name.startswith(b"sec-websocket-")
            ],
            subprotocols=scope["subprotocols"] or None,
            compression=None,
            user_agent_header=None,
            max_size=None,
            ping_interval=None,
            proxy=None,
            open_timeout=_OPEN_SECONDS,
        )


async def _relay(socket: WebSocket, upstream: ClientConnection) -> None:
    """Both ways, until either side ends it."""
    async with anyio.create_task_group() as ways:

        async def there() -> None:
            await _to_target(socket, upstream)
            ways.cancel_scope.cancel()

        ways.start_soon(there)
        await _to_client(socket, upstream)
        ways.cancel_scope.cancel()


async def _to_target(socket: WebSocket, upstream: ClientConnection) -> None:
    while True:
        message = await socket.receive()
        try:
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or _NO_STATUS
                if code in (_NO_STATUS, _ABNORMAL):
                    code = _GOING_AWAY
                await upstream.close(code, message.get("reason") or "")
                return
            text = message.get("text")
            await upstream.send(message["bytes"] if text is None else text)
        except ConnectionClosed:
            return


async def _to_client(socket: WebSocket, upstream: ClientConnection) -> None:
    try:
        async for message in upstream:
            if isinstance(message, str):
                await socket.send_text(message)
            else:
                await socket.send_bytes(message)
    except (ConnectionClosed, WebSocketDisconnect):
        pass  # the close below says how
    if socket.application_state is WebSocketState.CONNECTED:
        code = upstream.close_code or _GOING_AWAY
        if code in (_NO_STATUS, _ABNORMAL):
            code = 1000 if code == _NO_STATUS else 1011
        await socket.close(code, upstream.close_reason or "")
