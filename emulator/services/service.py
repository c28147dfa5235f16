"""A service as it lives: its record, its container, what runs in it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum

from emulator.limits import Holding
from emulator.sandbox.agent import Stream
from emulator.sandbox.machine import Machine
from emulator.sessions.ending import Ending
from emulator.sessions.session import Client
from emulator.store.services import ServiceRecord


class State(StrEnum):
    """What a service does while it is not frozen."""

    STARTING = "starting"
    RUNNING = "running"
    REDEPLOYING = "redeploying"
    FAILED = "failed"


FROZEN = "frozen"


@dataclass(eq=False, slots=True)
class Service:
    """One that was not destroyed.

    `changing` is held while it is changed. `work` are the tasks that follow what runs in it,
    `hearing` the one of them that keeps its output; `stopped` is true while its container has
    ended, or cannot be spoken to. `environment` is what its vault held when its programs were last
    started or let go on. `message` says what is wrong, if something is.
    `streams` are connections to its ports. `visitors` are connected now, or run a command;
    `active_at` is when the last of them left.
    """

    record: ServiceRecord
    machine: Machine
    slots: Holding
    memory: AsyncExitStack = field(default_factory=AsyncExitStack)
    boost: AsyncExitStack = field(default_factory=AsyncExitStack)
    state: State = State.STARTING
    stopped: bool = False
    message: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    clients: set[Client] = field(default_factory=set)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    work: "set[asyncio.Task[None]]" = field(default_factory=set)
    hearing: "asyncio.Task[None] | None" = None
    watch: "list[asyncio.Task[None]]" = field(default_factory=list)
    streams: set[Stream] = field(default_factory=set)
    visitors: int = 0
    active_at: float = 0.0
    over: bool = False

    @property
    def id(self) -> str:
        return self.record.service_id

    @property
    def status(self) -> str:
        return FROZEN if self.record.frozen else self.state.value

    def goes_by(self, name: str) -> bool:
        """Whether `name` is its id, its own name or its container's."""
        return name in (self.id, self.record.name, self.record.container_name)

    async def connect(self, port: int) -> Stream:
        """A connection to one of its ports; raises AgentError."""
        stream = await self.machine.agent.connect(port)
        if port in self.record.ports[:1] and self.state in (State.STARTING, State.REDEPLOYING):
            self.state = State.RUNNING
        self.streams.add(stream)
        stream.ended.add_done_callback(lambda _: self.streams.discard(stream))
        return stream

    def end_clients(self, ending: Ending) -> None:
        for client in tuple(self.clients):
            client.end(ending)

    def end_connections(self) -> None:
        """Those to its ports; what is paused would leave them waiting."""
        for stream in tuple(self.streams):
            stream.close()

    def stop_work(self) -> None:
        """Nobody follows what runs in it any more."""
        for task in self.work:
            task.cancel()
        self.work.clear()
        self.watch.clear()

    def stop_watch(self) -> None:
        """Nobody follows its script any more; all else goes on."""
        for task in self.watch:
            task.cancel()
        self.watch.clear()
