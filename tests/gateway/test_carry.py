"""Connections carried between two sockets, as between a sandbox and what it connects to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emulator.clock import Clock
from emulator.gateway.carry import IDLE_SECONDS, Carriage, SocketEnd, Traffic
from tests.sandbox.agent_process import scenario

MIB = 1 << 20


class Carried:
    """A carriage under way, and the two sides that it connects."""

    def __init__(
        self, carriage: Carriage, traffic: Traffic, program: SocketEnd, server: SocketEnd
    ) -> None:
        self.traffic = traffic
        self.program = program
        self.server = server
        self.work = asyncio.create_task(carriage.run())


async def pair() -> tuple[SocketEnd, SocketEnd]:
    one, other = socket.socketpair()
    return (
        SocketEnd(*await asyncio.open_connection(sock=one)),
        SocketEnd(*await asyncio.open_connection(sock=other)),
    )


@asynccontextmanager
async def carried(clock: Clock) -> AsyncIterator[Carried]:
    program, inside = await pair()
    server, outside = await pair()
    traffic = Traffic()
    made = Carried(Carriage(inside, outside, clock, traffic), traffic, program, server)
    try:
        yield made
    finally:
        made.work.cancel()
        await asyncio.wait({made.work})
        for end in (program, server, inside, outside):
            end.close()
        await asyncio.sleep(0)


async def everything(end: SocketEnd) -> bytes:
    parts = []
    while part := await end.read():
        parts.append(part)
    return b"".join(parts)


@scenario
async def test_each_direction_closes_on_its_own() -> None:
    async with carried(Clock()) as it:
        await it.program.write(b"question")
        it.program.write_eof()
        assert await everything(it.server) == b"question"
        await it.server.write(b"answer")
        it.server.write_eof()
        assert await everything(it.program) == b"answer"
        await it.work
        assert (it.traffic.sent, it.traffic.received) == (8, 6)


@scenario
async def test_an_answer_that_comes_before_the_end_of_the_question_arrives() -> None:
    async with carried(Clock()) as it:
        await it.program.write(b"much of a question")
        await it.server.write(b"too large")
        it.server.close()
        assert await it.program.read() == b"too large"


@scenario
async def test_a_reader_that_stands_still_holds_its_sender_back() -> None:
    async with carried(Clock()) as it:
        pouring = asyncio.create_task(it.server.write(bytes(64 * MIB)))
        await asyncio.sleep(0.5)
        assert it.traffic.received < 16 * MIB
        assert not pouring.done()
        pouring.cancel()


@scenario
async def test_a_connection_that_carries_nothing_ends() -> None:
    clock = Clock()
    async with carried(clock) as it:
        await it.program.write(b"hello")
        assert await it.server.read() == b"hello"
        clock.advance(IDLE_SECONDS + 1)
        with pytest.raises(TimeoutError):
            await it.work
        assert await it.program.read() == b""


@scenario
async def test_one_direction_keeps_a_connection_alive() -> None:
    clock = Clock()
    async with carried(clock) as it:
        for _ in range(4):
            clock.advance(IDLE_SECONDS / 2)
            await asyncio.sleep(0)
            await it.server.write(b"more")
            assert await it.program.read() == b"more"
        assert not it.work.done()
