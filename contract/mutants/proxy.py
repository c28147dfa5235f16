"""The proxy in front of a running server: healthy by itself, faulty through a mutator."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import websockets

from contract.mutants.traffic import Answer, Call, Mutator, Pairs, Proceed, replaced
from contract.proxy.forward import sent_request
from contract.redirects import ConnectOnce
from contract.spec import Spec
from contract.target import Target

__all__ = ["Proxy"]

TIMEOUT_SECONDS = 150
HANDSHAKE = "sec-websocket-"
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})
_GIVEN_UP = (httpx.HTTPError, OSError)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Proxy:
    """An ASGI application that forwards every byte as it came, but for what its fault edits.

    `own` is where it listens (host:port), `inner` the server behind it.
    """

    def __init__(self, own: str, inner: Target, spec: Spec, mutator: Mutator | None = None) -> None:
        self._own, self._inner = own, inner
        self._host = urlsplit(inner.url).netloc
        self._spec = spec
        self._mutator = mutator or _healthy
        # Idle connections go before the inner server closes them: no request meets a closed one.
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=20, keepalive_expiry=2),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        call = self._call(scope, body)
        answering = asyncio.ensure_future(self._mutator(call, self._forward))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                return  # who asked has hung up, so that the inner server sees that too
            await _respond(answering, call.method, send)
        finally:
            for task in (answering, gone):
                task.cancel()
                with suppress(asyncio.CancelledError, *_GIVEN_UP):
                    await task

    def _call(self, scope: Scope, body: bytes) -> Call:
        request = sent_request(scope, body)
        return Call(
            request.method,
            request.target,
            [(name, self._inward(name, value)) for name, value in request.headers],
            body,
            self._spec.match(request.method, request.target),
            self._inner.accounts,
            time.time(),
            self._inner.sudo_code,
        )

    def _inward(self, name: str, value: str) -> str:
        return self._host if name.lower() == "host" and value == self._own else value

    async def _forward(self, call: Call) -> Answer:
        headers = [
            (k, v) for k, v in call.headers if k.lower() not in (*_HOP_BY_HOP, "content-length")
        ]
        if call.body or call.header("content-length"):
            headers.append(("content-length", str(len(call.body))))
        request = httpx.Request(
            call.method,
            self._inner.url,
            headers=_raw(headers),
            content=call.body,
            # httpx would resolve and encode a path anew.
            extensions={"target": call.target.encode("latin-1")},
        )
        response = await self._http.send(request, stream=True)
        answer = Answer(response.status_code, _passed(response))
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            answer.chunks = _chunks(response)
            return answer
        try:
            answer.body = b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        return answer

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        call = self._call(scope, b"")
        answer = await self._mutator(call, self._shake_hands)
        if answer.socket is None:
            await _deny(answer, send)
            return
        await send({"type": "websocket.accept", "subprotocol": answer.socket.subprotocol})
        inwards = asyncio.ensure_future(_inwards(answer, receive))
        outwards = asyncio.ensure_future(_outwards(answer, send))
        await asyncio.wait({inwards, outwards}, return_when=asyncio.FIRST_COMPLETED)
        for task in (inwards, outwards):
            task.cancel()
            with suppress(asyncio.CancelledError, websockets.ConnectionClosed, RuntimeError):
                await task
        await answer.socket.close()

    async def _shake_hands(self, call: Call) -> Answer:
        protocols = call.header(f"{HANDSHAKE}protocol")
        headers = [
            (name, value)
            for name, value in call.headers
            if name.lower() not in (*_HOP_BY_HOP, "host") and not name.startswith(HANDSHAKE)
        ]
        try:
            socket = await ConnectOnce(
                f"ws://{self._host}{call.target}",
                additional_headers=headers,
                subprotocols=[websockets.Subprotocol(it.strip()) for it in protocols.split(",")]
                if protocols
                else None,
                user_agent_header=None,
                proxy=None,
                max_size=None,
            )
        except websockets.InvalidStatus as refused:
            response = refused.response
            return Answer(
                response.status_code,
                list(response.headers.raw_items()),
                bytes(response.body or b""),
            )
        return Answer(101, [], socket=socket)


async def _healthy(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when its sender hung up before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(answering: "asyncio.Future[Answer]", method: str, send: Send) -> None:
    """Send an answer; when none came from inside, the connection breaks off here as well."""
    try:
        answer = answering.result()
    except _GIVEN_UP:
        answer = Answer(200, [("content-length", "1")], broken=True)
    headers = answer.headers if answer.broken or method == "HEAD" else answer.sent_headers()
    await send({"type": "http.response.start", "status": answer.status, "headers": _raw(headers)})
    if answer.broken:
        # Announced and never sent: the server ends the connection.
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        return
    if answer.chunks is not None:
        with suppress(*_GIVEN_UP):
            async for chunk in answer.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body})


async def _deny(answer: Answer, send: Send) -> None:
    kind = "websocket.http.response"
    headers = _raw(replaced(answer.sent_headers(), connection=None))
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": answer.body})


async def _inwards(answer: Answer, receive: Receive) -> None:
    socket = answer.socket
    while socket is not None:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await socket.close(message.get("code") or 1000)
            return
        content = message["text"] if message.get("text") is not None else message["bytes"]
        for sent in _framed(answer, "in", content):
            await socket.send(sent)


async def _outwards(answer: Answer, send: Send) -> None:
    socket = answer.socket
    while socket is not None:
        try:
            content = await socket.recv()
        except websockets.ConnectionClosed:
            code = answer.close_code or socket.close_code or 1006
            reason = socket.close_reason or ""
            await send({"type": "websocket.close", "code": code, "reason": reason})
            return
        for sent in _framed(answer, "out", content):
            await send(
                {"type": "websocket.send", "text" if isinstance(sent, str) else "bytes": sent}
            )


def _framed(answer: Answer, direction: str, content: str | bytes) -> list[str | bytes]:
    messages = [content]
    for frames in answer.frames:
        messages = [it for message in messages for it in frames(direction, message)]
    return messages


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    finally:
        await response.aclose()


def _passed(response: httpx.Response) -> Pairs:
    return [
        (name, value)
        for name, value in response.headers.multi_items()
        if name.lower() not in _HOP_BY_HOP
    ]


def _raw(headers: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
