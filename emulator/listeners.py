"""Sockets and the servers behind them: one process, one event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame

from emulator.errors import HeadTooLarge
from emulator.exchange import GONE
from emulator.gateway.entrance import Entrance
from emulator.gateway.heads import MAX_HEAD
from emulator.gateway.ingress import Ingress
from emulator.gateway.pages import last_words
from emulator.injection import CUT
from emulator.settings import SettingError, Settings

GRACE_SECONDS = 5
"""How long requests may take to end once the emulator is told to stop."""

STALL_SECONDS = 60
"""How long the next piece of a request that has begun may take to come, or its head to end."""

MANY_REQUESTS = 64
"""Of one connection that wait for the answers to those before them."""

MAX_MESSAGE = 1024 * 1024
"""Bytes of one WebSocket message from a client; a larger one ends the connection with 1009."""
MANY_FRAGMENTS = 1024
PING_SECONDS = 10
"""How often the other end of a WebSocket is asked for a sign of life.

It keeps idle connections open on their way, and one whose client is gone is noticed though nothing
is read from it: the second ping after that cannot be sent.
"""


_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is told instead


class _TooMany(Exception):
    """More requests came at once than wait for each other's answers here."""


class _Http(HttpToolsProtocol):
    """HTTP whose application can end a connection without an answer, or in the middle of one.

    Clients cannot make it keep without end: heads, trailers and extensions of chunks that do not
    end, and requests that are sent without waiting for answers, cost them their connections. So
    does a request of which nothing comes for STALL_SECONDS.
    """

    _kept = 0
    """Bytes since the parser last told of something."""

    _moved = False
    _moved_at = 0.0
    _whole = True
    _late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        self._kept = 0 if self._moved else self._kept + len(data)
        if self._moved:
            self._moved_at = self.loop.time()
        if self._kept > MAX_HEAD:
            self._refuse_head()
        elif not self._whole and self._late is None:
            self._late = self.loop.call_later(STALL_SECONDS, self._end_if_stalled)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._late is not None:
            self._late.cancel()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"connection": self.transport.close}}
        self._whole, self._moved = False, True

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._moved = True
        if len(self.pipeline) > MANY_REQUESTS:
            self.transport.close()
            raise _TooMany

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._moved = True

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._whole = self._moved = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # until those that wait have been answered

    def _refuse_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(last_words(HeadTooLarge("A request's head may have 64 KiB")))
        self.transport.close()

    def _end_if_stalled(self) -> None:
        self._late = None
        if self._whole or self.transport.is_closing():
            return
        left = self._moved_at + STALL_SECONDS - self.loop.time()
        if left <= 0 and not self.flow.read_paused:
            self.transport.close()
        else:
            self._late = self.loop.call_later(left if left > 0 else 1, self._end_if_stalled)


class _WebSocket(WebSocketsSansIOProtocol):
    """WebSockets whose other ends cannot make anything grow that is kept for them.

    Messages wait within limits already: neither is one read before those before it are taken, nor
    is one sent before most of what was sent has left. That the connection is gone is told by GONE,
    though messages wait that nobody has taken.
    """

    _gone: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._gone = asyncio.Event()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.set()

    async def run_asgi(self) -> None:
        self.scope["extensions"] = {**(self.scope["extensions"] or {}), GONE: {"event": self._gone}}
        await super().run_asgi()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # it was refused, which is no error of ours

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self.disconnected = True  # for who is about to send

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_utf8(self.frames):
            self.conn.fail(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the pong is for somebody who does not read

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MANY_FRAGMENTS:  # of which any number may be empty
            self.frames = [b"".join(self.frames)]
        super().handle_cont(event)


def _is_utf8(pieces: list[bytes]) -> bool:
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True


class _Server(uvicorn.Server):
    """Leaves signals to `up`, which has two of these to end, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening address; raises SettingError in words where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return listener


def address(listener: socket.socket, scheme: str = "http") -> str:
    """`http://HOST:PORT` that reaches a bound socket from this machine."""
    host, port = listener.getsockname()[:2]
    host = _EVERY_ADDRESS.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _place(listener: socket.socket) -> str:
    """What a socket is bound to, in words; it may be a Unix socket."""
    name = listener.getsockname()
    return name if isinstance(name, str) else f"{name[0]} port {name[1]}"


@dataclass(frozen=True, slots=True)
class Listeners:
    """The bound sockets of an emulator: the API, the API over TLS, the admin surface."""

    api: socket.socket
    tls: socket.socket
    admin: socket.socket

    @property
    def addresses(self) -> "Addresses":
        return Addresses(address(self.api), address(self.tls, "https"), address(self.admin))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the listeners are reached from this machine, without a path."""

    api: str
    tls: str
    admin: str


@contextmanager
def bound(settings: Settings) -> Iterator[Listeners]:
    """Take every address; raises SettingError for one that cannot be had."""
    with ExitStack() as stack:
        yield Listeners(
            api=stack.enter_context(bind(settings.host, settings.port)),
            tls=stack.enter_context(bind(settings.host, settings.tls_port)),
            admin=stack.enter_context(bind(settings.admin_host, settings.admin_port)),
        )


def _entrance(ingress: Ingress) -> Callable[..., asyncio.Protocol]:
    """What makes the protocols of a listener that services share with the API."""

    def made(server_state: ServerState, **more: Any) -> asyncio.Protocol:  # noqa: ANN401 - uvicorn's
        return Entrance(
            partial(_Http, server_state=server_state, **more),
            ingress,
            server_state.connections,
            server_state.tasks,
        )

    return made


@asynccontextmanager
async def serving(
    app: ASGIApp,
    listener: socket.socket,
    tls: ssl.SSLContext | None = None,
    ingress: Ingress | None = None,
) -> AsyncIterator[None]:
    """Serve `app` on `listener` for the block; ends when running requests have, or their grace.

    With `ingress`, hosts of services lead to them.

    Raises:
        SettingError: another socket came to listen there since `listener` was bound.
    """
    try:
        listener.listen()
    except OSError as error:
        raise SettingError(f"cannot listen on {_place(listener)}: {error.strerror}") from None
    config = uvicorn.Config(
        app,
        http=_Http if ingress is None else cast("type[asyncio.Protocol]", _entrance(ingress)),
        ws=_WebSocket,
        ws_max_size=MAX_MESSAGE,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=None,  # who is stopped, or has a paste in the way, answers none
        ws_per_message_deflate=False,  # costs processor time, and the client is on this machine
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    try:
        yield
    finally:
        server.should_exit = True
        await task
