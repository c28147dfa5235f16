"""Faults of the engine on demand: what is killed is killed for real, nothing is pretended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from emulator.clock import Clock
from emulator.sandbox.agent import AgentLost
from emulator.sandbox.engine import Engine
from emulator.sandbox.pool import Sandbox

LOSS_SECONDS = 10
"""How long it may take to be seen that a killed agent is gone."""


@dataclass(frozen=True, slots=True)
class EngineFault:
    """What goes wrong with the sandbox of one run; times in seconds of the emulator's clock.

    `slow_start` passes before it gets a container. `kill` names what ends `kill_after` it got one:
    `agent`, which is the container's first process, or `container`, which is gone then.
    """

    slow_start: float = 0
    kill: str | None = None
    kill_after: float = 0


@asynccontextmanager
async def faulty(
    sandbox: Sandbox, fault: EngineFault | None, engine: Engine, clock: Clock
) -> AsyncIterator[None]:
    """A block in which `fault` comes over the sandbox.

    A program that has ended before `kill_after` keeps its result; one that ends while it is being
    killed has none.

    Raises:
        AgentLost: the agent went away with the program's result.
        EngineError: nothing could be killed.
    """
    if fault is None or fault.kill is None:
        yield
        return
    due = clock.monotonic() + fault.kill_after
    kill = {"agent": engine.kill, "container": engine.remove}[fault.kill]

    async def strike() -> None:
        await clock.sleep(fault.kill_after)
        await kill(sandbox.container_id)

    striking = asyncio.create_task(strike())
    try:
        yield
        if clock.monotonic() >= due:
            await striking
            raise await _loss(sandbox)
    finally:
        striking.cancel()
        await asyncio.gather(striking, return_exceptions=True)


async def _loss(sandbox: Sandbox) -> AgentLost:
    try:
        async with asyncio.timeout(LOSS_SECONDS):
            return await asyncio.shield(sandbox.agent.closed)
    except TimeoutError:
        return AgentLost(f"a killed agent was not gone after {LOSS_SECONDS} seconds")
