"""Commands in a session's container, beside its shell."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from emulator.clock import Clock
from emulator.errors import ConcurrencyLimited
from emulator.sandbox.agent import AgentLost, Process
from emulator.sandbox.program import CANCELLED, OUTPUT_LIMIT, TIMED_OUT, Ending, Outcome
from emulator.sandbox.steps import GRACE_SECONDS, outcome_of
from emulator.sessions.session import Session
from emulator.stop import Stop, Stopped

COMMAND_SECONDS = 900
"""How long a command may take, as the longest execution; what it left running goes on."""


COMMANDS_MOST = 8
"""Of an account, at once: what each writes is kept here until its end, up to 32 MiB."""


class Commands:
    """Runs commands in sessions, beside their shells."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: Counter[str] = Counter()

    async def run(self, session: Session, words: tuple[str, ...], stop: Stop) -> Outcome:
        """Run a command in the working directory to its end, or until `stop` is requested.

        Raises:
            ConcurrencyLimited: the account has as many running as it may.
            AgentError: the container went away, or has no such program.
        """
        with self._place(session.record.owner):
            process = session.machine.spawn(words, output_limit=OUTPUT_LIMIT)
            try:
                async with stop.heeded(self._clock, COMMAND_SECONDS):
                    return outcome_of(await process.collect())
            except TimeoutError:
                return await _killed(process, Ending.TIMED_OUT, TIMED_OUT)
            except Stopped:
                return await _killed(process, Ending.CANCELLED, CANCELLED)

    @contextmanager
    def _place(self, owner: str) -> Iterator[None]:
        if self._running[owner] >= COMMANDS_MOST:
            raise ConcurrencyLimited(
                f"{COMMANDS_MOST} commands of this key run in sessions; wait for one to end",
                active_executions=COMMANDS_MOST,
                concurrency_limit=COMMANDS_MOST,
            )
        self._running[owner] += 1
        try:
            yield
        finally:
            self._running[owner] -= 1


async def _killed(process: Process, ending: Ending, exit_code: int) -> Outcome:
    process.signal(signal.SIGKILL)
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            collected = await process.collect()
    except TimeoutError:
        process.close()
        raise AgentLost("a killed command did not end") from None
    return replace(outcome_of(collected), ending=ending, exit_code=exit_code)
