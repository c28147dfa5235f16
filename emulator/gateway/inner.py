"""The API as sandboxes reach it: over TLS, on a socket that no one else can use."""

import asyncio
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.clock import Clock
from emulator.gateway.authority import API_NAMES
from emulator.gateway.carry import Carriage, SocketEnd, Traffic
from emulator.sandbox.agent import AgentError, Stream
from emulator.sandbox.origin import Connection, Origin, Record

PORT = 443
WAY = "api"


@contextmanager
def bound() -> Iterator[socket.socket]:
    """A listening Unix socket in a directory that is the owner's alone."""
    with (
        tempfile.TemporaryDirectory(prefix="unsandbox-") as directory,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(str(Path(directory) / "api"))
        yield listener


class Inner:
    """Carries connections of sandboxes to the inner listener."""

    def __init__(self, path: str, clock: Clock, record: Record) -> None:
        self._path = path
        self._clock = clock
        self._record = record

    async def carry(self, stream: Stream, origin: Origin, sandbox: str) -> None:
        """Carry one connection; raises AgentError or OSError when it breaks."""
        began = self._clock.monotonic()
        outside = SocketEnd(*await asyncio.open_unix_connection(self._path))
        traffic = Traffic()
        carriage = Carriage(stream, outside, self._clock, traffic)
        outcome = "failed"
        try:
            await carriage.run()
            outcome = "done"
        except AgentError:
            outcome = "broken off"  # by the program, or with its run
            raise
        finally:
            self._record(
                Connection(
                    origin=origin,
                    sandbox=sandbox,
                    way=WAY,
                    destination=f"{API_NAMES[0]}:{PORT}",
                    outcome=outcome,
                    sent=traffic.sent,
                    received=traffic.received,
                    milliseconds=round((self._clock.monotonic() - began) * 1000),
                )
            )
