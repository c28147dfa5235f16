"""What a listener takes and keeps of WebSockets, whatever is served over them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Frame, Opcode

from emulator.listeners import MANY_FRAGMENTS, MAX_MESSAGE, address, bind, serving
from tests.memory import mebibytes
from tests.sandbox.agent_process import scenario

PLENTY = 16 * 1024 * 1024
LITTLE = 6
"""Mebibytes that a process may grow by for other reasons."""


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """An address whose paths say what is done there."""
    with bind("127.0.0.1", 0) as listener:
        async with serving(serve, listener):
            yield address(listener, "ws")


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    match socket.url.path:
        case "/echo":
            await socket.send_bytes(await socket.receive_bytes())
            await socket.close()
        case "/flood":
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await socket.send_bytes(bytes(65_536))
        case "/deaf":
            await asyncio.sleep(1)


@scenario
async def test_the_largest_message_is_taken_and_a_larger_one_ends_the_connection() -> None:
    async with listening() as url:
        async with connect(f"{url}/echo", compression=None, max_size=None) as socket:
            await socket.send(bytes(MAX_MESSAGE))
            assert await socket.recv() == bytes(MAX_MESSAGE)
        async with connect(f"{url}/echo", compression=None) as socket:
            await socket.send(bytes(MAX_MESSAGE + 1))
            with pytest.raises(ConnectionClosedError) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@scenario
async def test_a_message_in_very_many_pieces_is_one_message() -> None:
    pieces = [bytes((n % 256,)) for n in range(3 * MANY_FRAGMENTS)]
    async with listening() as url, connect(f"{url}/echo") as socket:
        await socket.send(pieces)
        assert await socket.recv() == b"".join(pieces)


@scenario
async def test_nothing_is_compressed() -> None:
    async with listening() as url, connect(f"{url}/echo", compression="deflate") as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


@scenario
async def test_who_does_not_read_is_not_written_to_without_end() -> None:
    async with listening() as url, stalled(f"{url}/flood") as (_socket, before):
        await asyncio.sleep(0.5)
        assert mebibytes() - before < LITTLE


@scenario
async def test_what_nobody_takes_is_not_read() -> None:
    async with listening() as url, stalled(f"{url}/deaf") as (socket, before):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(PLENTY // MAX_MESSAGE):
                    await socket.send(bytes(MAX_MESSAGE))
                pytest.fail("all of it went somewhere")
        assert mebibytes() - before < LITTLE


@scenario
async def test_pongs_for_who_does_not_read_are_not_kept() -> None:
    ping = Frame(Opcode.PING, bytes(125)).serialize(mask=True)
    async with listening() as url, stalled(f"{url}/flood") as (socket, before):
        for _ in range(PLENTY // MAX_MESSAGE):
            socket.transport.write(ping * (MAX_MESSAGE // len(ping)))
            await socket.ping()  # which waits until most has left
        assert mebibytes() - before < LITTLE


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.TEXT, b"\xed\xa0\x80").serialize(mask=True), 1007),
        (Frame(Opcode.BINARY, b"x").serialize(mask=False), 1002),
        (Frame(Opcode.CONT, b"x").serialize(mask=True), 1002),
    ],
    ids=["text that is not UTF-8", "no mask", "a continuation of nothing"],
)
@scenario
async def test_what_is_no_websocket_s_ends_it_and_is_no_error_of_ours(
    frame: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as url, connect(f"{url}/flood", compression=None) as socket:
        socket.transport.write(frame)
        with contextlib.suppress(ConnectionClosedError):
            while True:
                await socket.recv()
        assert socket.close_code == code
    assert not caplog.records


@asynccontextmanager
async def stalled(url: str) -> AsyncIterator[tuple[ClientConnection, float]]:
    """A client that reads nothing, and the mebibytes of this process before it did not."""
    async with connect(url, compression=None, ping_interval=None, close_timeout=0) as socket:
        socket.transport.pause_reading()
        before = mebibytes()
        try:
            yield socket, before
        finally:
            socket.transport.abort()
