"""A session's multiplexer in its container: started, found again, asked whether it lives."""

import asyncio
import itertools
from contextlib import suppress

from emulator.sandbox.agent import AgentLost, Process, SpawnFailed
from emulator.sandbox.machine import Machine
from emulator.sessions.multiplexers import COLUMNS, MULTIPLEXERS, ROWS, Words

KEY = "multiplexer"
"""What the agent keeps its server under."""

_START_SECONDS = 15.0
_ANSWER_SECONDS = 5.0
_PAUSE_SECONDS = 0.005
_OUTPUT_LIMIT = 4096


async def serve(machine: Machine, name: str, command: Words) -> Process:
    """Start a multiplexer with a shell's command; returns its server once clients can attach.

    Raises:
        AgentError: it does not start.
    """
    multiplexer = MULTIPLEXERS[name]
    server = machine.spawn(multiplexer.serve(command), key=KEY)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await server.started()
            await _succeeded(machine, multiplexer.begin(command))
    except TimeoutError:
        server.close()
        raise AgentLost(f"{name} did not start within {_START_SECONDS:.0f} seconds") from None
    return server


def adopt(machine: Machine) -> Process:
    """The server that an earlier emulator started."""
    return machine.agent.adopt(KEY)


def attach(machine: Machine, name: str) -> Process:
    """A client's program, on a terminal of its own."""
    return machine.spawn(MULTIPLEXERS[name].attach, pty=(COLUMNS, ROWS))


async def lives(machine: Machine, name: str) -> bool:
    """Whether the shell goes on, as it does where nothing can be asked: its end is told elsewhere.

    Raises:
        AgentLost: the container is gone.
    """
    with suppress(TimeoutError, SpawnFailed):
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await _succeeds(machine, MULTIPLEXERS[name].alive)
    return True


async def _succeeded(machine: Machine, command: Words) -> None:
    """Try a command again and again."""
    for _ in itertools.count():
        if await _succeeds(machine, command):
            return
        await asyncio.sleep(_PAUSE_SECONDS)


async def _succeeds(machine: Machine, command: Words) -> bool:
    process = machine.spawn(command, output_limit=_OUTPUT_LIMIT)
    try:
        return (await process.collect()).exit.status == 0
    except asyncio.CancelledError:
        process.close()
        raise
