"""One command in a session's container, beside its shell."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import replace

from emulator.clock import Clock
from emulator.sandbox.agent import AgentLost, Process
from emulator.sandbox.machine import Machine
from emulator.sandbox.program import CANCELLED, OUTPUT_LIMIT, TIMED_OUT, Ending, Outcome
from emulator.sandbox.steps import GRACE_SECONDS, outcome_of
from emulator.stop import Stop, Stopped

COMMAND_SECONDS = 900
"""How long a command may take, as the longest execution; what it left running goes on."""


async def run(
    machine: Machine,
    words: tuple[str, ...],
    clock: Clock,
    stop: Stop,
    seconds: float | None = COMMAND_SECONDS,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a command in the working directory to its end, or until `stop` is requested.

    It may take `seconds`, or any time; `env` is over its usual environment.

    Raises:
        AgentError: the container went away, or has no such program.
    """
    process = machine.spawn(words, output_limit=OUTPUT_LIMIT, env=env)
    try:
        async with stop.heeded(clock, seconds):
            return outcome_of(await process.collect())
    except TimeoutError:
        return await _killed(process, Ending.TIMED_OUT, TIMED_OUT)
    except Stopped:
        return await _killed(process, Ending.CANCELLED, CANCELLED)


async def _killed(process: Process, ending: Ending, exit_code: int) -> Outcome:
    process.signal(signal.SIGKILL)
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            collected = await process.collect()
    except TimeoutError:
        process.close()
        raise AgentLost("a killed command did not end") from None
    return replace(outcome_of(collected), ending=ending, exit_code=exit_code)
