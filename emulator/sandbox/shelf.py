"""The containers of one runtime and network mode: which wait, and how many more are wanted."""

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

from emulator.sandbox.agent import Agent
from emulator.sandbox.relay import Relay
from emulator.sandbox.runtimes import Runtime


@dataclass(eq=False, slots=True)
class Sandbox:
    """A started container with its agent.

    `uid` is the user of the present run, or of the last one; `runs` counts those begun; `resized`
    is true when its limits are no longer those it was made with; `since` is when it began to wait.
    """

    container_id: str
    runtime: str
    network_mode: str
    agent: Agent
    relay: Relay | None = None
    uid: int | None = None
    runs: int = 0
    resized: bool = False
    since: float = 0.0

    @property
    def user(self) -> int:
        """The uid and gid of the present run; ValueError when none has begun."""
        if self.uid is None:
            raise ValueError("a sandbox without a run has no user")
        return self.uid


@dataclass(frozen=True, slots=True)
class Figures:
    """Containers that are running programs (or made clean after it), ready, being started."""

    allocated: int
    available: int
    spawning: int

    @property
    def total(self) -> int:
        return self.allocated + self.available


Turn = asyncio.Future[Sandbox]
"""What a run waits on that has no container yet."""


@dataclass(eq=False, slots=True)
class Shelf:
    """Containers that serve the same runs; the latest to come back is the first to go out again.

    `floor` is how many are kept for the next runs; `pinned` says that it stays when none come.
    """

    runtime: Runtime
    network_mode: str
    floor: int
    pinned: bool = False
    used: float = 0.0
    idle: deque[Sandbox] = field(default_factory=deque)
    waiting: deque[Turn] = field(default_factory=deque)
    starting: int = 0
    allocated: int = 0
    cleaning: int = 0
    failures: int = 0
    resting: bool = False
    trouble: str | None = None
    served: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def total(self) -> int:
        return self.allocated + len(self.idle) + self.starting

    @property
    def owed(self) -> int:
        """How many runs wait for a container that is neither being started nor about to return."""
        waiting = sum(not turn.done() for turn in self.waiting)
        return waiting - self.starting - self.cleaning

    def missing(self, *, reuse: bool) -> int:
        """How many the floor lacks; those that run count when they come back afterwards.

        One until the first stands, so that no shelf waits for others' spares; none for a while
        after a failure.
        """
        if self.resting:
            return 0
        kept = self.floor if self.served.is_set() else min(self.floor, 1)
        return kept - self.total if reuse else kept - len(self.idle) + self.owed

    @property
    def surplus(self) -> int:
        return len(self.idle) - self.floor

    def first_waiting(self) -> Turn | None:
        """Takes who waits longest out of the line."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                return turn
        return None

    def first_of(self, turns: Collection[Turn]) -> Turn | None:
        """Takes the one of `turns` that waits longest out of the line."""
        turn = next((turn for turn in self.waiting if turn in turns and not turn.done()), None)
        if turn is not None:
            self.waiting.remove(turn)
        return turn
