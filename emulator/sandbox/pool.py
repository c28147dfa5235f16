"""Warm containers: some of each runtime wait, started, for the next run, one run at a time in each.

A shelf grows while runs wait for it, within what the pool may hold, and shrinks to its floor when
they no longer come. What a run leaves is cleared away after its answer has left.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from emulator.clock import Clock
from emulator.sandbox.agent import AgentError
from emulator.sandbox.engine import EngineError
from emulator.sandbox.runtimes import Runtime
from emulator.sandbox.shelf import Figures, Sandbox, Shelf, Turn
from emulator.sandbox.users import Users

__all__ = ["Figures", "Policy", "Pool", "Sandbox", "StartFailed", "Unfit"]

logger = logging.getLogger(__name__)

RUNS_MAX = 1000
"""Runs that a container serves with `isolation=reuse`: whatever drifts in it stays small."""

REFILL_SECONDS = 0.25
"""How long a replacement waits while there are others, so as not to slow the run it follows."""

PING_AFTER_SECONDS = 1.0
"""A container that waited longer is asked whether its agent still answers."""
PING_SECONDS = 2.0

TEND_SECONDS = 1.0
"""How often the pool looks for containers that nobody needs any more."""

_BACKOFF_SECONDS = (0.5, 1, 2, 5, 10, 30)


class StartFailed(Exception):
    """No container could be started for a waiting run."""


class Unfit(Exception):
    """A container cannot serve another run; the message says why."""


_EXPECTED = (Unfit, AgentError, EngineError)


class Sandboxes(Protocol):
    """Where containers come from and go to."""

    async def start(self, runtime: Runtime, network_mode: str) -> Sandbox:
        """A container whose agent answers; raises EngineError or AgentError."""

    async def renew(self, sandbox: Sandbox) -> None:
        """Make it as it was before its run; raises Unfit, EngineError or AgentError."""

    async def remove(self, sandbox: Sandbox) -> None:
        """End it; raises EngineError when it could not be removed yet."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How many containers there may be.

    `size` are kept for each runtime that is kept warm. There are no more than `most` (what the
    memory budget lets run at once) but for those: one that waits needs little. `runs` is how many
    each serves, and `idle_seconds` how long those beyond `size` wait for another.
    """

    size: int
    most: int
    concurrency: int
    runs: int
    idle_seconds: int


class Pool:
    """Keeps shelves of warm containers filled; `close` leaves none behind."""

    def __init__(self, sandboxes: Sandboxes, policy: Policy, clock: Clock) -> None:
        self._sandboxes = sandboxes
        self._policy = policy
        self._clock = clock
        self._starts = asyncio.Semaphore(policy.concurrency)
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._users = Users()
        self._closed = asyncio.Event()
        self._starved = False
        self._spawn(self._tend())

    def warm(self, runtime: Runtime, network_mode: str) -> None:
        """Begin to keep containers of `runtime` ready; a shelf that keeps none waits for none."""
        shelf = self._shelf(runtime, network_mode)
        shelf.pinned = True
        if shelf.floor == 0:
            shelf.served.set()
        self._fill()

    async def close(self) -> None:
        """Remove every container, also those still being started."""
        self._closed.set()
        for shelf in self._shelves.values():
            while (turn := shelf.first_waiting()) is not None:
                turn.set_exception(StartFailed("the emulator is shutting down"))
            while shelf.idle:
                self._discard(shelf.idle.popleft())
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def lease(self, runtime: Runtime, network_mode: str) -> AsyncIterator[Sandbox]:
        """A container for one run; waits until there is one.

        Afterwards it is made clean or thrown away, which nobody waits for.

        Raises:
            StartFailed: none could be started.
        """
        shelf = self._shelf(runtime, network_mode)
        sandbox = await self._take(shelf)
        sandbox.uid = self._users.take(sandbox.uid)
        sandbox.runs += 1
        try:
            yield sandbox
        finally:
            self._spawn(self._return(shelf, sandbox))

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
            if shelf.pinned:
                await shelf.served.wait()

    def troubles(self) -> list[str]:
        """Why runs of some runtimes would fail now, or not start at once."""
        return [
            shelf.trouble or f"{shelf.runtime.name}: the first container is starting"
            for shelf in self._shelves.values()
            if shelf.trouble or (shelf.pinned and not shelf.served.is_set())
        ]

    def _shelf(self, runtime: Runtime, network_mode: str) -> Shelf:
        key = (runtime.name, network_mode)
        if key not in self._shelves:
            self._shelves[key] = Shelf(runtime, network_mode, self._policy.size)
        return self._shelves[key]

    @property
    def _reuse(self) -> bool:
        return self._policy.runs > 1

    # --- a run's container -----------------------------------------------------------------

    async def _take(self, shelf: Shelf) -> Sandbox:
        """One that answers, which counts as allocated from now on."""
        shelf.floor, shelf.used = self._policy.size, self._clock.monotonic()
        while shelf.idle:
            sandbox = shelf.idle.pop()
            shelf.allocated += 1
            if await self._answers(shelf, sandbox):
                if not self._reuse:
                    self._fill_soon(shelf)
                return sandbox
        turn: Turn = asyncio.get_running_loop().create_future()
        shelf.waiting.append(turn)
        self._fill()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._put_back(shelf, turn.result())
            raise

    async def _answers(self, shelf: Shelf, sandbox: Sandbox) -> bool:
        """Whether its agent can be spoken to; if not, it is thrown away and costs no run."""
        if self._clock.monotonic() - sandbox.since < PING_AFTER_SECONDS:
            return True
        try:
            async with asyncio.timeout(PING_SECONDS):
                await sandbox.agent.ping()
        except (AgentError, TimeoutError):
            logger.warning("container %s does not answer any more", sandbox.container_id[:12])
            shelf.allocated -= 1
            self._discard(sandbox)
            return False
        except asyncio.CancelledError:
            self._put_back(shelf, sandbox)
            raise
        return True

    async def _return(self, shelf: Shelf, sandbox: Sandbox) -> None:
        """After a run: back to the shelf when it is as it was before, else away with it."""
        shelf.cleaning += self._reuse
        try:
            await self._renew(sandbox)
        except Exception as error:
            # A fault of ours must not keep the place of a container that nobody gets any more.
            if isinstance(error, _EXPECTED):
                level = logging.INFO if self._reuse else logging.DEBUG
                logger.log(level, "container %s goes: %s", sandbox.container_id[:12], error)
            else:
                logger.exception("container %s goes", sandbox.container_id[:12])
            shelf.allocated -= 1
            shelf.cleaning -= self._reuse
            self._fill_soon(shelf)
            await self._remove(sandbox)
            self._users.give_back(sandbox.user)
        else:
            self._users.give_back(sandbox.user)
            shelf.cleaning -= self._reuse
            self._put_back(shelf, sandbox)

    async def _renew(self, sandbox: Sandbox) -> None:
        if self._closed.is_set():
            raise Unfit("the emulator is shutting down")
        if sandbox.runs >= self._policy.runs:
            raise Unfit(f"it has served {sandbox.runs} runs")
        await self._sandboxes.renew(sandbox)

    def _put_back(self, shelf: Shelf, sandbox: Sandbox) -> None:
        shelf.allocated -= 1
        self._shelve(shelf, sandbox)

    def _shelve(self, shelf: Shelf, sandbox: Sandbox) -> None:
        """Give a container to who waits longest, else keep it."""
        if self._closed.is_set() or sandbox.agent.closed.done():
            self._discard(sandbox)
            self._fill()
            return
        turn = shelf.first_waiting()
        if turn is not None:
            shelf.allocated += 1
            turn.set_result(sandbox)
            return
        sandbox.since = self._clock.monotonic()
        shelf.idle.append(sandbox)
        if self._starved:
            self._fill()

    # --- how many there are ----------------------------------------------------------------

    def _fill_soon(self, shelf: Shelf) -> None:
        if shelf.idle:
            self._spawn(self._fill_later())
        else:
            self._fill()

    async def _fill_later(self) -> None:
        if not await self._closed_within(REFILL_SECONDS):
            self._fill()

    def _fill(self) -> None:
        """Start what runs wait for, then what the floors lack, as far as there is room."""
        if self._closed.is_set():
            return
        for shelf in self._shelves.values():
            while shelf.owed > 0 and (self._room() or self._evict_for(shelf)):
                self._begin(shelf)
        self._starved = any(shelf.owed > 0 for shelf in self._shelves.values())
        for shelf in self._shelves.values():
            while shelf.missing(reuse=self._reuse) > 0 and self._room():
                self._begin(shelf)

    def _room(self) -> bool:
        """Spares of containers that serve one run come on top: they are not back after it."""
        shelves, most = self._shelves.values(), self._policy.most
        kept = sum(shelf.floor for shelf in shelves if shelf.pinned)
        most = max(most, kept) if self._reuse else most + kept
        return sum(shelf.total for shelf in shelves) < most

    def _evict_for(self, shelf: Shelf) -> bool:
        """Throws away what waits for another runtime: surplus first, then what waited longest."""
        others = [other for other in self._shelves.values() if other is not shelf and other.idle]
        if not others:
            return False
        other = max(others, key=lambda it: (it.surplus > 0, -it.idle[0].since))
        self._discard(other.idle.popleft())
        return True

    async def _tend(self) -> None:
        while not await self._closed_within(TEND_SECONDS):
            self._shrink()

    def _shrink(self) -> None:
        """Containers beyond the floor that nobody took for a while go, and so do unused floors."""
        oldest = self._clock.monotonic() - self._policy.idle_seconds
        for shelf in self._shelves.values():
            if not shelf.pinned and shelf.used < oldest:
                shelf.floor = 0
            while shelf.surplus > 0 and shelf.idle[0].since < oldest:
                self._discard(shelf.idle.popleft())
        self._fill()

    # --- starting and removing -------------------------------------------------------------

    def _begin(self, shelf: Shelf) -> None:
        shelf.starting += 1
        self._spawn(self._add(shelf, frozenset(shelf.waiting)))

    async def _add(self, shelf: Shelf, asked: frozenset[Turn]) -> None:
        sandbox = None
        try:
            async with self._starts:
                if not self._closed.is_set():
                    sandbox = await self._sandboxes.start(shelf.runtime, shelf.network_mode)
        except (EngineError, AgentError) as error:
            self._start_failed(shelf, asked, error)
        finally:
            shelf.starting -= 1
        if sandbox is not None:
            shelf.failures, shelf.trouble = 0, None
            shelf.served.set()
            sandbox.agent.closed.add_done_callback(lambda _: self._lost(shelf, sandbox))
            self._shelve(shelf, sandbox)
        self._fill()

    def _start_failed(self, shelf: Shelf, asked: frozenset[Turn], error: Exception) -> None:
        """Who waited longest when it began is told; the floor is tried again later.

        Another run is tried for at once: what failed before it came says nothing about it.
        """
        logger.warning("cannot start a container for %s: %s", shelf.runtime.name, error)
        shelf.trouble = f"{shelf.runtime.name}: no container starts: {error}"
        turn = shelf.first_of(asked)
        if turn is not None:
            turn.set_exception(StartFailed(str(error)))
        if not shelf.resting:
            self._spawn(self._rest(shelf))

    async def _rest(self, shelf: Shelf) -> None:
        shelf.resting = True
        await self._pause(shelf.failures)
        shelf.failures += 1
        shelf.resting = False
        self._fill()

    async def _pause(self, failures: int) -> bool:
        """Wait the longer the more failures there were; false when the pool closes."""
        return not await self._closed_within(
            _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
        )

    async def _closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return self._closed.is_set()

    def _lost(self, shelf: Shelf, sandbox: Sandbox) -> None:
        """An idle container whose agent went away is replaced."""
        if sandbox in shelf.idle:
            shelf.idle.remove(sandbox)
            self._discard(sandbox)
            self._fill()

    def _discard(self, sandbox: Sandbox) -> None:
        self._spawn(self._remove(sandbox))

    async def _remove(self, sandbox: Sandbox) -> None:
        """Returns when it is gone: while the engine is away, it is tried again and again."""
        for failures in itertools.count():
            try:
                await self._sandboxes.remove(sandbox)
                break
            except EngineError as error:
                logger.warning("cannot remove container %s: %s", sandbox.container_id[:12], error)
            if not await self._pause(failures):
                break

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
