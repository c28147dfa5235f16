"""Docker's attach call: nothing of the stream is lost on the way, and nothing waits for ever."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from emulator.sandbox import attach as attach_module
from emulator.sandbox import frames
from emulator.sandbox.agent import AgentLost
from emulator.sandbox.attach import attach, take_over
from emulator.sandbox.frames import Tag, Type
from tests.sandbox.agent_process import scenario

UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


def piece(data: bytes, stream: int = 1) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


@contextmanager
def engine(path: Path, *answer: bytes) -> Iterator[tuple[Any, socket.socket]]:
    """An engine that answers one attach call with these bytes, the first part at a stroke."""
    made: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            made.append(connection)
            connection.recv(65_536)
            for part in answer:
                connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        client = docker.APIClient(base_url=f"unix://{path}", version="1.41")
        try:
            stream = client.attach_socket("any", params={"stdin": 1, "stdout": 1, "stream": 1})
            thread.join()
            yield stream, made[0]
        finally:
            client.close()
            made[0].close()


def greeting(epoch: int) -> bytes:
    said = frames.number(Tag.VERSION, frames.VERSION) + frames.field(Tag.BOOT_ID, b"x" * 16)
    return frames.encode(Type.HELLO, 0, epoch, said)


@pytest.mark.parametrize("cut", [0, 3, 8, 20, 70])
@scenario
async def test_what_came_with_the_answers_head_is_not_lost(tmp_path: Path, cut: int) -> None:
    """An agent with an older epoch's output on its way is heard from the first byte on."""
    old = piece(frames.encode(Type.DATA, 1, 8, b"output of an older epoch" * 4, 1))
    with engine(tmp_path / "engine", UPGRADED + old[:cut]) as (stream, connection):
        agent = await attach(*take_over(stream))
        greeted = asyncio.ensure_future(agent.hello())
        await asyncio.sleep(0)
        connection.sendall(old[cut:] + piece(greeting(agent._epoch)))
        assert (await greeted).boot_id == b"x" * 16
        agent.close()


@scenario
async def test_a_silent_stream_is_taken_over_at_once(tmp_path: Path) -> None:
    with engine(tmp_path / "engine", UPGRADED) as (stream, _):
        async with asyncio.timeout(10):
            attached, early = await asyncio.to_thread(take_over, stream)
        assert early == b""
        attached.close()


@scenario
async def test_an_agent_that_does_not_start_says_why(tmp_path: Path) -> None:
    complaint = piece(b"exec format error\n", 2)
    with engine(tmp_path / "engine", UPGRADED + complaint) as (stream, connection):
        agent = await attach(*take_over(stream))
        connection.close()
        with pytest.raises(AgentLost, match="ended: exec format error"):
            await agent.hello()


@scenario
async def test_an_agent_that_takes_nothing_in_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach_module, "UNTAKEN_MAX", 1 << 20)
    near, far = socket.socketpair()
    with far:
        agent = await attach(near)
        sent = 0
        while not agent.closed.done():
            agent.send(Type.PING, 0, bytes(65_536))
            sent += 65_536
    assert "untaken" in str(agent.closed.result())
    assert sent < 3 << 20
