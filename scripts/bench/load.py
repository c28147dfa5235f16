"""Many clients at once from one process, which must cost far less than what it measures.

The two share the machine's processors: the clients are protocols of one event loop, a request is
signed once a second, and what the loop costs is measured and told beside each figure.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from scripts.bench.connection import document, signed, whole_body

_PATIENCE_SECONDS = 120
"""How long the last answers may take once no more requests are sent."""


@dataclass(frozen=True)
class Job:
    """A request that is sent over and over, and what its answer must have in `stdout`."""

    base: str
    body: object
    stdout: str


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


def sustained(job: Job, clients: int, seconds: float) -> Load:
    """Each client sends its next request when it has its answer, for `seconds`."""
    return _run(job, clients, seconds)


def burst(job: Job, count: int) -> Load:
    """`count` clients send one request each, all at once."""
    return _run(job, count, 0)


def _run(job: Job, clients: int, seconds: float) -> Load:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(job, clients, seconds))


async def _drive(job: Job, clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    address = urlsplit(job.base)
    host, port = address.hostname or "", address.port or 80
    course = _Course(job, address.netloc)
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

    def __init__(self, job: Job, host: str) -> None:
        self.job = job
        self.end = 0.0
        self._host = host
        self._body = msgspec.json.encode(job.body)
        self._second = 0
        self._message = b""

    def message(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._message = signed(self._host, "POST", "/execute", self._body)
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
            self._check(body)
        except (RuntimeError, KeyError) as error:
            self._fail(error)
            return
        if now < self._course.end:
            self.send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _check(self, body: bytes) -> None:
        stdout = document(self._received, body)["stdout"]
        if stdout != self._course.job.stdout:
            raise RuntimeError(f"a program printed {stdout!r}")

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
