"""Bytes between two connections, both ways, each direction closing on its own.

Nothing is read before what was read last could be passed on, so a reader that stands still holds
its sender back, and no more than a window of either direction is kept here.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from emulator.clock import Clock
from emulator.sandbox.agent import AgentError

T = TypeVar("T")

IDLE_SECONDS = 600
"""How long a connection may carry nothing in either direction before it is ended."""

_PIECE = 65_536
_AT_ONCE = struct.pack("ii", 1, 0)
"""A connection that lingers for no time is reset instead of ended."""


class End(Protocol):
    """One of the two connections; `emulator.sandbox.agent.Stream` is one."""

    async def read(self) -> bytes:
        """The next bytes, empty at the end."""

    async def write(self, data: bytes) -> None:
        """Return when there is room for more."""

    def write_eof(self) -> None: ...

    def close(self) -> None: ...

    async def finished(self) -> None:
        """Return when both directions have ended and everything has been delivered."""


class SocketEnd:
    """A connection of this process, over asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(_PIECE)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def write_eof(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    async def finished(self) -> None:
        await self._writer.drain()


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection so that the other side cannot take what it got for everything."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    cast("asyncio.WriteTransport", transport).abort()


@dataclass(slots=True)
class Traffic:
    """Bytes carried, as `inside` sees them."""

    sent: int = 0
    received: int = 0


class Carriage:
    """One connection being carried, and counted in `traffic`."""

    def __init__(self, inside: End, outside: End, clock: Clock, traffic: Traffic) -> None:
        self._inside = inside
        self._outside = outside
        self._clock = clock
        self._active_at = clock.monotonic()
        self._traffic = traffic

    async def run(self) -> None:
        """Carry until both directions have ended.

        Raises:
            AgentError: the sandbox's end broke.
            OSError: this process's end broke.
            TimeoutError: nothing was carried for IDLE_SECONDS.
        """
        try:
            async with asyncio.TaskGroup() as directions:
                out = directions.create_task(self._out())
                directions.create_task(self._back())
            if out.result():
                await self._timely(self._inside.finished())
                await self._timely(self._outside.finished())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            with suppress(AgentError):
                self._outside.close()
            with suppress(AgentError):
                self._inside.close()

    async def _out(self) -> bool:
        """False when the other side takes no more: it may still have something to say."""
        while data := await self._next(self._inside):
            self._traffic.sent += len(data)
            try:
                await self._timely(self._outside.write(data))
            except (AgentError, OSError):
                return False
        with suppress(AgentError, OSError):
            self._outside.write_eof()
        return True

    async def _back(self) -> None:
        while data := await self._next(self._outside):
            self._traffic.received += len(data)
            await self._timely(self._inside.write(data))
        self._inside.write_eof()

    async def _next(self, end: End) -> bytes:
        """What comes next, unless for IDLE_SECONDS nothing came in this direction or the other."""
        while True:
            try:
                return await self._timely(end.read())
            except TimeoutError:
                if self._clock.monotonic() - self._active_at >= IDLE_SECONDS:
                    raise

    async def _timely(self, work: Awaitable[T]) -> T:
        async with self._clock.timeout(IDLE_SECONDS):
            result = await work
        self._active_at = self._clock.monotonic()
        return result
