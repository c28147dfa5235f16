"""Agents for tests: built from source, run as plain processes over pipes."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, cast

from emulator.sandbox.agent import Agent, Spawn

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "runtimes" / "agent"
BUILD = REPOSITORY / ".build" / "agent"
UID, GID = os.geteuid(), os.getegid()
"""Who runs the tests: without root, an agent can start programs as nobody else."""
SCENARIO_SECONDS = 60

P = ParamSpec("P")


def scenario(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """An asynchronous test, run in a loop of its own and not for ever."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(SCENARIO_SECONDS):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run


def shell(script: str, **more: Any) -> Spawn:  # noqa: ANN401 - whatever Spawn takes
    """A shell script to run as whoever runs the tests."""
    usual: dict[str, Any] = {"env": {"PATH": "/usr/bin:/bin"}, "output_limit": 1 << 20}
    return Spawn(argv=["sh", "-c", script], **{**usual, "uid": UID, "gid": GID, **more})


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
async def raw_agent(target: str = "sanitize") -> AsyncIterator[PipeProtocol]:
    """An agent's process, its stdin and stdout held by an `Agent` that has said nothing yet.

    When its stdin ends it must end too, well and without a word of complaint.
    """
    loop = asyncio.get_running_loop()
    # The leak check traces the process, which only root may do to one that protects itself.
    env = {"ASAN_OPTIONS": f"detect_leaks={int(UID == 0)}"}
    transport, protocol = await loop.subprocess_exec(PipeProtocol, str(built(target)), env=env)
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
    assert transport.get_returncode() == 0


@asynccontextmanager
async def running_agent(target: str = "sanitize") -> AsyncIterator[Agent]:
    """An agent ready for requests."""
    async with raw_agent(target) as protocol:
        await protocol.agent.hello()
        yield protocol.agent
