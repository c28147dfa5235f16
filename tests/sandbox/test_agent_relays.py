"""Connections through the agent, out of and into a sandbox."""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emulator.sandbox.agent import Agent, ConnectFailed, Listener, Stream
from emulator.sandbox.frames import WINDOW
from tests.sandbox.agent_process import GID, UID, running_agent, scenario


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """A server that sends everything back after the other side has closed its half."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def read_all(stream: Stream) -> bytes:
    parts = []
    while part := await stream.read():
        parts.append(part)
    return b"".join(parts)


async def first_of(listener: Listener) -> Stream:
    async for stream in listener:
        return stream
    raise AssertionError("the listener ended")


@scenario
async def test_each_direction_closes_on_its_own() -> None:
    data = bytes(range(256)) * 20_000
    async with echo_server() as port, running_agent() as agent:
        stream = await agent.connect(port)
        await stream.write(data)
        stream.write_eof()
        assert await read_all(stream) == data
        await stream.outcome()


@scenario
async def test_a_slow_reader_holds_its_sender_back_and_nobody_else() -> None:
    sent = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < 100 * WINDOW:
            writer.write(bytes(WINDOW))
            await writer.drain()
            sent += WINDOW

    server = await asyncio.start_server(pour, "127.0.0.1")
    async with running_agent() as agent:
        stream = await agent.connect(server.sockets[0].getsockname()[1])
        for _ in range(10):
            await agent.ping()
        await asyncio.sleep(0.2)
        assert sent < 50 * WINDOW  # socket buffers of the kernel are in it
        assert await stream.read()
        stream.close()
    server.close()


@scenario
async def test_nobody_listening_is_told() -> None:
    async with echo_server() as port:
        pass
    async with running_agent() as agent:
        with pytest.raises(ConnectFailed) as caught:
            await agent.connect(port)
        assert caught.value.errno == errno.ECONNREFUSED
        with pytest.raises(ConnectFailed) as caught:
            await agent.connect(80, "not-an-address")
        assert caught.value.errno == errno.EINVAL


@scenario
async def test_a_reset_is_told() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1")
    async with server, running_agent() as agent:
        stream = await agent.connect(server.sockets[0].getsockname()[1])
        await stream.write(b"ab" * 100_000)
        with pytest.raises(ConnectFailed) as caught:
            await stream.read()
        assert caught.value.errno == errno.ECONNRESET


@scenario
async def test_unix_sockets_are_reached(tmp_path: Path) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_unix_server(greet, tmp_path / "s")
    async with server, running_agent() as agent:
        stream = await agent.connect_unix(str(tmp_path / "s"), uid=UID, gid=GID)
        assert await read_all(stream) == b"hello"
        stream.close()
        with pytest.raises(ConnectFailed) as caught:
            await agent.connect_unix(str(tmp_path / "none"), uid=UID, gid=GID)
        assert caught.value.errno == errno.ENOENT


async def accepted(agent: Agent) -> tuple[Listener, asyncio.StreamReader, asyncio.StreamWriter]:
    listener = await agent.listen(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", await listener.port())
    return listener, reader, writer


@scenario
async def test_connections_are_accepted() -> None:
    async with running_agent() as agent:
        listener, reader, writer = await accepted(agent)
        stream = await first_of(listener)
        assert stream.peer == writer.get_extra_info("sockname")
        writer.write(b"question")
        writer.write_eof()
        assert await read_all(stream) == b"question"
        await stream.write(b"answer")
        stream.write_eof()
        assert await reader.read() == b"answer"
        writer.close()
        await stream.outcome()


@scenario
async def test_a_closed_listener_accepts_nobody() -> None:
    async with running_agent() as agent:
        listener, _, writer = await accepted(agent)
        port = await listener.port()
        listener.close()
        await agent.ping()
        async for stream in listener:
            stream.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        writer.close()


@scenario
async def test_a_port_in_use_is_told() -> None:
    async with echo_server() as port, running_agent() as agent:
        with pytest.raises(ConnectFailed) as caught:
            await agent.listen(port)
        assert caught.value.errno == errno.EADDRINUSE


@scenario
async def test_accepted_connections_are_bounded() -> None:
    async with running_agent() as agent:
        listener = await agent.listen(0)
        port = await listener.port()
        writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(80)]
        await agent.ping()
        taken = [await first_of(listener) for _ in range(64)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await first_of(listener)
        for stream in taken:
            stream.close()
        assert await first_of(listener)
        for writer in writers:
            writer.close()
