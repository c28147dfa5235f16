"""What is left of a disk, and who takes it."""

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Iterable
from enum import Enum, auto
from pathlib import Path

from emulator.sandbox.engine import Engine, EngineError
from emulator.sandbox.limits import MIB

logger = logging.getLogger(__name__)

BYTES_PER_INODE = 16 * 1024
"""A free inode counts for as much space, as a file system is made with: both run out."""

_FURTHER = 16 * MIB
"""So much less below the floor means that who makes it shrink still runs."""
_AT_ONCE = 2

FreeSpace = Callable[[], int]


def free_space(root: Path) -> FreeSpace:
    """Reads what is left where `root` lies, in bytes: of space or of inodes, what is scarcer."""

    def read() -> int:
        found = os.statvfs(root)
        space = found.f_bavail * found.f_frsize
        return min(space, found.f_favail * BYTES_PER_INODE) if found.f_files else space

    return read


class Verdict(Enum):
    """Who is to be stopped."""

    NOBODY = auto()
    WORST = auto()
    EVERYBODY = auto()


class Floor:
    """Bytes that are to stay free. Below, one is stopped after the other while it gets less.

    Stopping frees nothing: when what is left no longer shrinks, it was the right one, and the
    others may go on. Below half of it nobody may.
    """

    def __init__(self, size: int) -> None:
        self.bytes = size
        self._low: int | None = None
        self._settling = False

    @property
    def reached(self) -> bool:
        """From below the floor until well above it."""
        return self._low is not None

    def verdict(self, free: int, *, stopping: bool) -> Verdict:
        """`stopping`: somebody is just being stopped, and may have written on meanwhile."""
        if free >= self.bytes:
            if free >= self.bytes + self.bytes // 8:
                self._low, self._settling = None, False
            return Verdict.NOBODY
        if free < self.bytes // 2:
            self._low = free
            return Verdict.EVERYBODY
        if stopping or self._settling:
            self._low, self._settling = free, stopping
            return Verdict.NOBODY
        if self._low is not None and free > self._low - _FURTHER:
            return Verdict.NOBODY
        self._low, self._settling = free, True
        return Verdict.WORST


class Sizes:
    """What containers have written: in all, and since they were measured before.

    Few are measured at once and none twice: the engine walks over all files, which may be many.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._walks: dict[str, asyncio.Task[None]] = {}
        self._written: dict[str, int] = {}
        self._grown: dict[str, int] = {}

    async def measure(self, container_ids: Iterable[str], seconds: float | None = None) -> None:
        """Return when all have been measured, or after `seconds`; some may not be to be had."""
        walks = [self._walks.get(one) or self._begin(one) for one in container_ids]
        if walks:
            await asyncio.wait(walks, timeout=seconds)

    def written(self, container_id: str) -> int:
        return self._written.get(container_id, 0)

    def rank(self, container_id: str) -> tuple[int, int]:
        """The larger, the more likely it is what fills the disk now."""
        return self._grown.get(container_id, 0), self.written(container_id)

    def keep_only(self, container_ids: Collection[str]) -> None:
        for table in (self._written, self._grown):
            for gone in table.keys() - container_ids:
                del table[gone]

    def close(self) -> None:
        for walk in self._walks.values():
            walk.cancel()

    def _begin(self, container_id: str) -> "asyncio.Task[None]":
        walk = asyncio.get_running_loop().create_task(self._walk(container_id))
        self._walks[container_id] = walk
        walk.add_done_callback(lambda _: self._walks.pop(container_id))
        return walk

    async def _walk(self, container_id: str) -> None:
        async with self._turns:
            try:
                now = await self._engine.written(container_id)
            except EngineError as error:
                logger.debug("the disk of %s is not measured: %s", container_id, error)
                return
        self._grown[container_id] = now - self.written(container_id)
        self._written[container_id] = now
