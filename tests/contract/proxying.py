"""A proxy in a thread, and servers for it to stand before."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from contract.campaign import redactor
from contract.proxy.command import serving
from contract.proxy.judge import Judge
from contract.proxy.log import Log
from contract.spec import Spec
from contract.target import resolve

SECONDS = 30
SPEC = Spec()


@dataclass(frozen=True)
class Proxy:
    port: int
    log: Log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def proxying(url: str) -> Iterator[Proxy]:
    """A proxy before `url`, until the block ends."""
    target = resolve(None, url)
    log = Log(None, redactor(target), say=lambda _line: None)
    log.start()
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        async def serve() -> None:
            stop = asyncio.Event()
            async with serving(target, Judge(SPEC, target), log, listener):
                started.set_result((asyncio.get_running_loop(), stop))
                await stop.wait()

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        loop, stop = started.result(SECONDS)
        try:
            yield Proxy(listener.getsockname()[1], log)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(SECONDS)
            assert not thread.is_alive(), "the proxy did not end"


@dataclass
class Upstream:
    """A server of one connection: keeps the bytes that come, and answers as it is told."""

    port: int
    came: bytearray = field(default_factory=bytearray)
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def upstream(answer: Callable[[socket.socket], None], end: bytes) -> Iterator[Upstream]:
    """A server that reads until `end`, then lets `answer` write."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = Upstream(listener.getsockname()[1])

        def serve() -> None:
            with closing(listener.accept()[0]) as connection:
                connection.settimeout(SECONDS)
                while end not in server.came:
                    server.came += connection.recv(65536)
                answer(connection)
                while connection.recv(65536):
                    pass
            server.closed.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        thread.join(SECONDS)
