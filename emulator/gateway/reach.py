"""Connections to services, whatever state they are in: woken, waited for, and bounded."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from emulator.clock import Clock
from emulator.errors import BadGateway, NoCapacity, ServiceFrozen, ServiceStarting
from emulator.gateway.served import FROZEN, STARTING, Served
from emulator.sandbox.agent import AgentError, Datagrams, Stream

MOST_STREAMS = 192
"""Connections to one service at a time: its agent has room for 256 channels of all kinds."""

TURN_SECONDS = 10
"""How long a connection waits for others to end before it is refused."""

START_SECONDS = 5
"""How long a service that is starting is waited for: a browser comes right after its creation."""

CONNECT_SECONDS = 10
_AGAIN_SECONDS = 0.05


class _Closes(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closes)


@dataclass(eq=False, slots=True)
class Lease(Generic[C]):
    """A connection to a service; `close` ends it, and lets the next one in."""

    connection: C
    _leave: Callable[[], None] | None

    def close(self) -> None:
        """Reset it, unless it has ended; more than once is fine."""
        with suppress(AgentError):
            self.connection.close()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


@dataclass(slots=True)
class _Room:
    """Who is connected to a service, or waits for it."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_STREAMS))
    visitors: int = 0


class Reach:
    """The way to every service's ports."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rooms: dict[str, _Room] = {}
        self._waking: dict[str, asyncio.Task[None]] = {}

    async def stream(self, served: Served, port: int) -> Lease[Stream]:
        """A TCP connection to a port.

        Raises:
            ServiceFrozen: it is frozen, and not to be woken by this.
            ServiceStarting: nobody listens yet, and it may be a while.
            BadGateway: nobody listens.
            NoCapacity: it has as many connections as it may have.
            ApiError: it could not be woken.
        """
        return await self._lease(served, lambda: self._connected(served, port))

    async def datagrams(
        self, served: Served, port: int, receive: Callable[[bytes], None]
    ) -> Lease[Datagrams]:
        """A UDP socket that talks to a port; raises as `stream` does."""

        async def opened() -> Datagrams:
            await self.awake(served)
            try:
                return await served.datagrams(port, receive)
            except AgentError:
                raise BadGateway("The service cannot be reached") from None

        return await self._lease(served, opened)

    async def _lease(self, served: Served, connect: Callable[[], Awaitable[C]]) -> Lease[C]:
        room = self._rooms.setdefault(served.id, _Room())
        room.visitors += 1
        served.enter()
        try:
            await self._turn(room)
        except BaseException:
            self._left(served, room)
            raise
        try:
            connection = await connect()
        except BaseException:
            self._leave(served, room)
            raise
        return Lease(connection, lambda: self._leave(served, room))

    async def awake(self, served: Served) -> None:
        """Return when it is not frozen; it is woken once for all who ask.

        Raises:
            ServiceFrozen: it is not to be woken by this.
            ApiError: it could not be woken.
        """
        if served.state != FROZEN:
            return
        if not served.wakes_on_demand:
            raise ServiceFrozen("The service is frozen, and requests do not wake it")
        task = self._waking.get(served.id)
        if task is None:
            task = self._waking[served.id] = asyncio.create_task(served.wake())
            task.add_done_callback(lambda done: self._woken(served, done))
        await asyncio.shield(task)

    def _woken(self, served: Served, task: "asyncio.Task[None]") -> None:
        """Who asked for it may have gone meanwhile; then nobody hears what went wrong."""
        del self._waking[served.id]
        if not task.cancelled():
            task.exception()

    async def _turn(self, room: _Room) -> None:
        if not room.turns.locked():
            await room.turns.acquire()
            return
        try:
            async with self._clock.timeout(TURN_SECONDS):
                await room.turns.acquire()
        except TimeoutError:
            raise NoCapacity("The service has as many connections as it can have") from None

    def _leave(self, served: Served, room: _Room) -> None:
        room.turns.release()
        self._left(served, room)

    def _left(self, served: Served, room: _Room) -> None:
        served.leave()
        room.visitors -= 1
        if room.visitors == 0:
            del self._rooms[served.id]

    async def _connected(self, served: Served, port: int) -> Stream:
        """Try until somebody listens, while that may still come."""
        end = self._clock.monotonic() + START_SECONDS
        while True:
            await self.awake(served)
            try:
                async with self._clock.timeout(CONNECT_SECONDS):
                    return await served.connect(port)
            except (AgentError, TimeoutError):
                if served.state not in (FROZEN, *STARTING):  # frozen while it was asked
                    raise BadGateway(_WHY.get(served.state, _NOBODY)) from None
                if self._clock.monotonic() >= end:
                    raise ServiceStarting("The service does not answer yet") from None
            await asyncio.sleep(_AGAIN_SECONDS)


_NOBODY = "Nothing listens on this port of the service"
_WHY = {"failed": "The service has failed: nothing listens on this port; its log may say why"}
