"""Sockets and the servers behind them: one process, one event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from emulator.exchange import GONE
from emulator.injection import CUT
from emulator.settings import SettingError, Settings

GRACE_SECONDS = 5
"""How long requests may take to end once the emulator is told to stop."""

MAX_MESSAGE = 1024 * 1024
"""Bytes of one WebSocket message from a client; a larger one ends the connection with 1009."""
MANY_FRAGMENTS = 1024
PING_SECONDS = 10
"""How often the other end of a WebSocket is asked for a sign of life.

It keeps idle connections open on their way, and one whose client is gone is noticed though nothing
is read from it: the second ping after that cannot be sent.
"""


_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is told instead


class _Http(HttpToolsProtocol):
    """HTTP whose application can end a connection without an answer, or in the middle of one."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"connection": self.transport.close}}


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


@asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve `app` on `listener` for the block; ends when running requests have, or their grace.

    Raises:
        SettingError: another socket came to listen there since `listener` was bound.
    """
    try:
        listener.listen()
    except OSError as error:
        raise SettingError(f"cannot listen on {_place(listener)}: {error.strerror}") from None
    config = uvicorn.Config(
        app,
        http=_Http,
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
