"""Agents for tests: built from source, run as plain processes over pipes."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import cast

from emulator.sandbox.agent import Agent

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "runtimes" / "agent"
BUILD = REPOSITORY / ".build" / "agent"
UID, GID = os.geteuid(), os.getegid()
"""Who runs the tests: without root, an agent can start programs as nobody else."""


@cache
def built(target: str = "agent") -> Path:
    """The agent's program, made when its source changed; `sanitize` has ASan and UBSan in it."""
    subprocess.run(
        ["make", "-s", "-C", str(SOURCE), f"OUT={BUILD}", target], check=True, capture_output=True
    )
    return BUILD / {"agent": "agent", "sanitize": "agent-sanitize"}[target]


class PipeProtocol(asyncio.SubprocessProtocol):
    """Feeds an agent the stdout of its process; what it says on stderr is kept."""

    def __init__(self) -> None:
        self.agent: Agent
        self.complaint = bytearray()
        self.exited = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        process = cast("asyncio.SubprocessTransport", transport)
        self.agent = Agent(cast("asyncio.WriteTransport", process.get_pipe_transport(0)))

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        if fd == 1:
            self.agent.feed(data)
        else:
            self.complaint += data

    def process_exited(self) -> None:
        self.agent.lose("the agent's process ended")
        self.exited.set()


@asynccontextmanager
async def raw_agent(target: str = "agent") -> AsyncIterator[PipeProtocol]:
    """An agent's process, its stdin and stdout held by an `Agent` that has said nothing yet."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(PipeProtocol, str(built(target)))
    try:
        yield protocol
    finally:
        protocol.agent.close()
        try:
            async with asyncio.timeout(10):
                await protocol.exited.wait()
        finally:
            transport.close()
    assert protocol.complaint == b""


@asynccontextmanager
async def running_agent(target: str = "agent") -> AsyncIterator[Agent]:
    """An agent ready for requests."""
    async with raw_agent(target) as protocol:
        await protocol.agent.hello()
        yield protocol.agent
