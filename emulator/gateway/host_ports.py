"""Ports of this machine that lead to ports of services, for what speaks no HTTP."""

import asyncio
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, Protocol, cast

from emulator import ids
from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.gateway.carry import Carriage, SocketEnd, Traffic, reset
from emulator.gateway.passage import Passage, Record
from emulator.gateway.reach import Lease, Reach
from emulator.gateway.served import Served
from emulator.sandbox.agent import AgentError, Datagrams

logger = logging.getLogger(__name__)

Transport = Literal["tcp", "udp"]

MOST_PEERS = 128
"""Others that talk to one port at a time; further ones are not heard."""

PEER_SECONDS = 120
"""How long a UDP peer is remembered after the last datagram that it sent."""

_WAITING_DATAGRAMS = 16
"""Of one peer, while its socket in the sandbox is made."""

_SOCKETS: Mapping[Transport, socket.SocketKind] = {
    "tcp": socket.SOCK_STREAM,
    "udp": socket.SOCK_DGRAM,
}


class HostPorts:
    """The open ones; a port stays the same for as long as it is open."""

    def __init__(
        self, host: str, reach: Reach, clock: Clock, record: Record, numbers: Sequence[int] = ()
    ) -> None:
        """`host` is the address that they are opened on; `numbers` they may have, or any."""
        self._host = host
        self._reach = reach
        self._clock = clock
        self._record = record
        self._numbers = numbers
        self._open: dict[tuple[str, int, Transport], _Port] = {}
        self._opening = asyncio.Lock()

    async def open(self, served: Served, port: int, protocol: Transport, preferred: int = 0) -> int:
        """The port of this machine that leads to `port`: `preferred` if it can be had.

        Raises:
            OSError: none can be had.
        """
        key = (served.id, port, protocol)
        async with self._opening:
            if key not in self._open:
                peers = _Peers(served, port, self._reach, self._clock, self._record)
                made = _KINDS[protocol](peers)
                await made.listen(self._bound(protocol, preferred))
                self._open[key] = made
            return self._open[key].number

    async def close_one(self, service_id: str, port: int, protocol: Transport) -> None:
        """Close one of a service, if it is open, and end what is connected to it."""
        made = self._open.pop((service_id, port, protocol), None)
        if made is not None:
            await made.close()

    async def close(self, service_id: str) -> None:
        """Close those of a service, and end what is connected to them."""
        keys = [key for key in self._open if key[0] == service_id]
        await asyncio.gather(*(self._open.pop(key).close() for key in keys))

    async def close_all(self) -> None:
        ports = list(self._open.values())
        self._open.clear()
        await asyncio.gather(*(port.close() for port in ports))

    def _bound(self, protocol: Transport, preferred: int) -> socket.socket:
        usable = preferred in self._numbers or (preferred and not self._numbers)
        others = self._numbers or (0,)  # for which the system takes a free one
        *first, last = (preferred, *others) if usable else others
        for number in first:
            with suppress(OSError):
                return _bound(self._host, number, protocol)
        return _bound(self._host, last, protocol)


def _bound(host: str, port: int, protocol: Transport) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, _SOCKETS[protocol])
    try:
        if protocol == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        if protocol == "tcp":
            made.listen()
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


class _Port(Protocol):
    number: int

    def __init__(self, peers: "_Peers") -> None: ...

    async def listen(self, bound: socket.socket) -> None: ...

    async def close(self) -> None: ...


