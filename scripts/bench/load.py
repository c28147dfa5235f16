"""Many clients at once from one process, which must cost far less than what it measures.

The two share the machine's processors: the clients are protocols of one event loop, a request is
signed once a second, and what the loop costs is measured and told beside each figure.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from scripts.bench.connection import document, signed, whole_body

_PATIENCE_SECONDS = 120
"""How long the last answers may take once no more requests are sent."""


class Asked(Protocol):
    """A request that is sent over and over to the server at `base`."""

    @property
    def base(self) -> str: ...

    def message(self, host: str) -> bytes:
        """As it is sent in this second."""

    def check(self, received: bytes, body: bytes) -> None:
        """Raise RuntimeError or KeyError where an answer is not what it must be."""


@dataclass(frozen=True)
class Job:
    """A program to run, and what its answer must have in `stdout`."""

    base: str
    body: object
    stdout: str

    def message(self, host: str) -> bytes:
        return signed(host, "POST", "/execute", msgspec.json.encode(self.body))

    def check(self, received: bytes, body: bytes) -> None:
        stdout = document(received, body)["stdout"]
        if stdout != self.stdout:
            raise RuntimeError(f"a program printed {stdout!r}")


@dataclass(frozen=True)
class Page:
    """A page of a server, by the host name `name` or by its address, and what it must be."""

    base: str
    text: bytes
    name: str | None = None

    def message(self, host: str) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % (self.name or host).encode()

    def check(self, received: bytes, body: bytes) -> None:
        if body != self.text:
            raise RuntimeError(f"the answer was {received!r}")


@dataclass
class Load:
    """What came of it: milliseconds of each answer, and the seconds that it took in all."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    own_seconds: float = 0.0
    """Processor time of the clients themselves."""

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds

    @property
    def own_share(self) -> float:
        """Of one processor, in per cent."""
        return 100 * self.own_seconds / self.seconds


def sustained(asked: Asked, clients: int, seconds: float) -> Load:
    """Each client sends its next request when it has its answer, for `seconds`."""
    return _run(asked, clients, seconds)


def burst(asked: Asked, count: int) -> Load:
    """`count` clients send one request each, all at once."""
    return _run(asked, count, 0)


def _run(asked: Asked, clients: int, seconds: float) -> Load:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(asked, clients, seconds))


async def _drive(asked: Asked, clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    address = urlsplit(asked.base)
    host, port = address.hostname or "", address.port or 80
    course = _Course(asked, address.netloc)
    load = Load()
    pairs = [
        await loop.create_connection(lambda: _Client(course, load), host, port)
        for _ in range(clients)
    ]
    began, own = time.perf_counter(), time.process_time()
    course.end = began + seconds
    for _, client in pairs:
        client.send()
    try:
        async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
            await asyncio.gather(*(client.done for _, client in pairs))
    finally:
        for transport, _ in pairs:
            transport.close()
    load.seconds = time.perf_counter() - began
    load.own_seconds = time.process_time() - own
    return load


class _Course:
    """What the clients of one load share: the message, made anew each second, and the end."""

    def __init__(self, asked: Asked, host: str) -> None:
        self.asked = asked
        self.end = 0.0
        self._host = host
        self._second = 0
        self._message = b""

    def message(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._message = self.asked.message(self._host)
            self._second = second
        return self._message


class _Client(asyncio.Protocol):
    """One kept-alive connection with one request at a time."""

    def __init__(self, course: _Course, load: Load) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._course = course
        self._load = load
        self._received = b""
        self._sent = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def send(self) -> None:
        self._received = b""
        self._sent = time.perf_counter()
        self._transport.write(self._course.message())

    def data_received(self, data: bytes) -> None:
        self._received += data
        body = whole_body(self._received)
        if body is None:
            return
        now = time.perf_counter()
        self._load.milliseconds.append((now - self._sent) * 1000)
        try:
            self._course.asked.check(self._received, body)
        except (RuntimeError, KeyError) as error:
            self._fail(error)
            return
        if now < self._course.end:
            self.send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
