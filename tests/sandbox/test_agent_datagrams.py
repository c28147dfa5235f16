"""Datagrams through the agent, to a port inside a sandbox and back."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest

from emulator.sandbox.agent import Agent, ChannelClosed, ConnectFailed, Datagrams
from emulator.sandbox.frames import WINDOW
from tests.sandbox.agent_process import running_agent, scenario

Heard = asyncio.Queue[bytes]


@asynccontextmanager
async def talking(agent: Agent, port: int) -> AsyncIterator[tuple[Datagrams, Heard]]:
    heard: Heard = asyncio.Queue()
    channel = await agent.datagrams(port, heard.put_nowait)
    try:
        yield channel, heard
    finally:
        channel.close()


def bound(port: int = 0) -> socket.socket:
    """A UDP server's socket, to be used while the loop waits for nothing else."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(10)
    made.bind(("127.0.0.1", port))
    return made


async def taken(server: socket.socket) -> tuple[bytes, tuple[str, int]]:
    found: tuple[bytes, tuple[str, int]] = await asyncio.to_thread(server.recvfrom, 65_536)
    return found


@scenario
async def test_each_frame_is_one_datagram() -> None:
    with closing(bound()) as server:
        async with (
            running_agent() as agent,
            talking(agent, server.getsockname()[1]) as (one, heard),
        ):
            for data in (b"hello", b"", bytes(1400), b"\0", bytes(65_507)):
                assert one.send_datagram(data)
                came, peer = await taken(server)
                assert came == data
                server.sendto(data + b"!" if len(data) < 65_507 else data, peer)
                assert (await heard.get()).rstrip(b"!") == data


@scenario
async def test_what_comes_from_elsewhere_is_not_taken() -> None:
    with closing(bound()) as server, closing(bound()) as other:
        async with (
            running_agent() as agent,
            talking(agent, server.getsockname()[1]) as (one, heard),
        ):
            one.send_datagram(b"hello")
            _, peer = await taken(server)
            other.sendto(b"I am another", peer)
            server.sendto(b"it is me", peer)
            assert await heard.get() == b"it is me"
            assert heard.empty()


@scenario
async def test_a_socket_outlives_that_nobody_listens() -> None:
    with closing(bound()) as server:
        port = server.getsockname()[1]
    async with running_agent() as agent, talking(agent, port) as (one, heard):
        for _ in range(3):
            one.send_datagram(b"anybody?")
            await agent.ping()
        with closing(bound(port)) as server:
            one.send_datagram(b"now?")
            data, peer = await taken(server)
            assert data == b"now?"
            server.sendto(b"yes", peer)
            assert await heard.get() == b"yes"


@scenario
async def test_what_exceeds_credit_or_a_frame_is_lost_and_nothing_else() -> None:
    with closing(bound()) as server:
        async with running_agent() as agent, talking(agent, server.getsockname()[1]) as (one, _):
            sent = [one.send_datagram(bytes(60_000)) for _ in range(WINDOW // 60_000 + 2)]
            assert sent.count(True) == WINDOW // 60_001
            assert not one.send_datagram(bytes(65_536))
            while not one.send_datagram(b"again"):
                await agent.ping()
            while (await taken(server))[0] != b"again":
                continue


@scenario
async def test_a_flood_from_inside_stalls_nobody() -> None:
    with closing(bound()) as server:
        port = server.getsockname()[1]
        async with running_agent() as agent, talking(agent, port) as (one, heard):
            one.send_datagram(b"hello")
            _, peer = await taken(server)
            for number in range(2000):
                server.sendto(b"%d" % number + bytes(30_000), peer)
                if number % 500 == 0:
                    await agent.ping()
            assert (await heard.get()).startswith(b"0")
            async with talking(agent, port) as (other, _):
                assert other.send_datagram(b"other")
                while (await taken(server))[0] != b"other":
                    continue


@scenario
async def test_a_closed_channel_sends_nothing() -> None:
    with closing(bound()) as server:
        async with running_agent() as agent, talking(agent, server.getsockname()[1]) as (one, _):
            one.close()
            with pytest.raises(ChannelClosed):
                one.send_datagram(b"hello")
            with pytest.raises(ChannelClosed):
                await one.finished()


@scenario
async def test_an_address_that_is_none_is_refused() -> None:
    async with running_agent() as agent:
        for address in ("not-an-address", "localhost"):
            with pytest.raises(ConnectFailed) as caught:
                await agent.datagrams(80, print, address)
            assert caught.value.errno == errno.EINVAL


@scenario
async def test_data_that_is_no_datagram_ends_the_channel_alone() -> None:
    with closing(bound()) as server:
        async with running_agent() as agent, talking(agent, server.getsockname()[1]) as (one, _):
            one.send_now(b"x")
            with pytest.raises(ConnectFailed) as caught:
                await one.finished()
            assert caught.value.errno == errno.EPROTO
            await agent.ping()
