"""A session as it lives: its record, its container, its clients."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from emulator.clock import Clock
from emulator.limits import Holding
from emulator.sandbox.agent import Process
from emulator.sandbox.machine import Machine
from emulator.sessions.ending import Ending
from emulator.sessions.terminal import Terminal, Viewer
from emulator.store.sessions import SessionRecord


@dataclass(eq=False, slots=True)
class Client:
    """Somebody at a session's shell; `ending` is how it ends for them: the first that is told."""

    viewer: Viewer
    ending: "asyncio.Future[Ending]"
    terminal: Terminal

    def finish(self, ending: Ending) -> None:
        """Tell them, after all that the program of the terminal, which has ended, showed."""
        if not self.ending.done():
            self.ending.set_result(ending)

    def end(self, ending: Ending) -> None:
        """Tell them now: what was not shown yet is not shown any more."""
        if not self.ending.done():
            self.ending.set_result(ending)
            self.viewer.leave()


@dataclass(eq=False, slots=True)
class Session:
    """One that has not ended.

    `slots` are what it takes of its account's, `memory` is what it was promised, `boost` what it
    got beyond that. `visitors` counts clients, and who is about to be one. `changing` is held while
    its state changes, `life` ends it. `server` is the multiplexer's program; `terminal` what all
    clients of a plain session share. `note` says why it was frozen, where its
    owner did not ask for it.
    """

    record: SessionRecord
    machine: Machine
    slots: Holding
    memory: AsyncExitStack
    boost: AsyncExitStack = field(default_factory=AsyncExitStack)
    clients: set[Client] = field(default_factory=set)
    visitors: int = 0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    server: Process | None = None
    terminal: Terminal | None = None
    life: "asyncio.Task[None] | None" = None
    over: bool = False
    note: str | None = None

    @property
    def id(self) -> str:
        return self.record.session_id

    @property
    def status(self) -> str:
        return "frozen" if self.record.frozen else "running"

    def seconds_left(self, clock: Clock) -> float | None:
        """Until its ttl ends it; None where nothing does."""
        end = self.record.expires_at
        return None if end is None else max(0.0, end - clock.time())

    def goes_by(self, name: str) -> bool:
        """Whether `name` is its id or its container's name."""
        return name in (self.id, self.record.container_name)

    def end_clients(self, ending: Ending) -> None:
        for client in tuple(self.clients):
            client.end(ending)


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that ended by itself, and why: its owner can still read that for a while."""

    record: SessionRecord
    reason: str
    at: float

    def goes_by(self, name: str) -> bool:
        """Whether `name` is its id or its container's name."""
        return name in (self.record.session_id, self.record.container_name)
