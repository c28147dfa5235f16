"""What sessions and services write is watched: a budget for each, and what stays free for the host.

The engine tells the size of a writable layer by walking over its files. It counts neither what was
deleted and is still held open, nor empty files and names; a sparse file counts with its length.
Against all these, and whatever writes faster than it is measured, stands the floor: the space and
the inodes that are left on the engine's disk, which nothing can hide from.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.sandbox.engine import UNKNOWN, Engine, EngineError
from emulator.sandbox.limits import MIB
from emulator.sandbox.machine import Machine
from emulator.sessions.disk_space import Floor, FreeSpace, Sizes, Verdict, free_space

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the space that is left is read, which costs microseconds."""
ALARMED_LOOK_SECONDS = 0.25
"""The same below the floor."""
MEASURE_SECONDS = 30.0
"""How often sizes are measured when that space does not shrink."""

UNMEASURED = "What it wrote to its disk cannot be measured: directories lie too deep in each other"

HIDDEN = "It wrote much to files of /etc that the host keeps for it: hosts, hostname, resolv.conf"

_NOTICEABLE = 64 * MIB
"""So much less space than before makes sizes worth measuring."""
_RANKING_SECONDS = 0.5
_REST = 9
"""Sizes are not measured for as many times the time that it took."""


class Watched(Protocol):
    """What runs in a container of its own. `stop_for_disk` pauses it and tells its owner.

    `hides` is whether it wrote much where the engine does not look.
    """

    @property
    def container_id(self) -> str: ...

    async def hides(self) -> bool: ...

    async def stop_for_disk(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What lives in a machine, and what stops it; a `Watched`."""

    machine: Machine
    stop: Callable[[str], Awaitable[None]]

    @property
    def container_id(self) -> str:
        return self.machine.container_id

    async def hides(self) -> bool:
        return await self.machine.hides()

    async def stop_for_disk(self, reason: str) -> None:
        await self.stop(reason)


class DiskWatch:
    """Stops what wrote more than its budget, and below the floor what writes most.

    Who was stopped and goes on may write a little more, as cleaning up needs room too; beyond that
    it is stopped again.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        budget_bytes: int,
        floor_bytes: int,
        watched: Callable[[], Iterable[Watched]],
        free: FreeSpace | None = None,
    ) -> None:
        """`watched` gives what runs, and so not what is paused; `free` is the engine's disk."""
        self._engine = engine
        self._clock = clock
        self._budget = budget_bytes
        self._floor = Floor(floor_bytes)
        self._watched = watched
        self._free = free
        self._sizes = Sizes(engine)
        self._allowed: dict[str, int] = {}
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._measuring: asyncio.Task[None] | None = None
        self._measured_at = -MEASURE_SECONDS
        self._rest_until = 0.0
        self._most_free = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            if self._free is None:
                self._free = await self._engine_disk()
            while True:
                await self.look()
                alarmed = self._floor.reached
                await self._clock.sleep(ALARMED_LOOK_SECONDS if alarmed else LOOK_SECONDS)
        finally:
            self._sizes.close()
            for task in (*self._stops.values(), self._measuring):
                if task is not None:
                    task.cancel()

    async def look(self) -> None:
        """Read what is free, and do what follows from it."""
        watched = [one for one in self._watched() if one.container_id not in self._stops]
        free = self._read()
        if free is not None:
            await self._keep_floor(free, watched)
        if watched and self._is_time(free):
            self._measured_at = self._clock.monotonic()
            self._most_free = free or 0
            self._measuring = asyncio.get_running_loop().create_task(self._keep_budget(watched))

    async def _engine_disk(self) -> FreeSpace | None:
        try:
            root = await self._engine.data_root()
        except EngineError as error:
            logger.warning("the engine's disk is not watched: %s", error)
            return None
        if root is None:
            logger.warning(
                "the engine keeps its files elsewhere: what is free there is not watched "
                "(disk_floor), only what each session and service writes (session_disk)"
            )
            return None
        return free_space(root)

    def _read(self) -> int | None:
        if self._free is None:
            return None
        try:
            return self._free()
        except OSError as error:
            logger.warning("the engine's disk is no longer watched: %s", error.strerror)
            self._free = None
            return None

    # --- the budget ------------------------------------------------------------------------

    def _is_time(self, free: int | None) -> bool:
        if self._measuring is not None and not self._measuring.done():
            return False
        if asyncio.get_running_loop().time() < self._rest_until:
            return False
        if free is not None:
            self._most_free = max(self._most_free, free)
            if self._most_free - free >= min(_NOTICEABLE, self._budget // 4):
                return True
        return self._clock.monotonic() - self._measured_at >= MEASURE_SECONDS

    async def _keep_budget(self, watched: list[Watched]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._sizes.keep_only({one.container_id for one in watched})
        await asyncio.gather(*map(self._keep_to_budget, watched))
        self._rest_until = loop.time() + _REST * (loop.time() - began)

    async def _keep_to_budget(self, one: Watched) -> None:
        await self._sizes.measure([one.container_id])
        written = self._sizes.written(one.container_id)
        if await one.hides():
            self._stop(one, HIDDEN)
        elif written == UNKNOWN:
            self._stop(one, UNMEASURED)
        elif written <= self._budget:
            self._allowed.pop(one.container_id, None)
        elif written > self._allowed.get(one.container_id, self._budget):
            reason = f"It wrote {_mib(written)} to its disk; it may write {_mib(self._budget)}"
            self._stop(one, reason, allowed=written + self._budget // 8)

    # --- the floor -------------------------------------------------------------------------

    async def _keep_floor(self, free: int, watched: list[Watched]) -> None:
        known = self._floor.reached
        verdict = self._floor.verdict(free, stopping=bool(self._stops))
        if self._floor.reached and not known:
            logger.warning("the engine's disk is nearly full: %s are left", _mib(free))
        for one in await self._found(verdict, watched):
            left = f"{_mib(self._floor.bytes)} of it are to stay free"
            self._stop(one, f"The host's disk is nearly full: {left}")

    async def _found(self, verdict: Verdict, watched: list[Watched]) -> list[Watched]:
        if verdict is Verdict.NOBODY or not watched:
            return []
        if verdict is Verdict.EVERYBODY:
            return watched
        hide = await asyncio.gather(*(one.hides() for one in watched))
        if any(hide):
            return list(itertools.compress(watched, hide))
        await self._sizes.measure([one.container_id for one in watched], _RANKING_SECONDS)
        return [max(watched, key=lambda one: self._sizes.rank(one.container_id))]

    # --- stopping --------------------------------------------------------------------------

    def _stop(self, one: Watched, reason: str, allowed: int | None = None) -> None:
        """Nothing waits for it: what is stopped may be busy changing."""
        if one.container_id not in self._stops:
            stop = asyncio.get_running_loop().create_task(self._stopped(one, reason, allowed))
            self._stops[one.container_id] = stop
            stop.add_done_callback(lambda _: self._stops.pop(one.container_id))

    async def _stopped(self, one: Watched, reason: str, allowed: int | None) -> None:
        logger.warning("container %s is stopped: %s", one.container_id[:12], reason)
        try:
            await one.stop_for_disk(reason)
        except (ApiError, EngineError) as error:
            logger.warning("container %s is not stopped: %s", one.container_id[:12], error)
            return
        if allowed is not None:
            self._allowed.setdefault(one.container_id, allowed)


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