class _Peers:
    """Who is connected to a port, each in a task of its own, written down at its end."""

    def __init__(
        self, served: Served, port: int, reach: Reach, clock: Clock, record: Record
    ) -> None:
        self.served = served
        self.port = port
        self.reach = reach
        self.clock = clock
        self._record = record
        self._tasks: set[asyncio.Task[None]] = set()

    def full(self) -> bool:
        return len(self._tasks) >= MOST_PEERS

    def follow(self, peer: "_TcpPeer | _UdpPeer") -> None:
        task = asyncio.get_running_loop().create_task(self._recorded(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _recorded(self, peer: "_TcpPeer | _UdpPeer") -> None:
        passage = Passage(
            request_id=ids.request_id(),
            protocol=peer.protocol,
            service_id=self.served.id,
            service=self.served.name,
            account=self.served.account,
            port=self.port,
        )
        began = time.perf_counter()
        try:
            await peer.carry(self, passage)
        except ApiError as error:
            passage.code = error.code
        except (AgentError, OSError) as error:
            logger.debug(
                "a %s connection of %s: %s",
                peer.protocol,
                self.served.name,
                error,
                extra={"account": self.served.account},
            )
        finally:
            peer.leave()
            passage.milliseconds = (time.perf_counter() - began) * 1000
            self._record(passage)


# --- TCP -----------------------------------------------------------------------------------


class _TcpPeer:
    protocol = "tcp"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._end = SocketEnd(reader, writer)
        self._writer = writer
        self._whole = False

    async def carry(self, peers: _Peers, passage: Passage) -> None:
        lease = await peers.reach.stream(peers.served, peers.port)
        traffic = Traffic()
        try:
            await Carriage(lease.connection, self._end, peers.clock, traffic).run()
            self._whole = True
        finally:
            lease.close()
            passage.sent, passage.received = traffic.received, traffic.sent

    def leave(self) -> None:
        """What broke on one side breaks on the other."""
        if not self._whole:
            reset(self._writer.transport)


class _TcpPort:
    def __init__(self, peers: _Peers) -> None:
        self._peers = peers
        self._server: asyncio.Server
        self.number = 0

    async def listen(self, bound: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=bound)
        self.number = bound.getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        await self._peers.end()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _TcpPeer(reader, writer)
        if self._peers.full():
            peer.leave()
        else:
            self._peers.follow(peer)


# --- UDP -----------------------------------------------------------------------------------


class _UdpPeer:
    """Who sends datagrams from one address; it has a socket of its own in the sandbox."""

    protocol = "udp"

    def __init__(self, port: "_UdpPort", address: tuple[str, int], clock: Clock) -> None:
        self._port = port
        self._address = address
        self._clock = clock
        self._active_at = clock.monotonic()
        self._waiting: list[bytes] = []
        self._lease: Lease[Datagrams] | None = None
        self._sent = self._received = 0

    def send(self, data: bytes) -> None:
        """From the peer to the service."""
        self._active_at = self._clock.monotonic()
        if self._lease is None:
            if len(self._waiting) < _WAITING_DATAGRAMS:
                self._waiting.append(data)
            return
        with suppress(AgentError):
            if self._lease.connection.send_datagram(data):
                self._sent += len(data)

    def receive(self, data: bytes) -> None:
        """From the service to the peer, whose address may be forged: that keeps nothing open."""
        self._received += len(data)
        self._port.answer(data, self._address)

    async def carry(self, peers: _Peers, passage: Passage) -> None:
        try:
            self._lease = await peers.reach.datagrams(peers.served, peers.port, self.receive)
            waiting, self._waiting = self._waiting, []
            for data in waiting:
                self.send(data)
            await self._while_active(self._lease.connection)
        finally:
            if self._lease is not None:
                self._lease.close()
            passage.sent, passage.received = self._sent, self._received

    def leave(self) -> None:
        self._port.forget(self._address)

    async def _while_active(self, connection: Datagrams) -> None:
        while (idle := self._clock.monotonic() - self._active_at) < PEER_SECONDS:
            with suppress(TimeoutError):
                async with self._clock.timeout(PEER_SECONDS - idle):
                    await connection.finished()
                    return


class _UdpPort(asyncio.DatagramProtocol):
    def __init__(self, peers: _Peers) -> None:
        self._peers = peers
        self._by_address: dict[tuple[str, int], _UdpPeer] = {}
        self._transport: asyncio.DatagramTransport
        self._socket: socket.socket
        self.number = 0

    async def listen(self, bound: socket.socket) -> None:
        self._socket = bound
        self.number = bound.getsockname()[1]
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=bound)

    async def close(self) -> None:
        self._transport.close()
        await self._peers.end()

    def answer(self, data: bytes, address: tuple[str, int]) -> None:
        """Past the transport, which would keep what cannot go at once, and drop what is empty."""
        if not self._transport.is_closing():
            with suppress(OSError):
                self._socket.sendto(data, address)

    def forget(self, address: tuple[str, int]) -> None:
        self._by_address.pop(address, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        peer = self._by_address.get(addr)
        if peer is None:
            if self._peers.full():
                return
            peer = self._by_address[addr] = _UdpPeer(self, addr, self._peers.clock)
            self._peers.follow(peer)
        peer.send(data)

    def error_received(self, exc: Exception) -> None:
        """A peer that is gone: what is sent to it is lost, as UDP says nothing else."""
        logger.debug("a datagram was not taken: %s", exc)


_KINDS: Mapping[Transport, type[_Port]] = {"tcp": _TcpPort, "udp": _UdpPort}
