"""Connections belong to the run that makes them; the ports that they are made to stay."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator.sandbox.agent import Stream
from emulator.sandbox.origin import Origin
from emulator.sandbox.relay import Relay
from tests.sandbox.agent_process import running_agent, scenario

A, B = Origin("job-a", "key-a"), Origin("job-b", "key-b")


class Echo:
    """A way that answers every piece with the job whose it is."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def carry(self, stream: Stream, origin: Origin, sandbox: str) -> None:
        try:
            while piece := await stream.read():
                await stream.write(f"{sandbox} {origin.id} {piece.decode()}".encode())
        finally:
            self.ended.append(origin.id)


@asynccontextmanager
async def relaying(port: int) -> AsyncIterator[tuple[Relay, Echo]]:
    async with running_agent() as agent:
        echo = Echo()
        relay = Relay("box", {port: echo})
        await relay.open(agent)
        yield relay, echo


async def ask(port: int) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """The answer to a first question, and the connection that it came on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    return await reader.read(100), reader, writer


async def has_ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@scenario
async def test_connections_are_of_the_run_that_makes_them_and_end_with_it(port: int) -> None:
    async with relaying(port) as (relay, echo):
        for origin in (A, B):
            with relay.serving(origin):
                answer, reader, writer = await ask(port)
                assert answer == f"box {origin.id} hello".encode()
            assert await has_ended(reader)
            writer.close()
        assert echo.ended == ["job-a", "job-b"]


@scenario
async def test_connections_of_no_run_are_closed(port: int) -> None:
    async with relaying(port) as (_, echo):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await has_ended(reader)
        writer.close()
        assert echo.ended == []
