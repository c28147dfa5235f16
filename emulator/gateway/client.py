"""The connection of a client of services: an `End` that tells at once when the client leaves."""

import asyncio
from collections.abc import Callable, MutableSet
from typing import Any

from emulator.gateway.carry import SocketEnd, reset


class Client(SocketEnd):
    """Bytes from and to a client; what serves it ends with it.

    `idle` while it may be ended without anybody noticing, `closing` once it is to be ended as soon
    as that may be. `on_end` is called when the client has said that it sends no more.
    """

    def __init__(self, transport: asyncio.Transport, connections: MutableSet[Any]) -> None:
        loop = asyncio.get_running_loop()
        self._transport = transport
        self._reading = asyncio.StreamReader(loop=loop)
        self._protocol = _Protocol(self._reading, self)
        self._connections = connections
        self._serving: asyncio.Task[None] | None = None
        writer = asyncio.StreamWriter(transport, self._protocol, self._reading, loop)
        super().__init__(self._reading, writer)
        self.idle = True
        self.closing = False
        self.on_end: Callable[[], None] | None = None

    def begin(self, received: bytes, serving: "asyncio.Task[None]") -> None:
        """Take the connection over, of which `received` has come; `serving` ends with it."""
        self._serving = serving
        self._connections.add(self)
        self._transport.set_protocol(self._protocol)
        self._protocol.connection_made(self._transport)
        self._reading.feed_data(received)

    @property
    def address(self) -> str:
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def scheme(self) -> str:
        return "http" if self._transport.get_extra_info("sslcontext") is None else "https"

    @property
    def at_end(self) -> bool:
        """Whether everything that it sent has been read, and no more will come."""
        return self._reading.at_eof()

    def write_eof(self) -> None:
        """Say that no more will come; over TLS that ends the connection."""
        if self._transport.can_write_eof():
            super().write_eof()
        else:
            self.close()

    def finish(self) -> None:
        """Say that no more will come, where that is possible while it still sends."""
        if self._transport.can_write_eof() and not self._transport.is_closing():
            super().write_eof()

    def abort(self) -> None:
        """End it so that the client cannot take what it got for everything."""
        reset(self._transport)

    def shutdown(self) -> None:
        """End it when what is being answered has been, as servers end connections."""
        self.closing = True
        if self.idle:
            self.close()

    def ended(self) -> None:
        """The client sends no more."""
        if self.on_end is not None:
            self.on_end()

    def lost(self) -> None:
        """The connection is gone."""
        self._connections.discard(self)
        if self._serving is not None:
            self._serving.cancel()


class _Protocol(asyncio.StreamReaderProtocol):
    """Feeds a client's reader, and tells of its end before that is read."""

    def __init__(self, reader: asyncio.StreamReader, client: Client) -> None:
        super().__init__(reader)
        self._client = client

    def eof_received(self) -> bool | None:
        stays = super().eof_received()
        self._client.ended()
        return stays

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._client.lost()
