"""A name server for the namespace: hosts of services lead to one address.

A hosts file has no wildcards, so programs ask here for the names of services; for all others the
machine's own name servers are asked, and their answers given as they are.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from socket import AF_INET, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, SocketKind, socket
from typing import cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from emulator.exec.beside import Tasks, beside
from emulator.settings import SettingError

PORT = 53
SERVICES = "on.unsandbox.com"
"""What the names of services end in."""

_ZONE = dns.name.from_text(SERVICES)
UPSTREAM_SECONDS = 4.0
IDLE_SECONDS = 10.0
"""How long a TCP connection may wait for its next question."""

_MOST = 256
"""Questions that are answered at the same time; further ones wait."""

Ask = Callable[..., Awaitable[dns.message.Message]]
Answer = Callable[[bytes, Ask], Awaitable[bytes]]


@contextmanager
def answering(address: str, upstreams: Sequence[str]) -> Iterator[None]:
    """Answer at `address`, port 53, for the block.

    Raises:
        SettingError: the port cannot be had.
    """
    answer = Names(address, upstreams).answer
    with (
        _bound(address, SOCK_DGRAM) as datagrams,
        _bound(address, SOCK_STREAM) as streams,
        beside(partial(_serve, datagrams, streams, answer)),
    ):
        yield


class Names:
    """What is answered."""

    def __init__(self, address: str, upstreams: Sequence[str]) -> None:
        self._address = address
        self._upstreams = upstreams
        self._turns = asyncio.Semaphore(_MOST)

    async def answer(self, question: bytes, ask: Ask) -> bytes:
        """The answer to a message; b"" to what is no question. `ask` is how others are asked."""
        try:
            query = dns.message.from_wire(question)
        except dns.exception.DNSException:
            return b""
        if len(query.question) != 1 or query.flags & dns.flags.QR:
            return b""
        if query.question[0].name.is_subdomain(_ZONE):
            return self._own(query).to_wire()
        async with self._turns:
            return (await self._others(query, ask)).to_wire()

    def _own(self, query: dns.message.Message) -> dns.message.Message:
        asked, answer = query.question[0], dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        if asked.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY):
            answer.answer.append(dns.rrset.from_text(asked.name, 0, "IN", "A", self._address))
        return answer

    async def _others(self, query: dns.message.Message, ask: Ask) -> dns.message.Message:
        for server in self._upstreams:
            with suppress(OSError, EOFError, dns.exception.DNSException):
                return await ask(query, server, timeout=UPSTREAM_SECONDS)
        failed = dns.message.make_response(query)
        failed.set_rcode(dns.rcode.SERVFAIL)
        return failed


async def _serve(
    datagrams: socket, streams: socket, answer: Answer, tasks: Tasks, stop: asyncio.Event
) -> None:
    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.begin(_converse(reader, writer, answer))

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(answer, tasks), sock=datagrams
    )
    async with await asyncio.start_server(accepted, sock=streams):
        await stop.wait()
    transport.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer, tasks: Tasks) -> None:
        self._answer = answer
        self._tasks = tasks
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._tasks.begin(self._reply(data, addr))

    async def _reply(self, question: bytes, address: tuple[str, int]) -> None:
        if answer := await self._answer(question, dns.asyncquery.udp):
            self._transport.sendto(answer, address)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
) -> None:
    """Questions over TCP, one after another; each has its length before it."""
    with closing(writer), suppress(OSError, EOFError, TimeoutError):
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                question = await reader.readexactly(length)
            reply = await answer(question, dns.asyncquery.tcp)
            if not reply:
                return
            writer.write(struct.pack("!H", len(reply)) + reply)
            await writer.drain()


def _bound(address: str, kind: SocketKind) -> socket:
    made = socket(AF_INET, kind)
    try:
        if kind is SOCK_STREAM:
            made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        made.bind((address, PORT))
        if kind is SOCK_STREAM:
            made.listen()
    except OSError as error:
        made.close()
        raise SettingError(
            f"exec: names below {SERVICES} lead to the cloud, as port {PORT} cannot be had here "
            f"({error.strerror}); stop what listens on *:{PORT}"
        ) from None
    made.setblocking(False)
    return made
