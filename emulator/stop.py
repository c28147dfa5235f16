"""A wish to end something before its time, and how whoever waits for it meanwhile hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emulator.clock import Clock


class Stopped(Exception):
    """What was waited for is no longer wanted."""


class Stop:
    """One piece of work's end by request; it cannot be taken back.

    The work waits for everything that may take long under `heeded`; one wait at a time.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._waiting: asyncio.Timeout | None = None

    @property
    def requested(self) -> bool:
        return self.reason is not None

    def request(self, reason: str) -> None:
        """End the work; of several reasons the first one counts."""
        if self.reason is None:
            self.reason = reason
        self._end_wait()

    def check(self) -> None:
        """Raise Stopped if the end was requested."""
        if self.requested:
            raise Stopped

    @asynccontextmanager
    async def heeded(self, clock: Clock, seconds: float | None) -> AsyncIterator[None]:
        """`clock.timeout(seconds)`, or no limit, for the block.

        Raises:
            Stopped: the end was requested, before or meanwhile.
            TimeoutError: the time is over.
        """
        try:
            async with clock.timeout(seconds) as timeout:
                self._waiting = timeout
                if self.requested:
                    self._end_wait()
                try:
                    yield
                finally:
                    self._waiting = None
        except TimeoutError:
            self.check()
            raise

    def _end_wait(self) -> None:
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())
