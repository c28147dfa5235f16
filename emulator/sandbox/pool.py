"""Warm containers: a few of each runtime wait, started, for the next run; each serves one."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle

from emulator.sandbox.agent import Agent, AgentError
from emulator.sandbox.engine import EngineError
from emulator.sandbox.runtimes import Runtime

logger = logging.getLogger(__name__)

FIRST_UID, LAST_UID = 2000, 2063
"""Users that runs get, so that what the kernel counts for each user is each run's own."""

REFILL_SECONDS = 0.25
"""How long a replacement waits while there are others, so as not to slow the run it follows."""

_BACKOFF_SECONDS = (0.5, 1, 2, 5, 10, 30)


class StartFailed(Exception):
    """No container could be started for a waiting run."""


@dataclass(eq=False, slots=True)
class Sandbox:
    """A started container with its agent, and the user that its run gets."""

    container_id: str
    runtime: str
    network_mode: str
    uid: int
    agent: Agent


Starter = Callable[[Runtime, str, int], Awaitable[Sandbox]]
Remover = Callable[[Sandbox], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Containers that are running programs, ready for one, and being started."""

    allocated: int
    available: int
    spawning: int

    @property
    def total(self) -> int:
        return self.allocated + self.available


@dataclass(slots=True)
class _Shelf:
    """The containers of one runtime and network mode."""

    runtime: Runtime
    network_mode: str
    target: int
    idle: deque[Sandbox] = field(default_factory=deque)
    waiting: deque[asyncio.Future[Sandbox]] = field(default_factory=deque)
    starting: int = 0
    allocated: int = 0
    failures: int = 0
    trouble: str | None = None
    served: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def missing(self) -> int:
        """How many to start: one until it stands, so that no shelf waits for others' spares."""
        kept = self.target if self.served.is_set() else min(self.target, 1)
        waiting = sum(not turn.done() for turn in self.waiting)
        return kept + waiting - len(self.idle) - self.starting


class _Users:
    """Two containers have the same user only when there are more of them than users."""

    def __init__(self) -> None:
        self._free = deque(range(FIRST_UID, LAST_UID + 1))
        self._shared = cycle(range(FIRST_UID, LAST_UID + 1))

    def take(self) -> int:
        return self._free.popleft() if self._free else next(self._shared)

    def give_back(self, uid: int) -> None:
        if uid not in self._free:
            self._free.append(uid)


class Pool:
    """Keeps shelves of warm containers filled; a context manager that leaves none behind."""

    def __init__(self, start: Starter, remove: Remover, size: int, concurrency: int) -> None:
        self._start = start
        self._remove = remove
        self._size = size
        self._starts = asyncio.Semaphore(concurrency)
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._users = _Users()
        self._closed = asyncio.Event()

    def warm(self, runtime: Runtime, network_mode: str) -> None:
        """Begin to keep containers of `runtime` ready; a shelf that keeps none waits for none."""
        shelf = self._shelf(runtime, network_mode)
        if shelf.target == 0:
            shelf.served.set()
        self._fill(shelf)

    async def close(self) -> None:
        """Remove every container, also those still being started."""
        self._closed.set()
        for shelf in self._shelves.values():
            for turn in shelf.waiting:
                if not turn.done():
                    turn.set_exception(StartFailed("the emulator is shutting down"))
            while shelf.idle:
                self._discard(shelf.idle.popleft())
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def lease(self, runtime: Runtime, network_mode: str) -> AsyncIterator[Sandbox]:
        """A container for one run, thrown away afterwards; waits until there is one.

        Raises:
            StartFailed: none could be started.
        """
        shelf = self._shelf(runtime, network_mode)
        sandbox = await self._take(shelf)
        shelf.allocated += 1
        try:
            yield sandbox
        finally:
            shelf.allocated -= 1
            self._discard(sandbox)
            self._fill(shelf)

    def figures(self, network_mode: str | None = None) -> Figures:
        """Counts over all runtimes, of one network mode or of all."""
        shelves = [
            shelf for shelf in self._shelves.values() if network_mode in (None, shelf.network_mode)
        ]
        return Figures(
            sum(shelf.allocated for shelf in shelves),
            sum(len(shelf.idle) for shelf in shelves),
            sum(shelf.starting for shelf in shelves),
        )

    async def warmed(self) -> None:
        """Wait until every runtime that is kept warm had its first container."""
        for shelf in self._shelves.values():
            await shelf.served.wait()

    def troubles(self) -> list[str]:
        """Why runs of some runtimes would fail now, or not start at once."""
        return [
            shelf.trouble or f"{shelf.runtime.name}: the first container is starting"
            for shelf in self._shelves.values()
            if shelf.trouble or not shelf.served.is_set()
        ]

    def _shelf(self, runtime: Runtime, network_mode: str) -> _Shelf:
        key = (runtime.name, network_mode)
        if key not in self._shelves:
            self._shelves[key] = _Shelf(runtime, network_mode, self._size)
        return self._shelves[key]

    async def _take(self, shelf: _Shelf) -> Sandbox:
        while shelf.idle:
            sandbox = shelf.idle.popleft()
            if not sandbox.agent.closed.done():
                self._refill(shelf)
                return sandbox
            self._discard(sandbox)
        turn: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
        shelf.waiting.append(turn)
        self._fill(shelf)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._shelve(shelf, turn.result())
            raise

    def _refill(self, shelf: _Shelf) -> None:
        if shelf.idle:
            asyncio.get_running_loop().call_later(REFILL_SECONDS, self._fill, shelf)
        else:
            self._fill(shelf)

    def _fill(self, shelf: _Shelf) -> None:
        while shelf.missing > 0 and not self._closed.is_set():
            shelf.starting += 1
            self._spawn(self._add(shelf, self._users.take()))

    async def _add(self, shelf: _Shelf, uid: int) -> None:
        try:
            async with self._starts:
                if self._closed.is_set():
                    return
                sandbox = await self._start(shelf.runtime, shelf.network_mode, uid)
        except (EngineError, AgentError) as error:
            self._users.give_back(uid)
            await self._start_failed(shelf, error)
        else:
            shelf.failures, shelf.trouble = 0, None
            shelf.served.set()
            self._shelve(shelf, sandbox)
        finally:
            shelf.starting -= 1
            self._fill(shelf)

    async def _start_failed(self, shelf: _Shelf, error: Exception) -> None:
        logger.warning("cannot start a container for %s: %s", shelf.runtime.name, error)
        shelf.trouble = f"{shelf.runtime.name}: no container starts: {error}"
        while shelf.waiting:
            turn = shelf.waiting.popleft()
            if not turn.done():
                turn.set_exception(StartFailed(str(error)))
                break
        delay = _BACKOFF_SECONDS[min(shelf.failures, len(_BACKOFF_SECONDS) - 1)]
        shelf.failures += 1
        if not any(not turn.done() for turn in shelf.waiting):
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._closed.wait()

    def _shelve(self, shelf: _Shelf, sandbox: Sandbox) -> None:
        """Give a started container to who waits longest, else keep it."""
        if self._closed.is_set():
            self._discard(sandbox)
            return
        while shelf.waiting:
            turn = shelf.waiting.popleft()
            if not turn.done():
                turn.set_result(sandbox)
                return
        shelf.idle.append(sandbox)
        sandbox.agent.closed.add_done_callback(lambda _: self._lost(shelf, sandbox))

    def _lost(self, shelf: _Shelf, sandbox: Sandbox) -> None:
        """An idle container whose agent went away is replaced."""
        if sandbox in shelf.idle:
            shelf.idle.remove(sandbox)
            self._discard(sandbox)
            self._fill(shelf)

    def _discard(self, sandbox: Sandbox) -> None:
        self._spawn(self._remove_quietly(sandbox))

    async def _remove_quietly(self, sandbox: Sandbox) -> None:
        try:
            await self._remove(sandbox)
        except EngineError as error:
            logger.warning("cannot remove container %s: %s", sandbox.container_id[:12], error)
        else:
            self._users.give_back(sandbox.uid)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
