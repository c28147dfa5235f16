"""The one clock that everything reads; tests and `POST /_emulator/clock` move it forward."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from pyrate_limiter import AbstractClock

MAX_ADVANCE = 10 * 365 * 86_400
"""Furthest single step, in seconds: ten years."""


class Clock(AbstractClock):
    """Wall time and monotonic time, shifted together by `advance`.

    Deadlines taken through `timeout` follow the shift: advancing past one ends it at once.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._timeouts: set[asyncio.Timeout] = set()

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time() + self._offset

    def monotonic(self) -> float:
        """Seconds that never go backwards, for measuring spans."""
        return time.monotonic() + self._offset

    def now(self) -> int:
        """Monotonic milliseconds, as the rate limiter reads them."""
        return int(self.monotonic() * 1000)

    def isoformat(self, at: float | None = None) -> str:
        """`at` (default: now) in the API's form, `2025-01-11T12:00:00Z`."""
        moment = datetime.fromtimestamp(self.time() if at is None else at, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def advance(self, seconds: float) -> None:
        """Move forward; raises ValueError for a step that is not within (0, MAX_ADVANCE]."""
        if not 0 < seconds <= MAX_ADVANCE:
            raise ValueError(f"advance must be more than 0 and at most {MAX_ADVANCE} seconds")
        self._offset += seconds
        for timeout in self._timeouts:
            deadline = timeout.when()
            if deadline is not None and not timeout.expired():
                timeout.reschedule(deadline - seconds)

    @property
    def offset(self) -> float:
        """Seconds that this clock is ahead of the machine's."""
        return self._offset

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """`asyncio.timeout` on this clock: raises TimeoutError when the time is over."""
        async with asyncio.timeout(seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                yield timeout
            finally:
                self._timeouts.discard(timeout)

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep` on this clock: advancing past its end ends it."""
        with suppress(TimeoutError):
            async with self.timeout(seconds):
                await asyncio.get_running_loop().create_future()
