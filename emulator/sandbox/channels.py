"""One channel's life on the emulator's side: credit both ways, its streams, and how it ends.

Every frame from an agent is taken as hostile: what no honest agent sends raises
`ProtocolViolation`, and nothing is kept beyond a channel's window.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Generic, Protocol, TypeVar

from emulator.sandbox.agent_errors import (
    AgentError,
    AgentLost,
    ChannelClosed,
    ProtocolViolation,
    Refused,
)
from emulator.sandbox.frames import PAYLOAD_MAX, WINDOW, Fields, Frame, StreamId, Tag, Type

T = TypeVar("T")
Sink = Callable[[StreamId, bytes], None]

_SMALL: Final = 4096
_MANY: Final = 1024
_TERMINAL: Final = {Type.EXIT, Type.ERROR, Type.CLOSE, Type.REPORT}


class Link(Protocol):
    """What a channel needs of its agent."""

    window: int

    def send(
        self, type_: Type, channel: int, payload: bytes | memoryview = b"", flags: int = 0
    ) -> None:
        """Queue a frame; raises AgentLost when there is nobody to send it to."""


class Channel(Generic[T]):
    """A channel that ends with a `T`, or with an AgentError; subclasses say what frames mean.

    Subclasses name the last frame of success (`finish`), turn it into the result (`result`), and
    list the streams the agent may send (`streams`).
    """

    finish: Type = Type.EXIT
    failure: type[Refused] = Refused
    streams: frozenset[StreamId] = frozenset()
    opens: bool = False

    def __init__(self, link: Link, channel_id: int) -> None:
        loop = asyncio.get_running_loop()
        self.id = channel_id
        self.ended: asyncio.Future[T] = loop.create_future()
        self.opened: asyncio.Future[Fields] = loop.create_future()
        self._link = link
        self._send_credit = self._receive_credit = link.window
        self._owed = 0
        self._more_credit = asyncio.Event()
        self._open_streams = set(self.streams)
        self._closing = False

    def outcome(self) -> "asyncio.Future[T]":
        """How it ends, to be awaited by anyone: a waiter that is cancelled takes nobody along."""
        return outcome_of(self.ended)

    # --- for the agent ---------------------------------------------------------------------

    def receive(self, frame: Frame) -> bool:
        """Takes a frame in; true when it was the last one."""
        if frame.type in _TERMINAL:
            self._end(frame)
            return True
        if self._closing:
            return False
        match frame.type:
            case Type.DATA:
                self._on_data(frame)
            case Type.CREDIT:
                self._on_credit(frame.payload)
            case Type.EOF:
                self._on_eof(frame.flags)
            case Type.OPENED:
                self._on_opened(frame.payload)
            case _:
                raise ProtocolViolation(f"a frame of type {frame.type} on a channel")
        return False

    def lose(self, error: AgentError) -> None:
        """Ends the channel from this side: nothing more will come."""
        fail(self.ended, error)
        fail(self.opened, error)
        self._open_streams.clear()
        self._more_credit.set()
        self.on_lost()

    # --- for subclasses --------------------------------------------------------------------

    def result(self, payload: bytes) -> T:
        """The result that the last frame carries; FrameError when it does not."""
        raise NotImplementedError

    def on_data(self, stream: StreamId, data: bytes) -> None:
        """Bytes of a stream; they count as used only once `used` is told."""

    def on_eof(self, stream: StreamId) -> None:
        """A stream has ended."""

    def on_lost(self) -> None:
        """The channel has ended, one way or another."""

    def used(self, count: int) -> None:
        """Received bytes that are no longer kept: the agent may send as many more."""
        self._owed += count
        if self._owed >= self._link.window // 4 and not self.ended.done() and not self._closing:
            self._receive_credit += self._owed
            self._link.send(Type.CREDIT, self.id, self._owed.to_bytes(4, "little"))
            self._owed = 0

    async def send(self, data: bytes | memoryview) -> None:
        """Sends bytes as credit allows; raises ChannelClosed or AgentLost when it has ended."""
        rest = self.send_now(data)
        while rest:
            self._more_credit.clear()
            await self._more_credit.wait()
            rest = self.send_now(rest)

    def send_now(self, data: bytes | memoryview) -> memoryview:
        """Sends what credit allows; returns the rest."""
        if self.ended.done() or self._closing:
            raise self._why_ended()
        rest = memoryview(data)
        while rest and self._send_credit:
            piece = rest[: min(PAYLOAD_MAX, self._send_credit)]
            self._send_credit -= len(piece)
            self._link.send(Type.DATA, self.id, piece, StreamId.IN)
            rest = rest[len(piece) :]
        return rest

    def send_eof(self) -> None:
        """Says that no more bytes will come; nothing when the channel has ended."""
        if not self.ended.done() and not self._closing:
            self._link.send(Type.EOF, self.id, flags=StreamId.IN)

    def close(self) -> None:
        """Gives the channel up: its process is killed, its connection reset."""
        if self.ended.done() or self._closing:
            return
        self._link.send(Type.CLOSE, self.id)
        self._closing = True
        self.lose(ChannelClosed("the channel was closed here"))

    # --- frames ----------------------------------------------------------------------------

    def _on_data(self, frame: Frame) -> None:
        stream = self._stream(frame.flags)
        count = len(frame.payload)
        if count == 0 or count > self._receive_credit:
            raise ProtocolViolation("data without credit")
        self._receive_credit -= count
        self.on_data(stream, frame.payload)

    def _on_credit(self, payload: bytes) -> None:
        grant = int.from_bytes(payload, "little")
        if len(payload) != 4 or not 0 < grant <= self._link.window - self._send_credit:
            raise ProtocolViolation("credit beyond the window")
        self._send_credit += grant
        self._more_credit.set()

    def _on_eof(self, flags: int) -> None:
        stream = self._stream(flags)
        self._open_streams.discard(stream)
        self.on_eof(stream)

    def _on_opened(self, payload: bytes) -> None:
        if not self.opens or self.opened.done():
            raise ProtocolViolation("OPENED out of turn")
        self.opened.set_result(Fields(payload))

    def _stream(self, flags: int) -> StreamId:
        for stream in self._open_streams:
            if stream == flags:
                return stream
        raise ProtocolViolation("bytes of a stream that is not open")

    def _end(self, frame: Frame) -> None:
        if self._closing:
            return
        if frame.type == Type.ERROR:
            found = Fields(frame.payload)
            self.lose(self.failure(found.number(Tag.ERRNO), found.text(Tag.TEXT)[:1000]))
            return
        if frame.type != self.finish:
            raise ProtocolViolation(f"a channel ended with a frame of type {frame.type}")
        result = self.result(frame.payload)
        self.ended.set_result(result)
        self.lose(ChannelClosed("the channel has ended"))

    def _why_ended(self) -> AgentError:
        error = self.ended.exception() if self.ended.done() else None
        return error if isinstance(error, AgentLost) else ChannelClosed("the channel has ended")


class Inlet:
    """Received pieces in the order of their coming, at most one window of them, for one reader.

    A program that writes byte by byte would cost a hundred bytes for each: small pieces grow, and
    of very many only the order within their own stream is kept.
    """

    def __init__(self, used: Callable[[int], None]) -> None:
        self._used = used
        self._pieces: deque[tuple[StreamId, bytes | bytearray]] = deque()
        self._arrival = asyncio.Event()
        self._ended = False
        self._sink: Sink | None = None

    def put(self, stream: StreamId, data: bytes) -> None:
        if self._sink is not None:
            self._sink(stream, data)
            self._used(len(data))
            return
        growing = self._growing(stream)
        if growing is not None:
            growing += data
        else:
            self._pieces.append((stream, bytearray(data) if len(data) < _SMALL else data))
        self._arrival.set()

    def _growing(self, stream: StreamId) -> bytearray | None:
        """The piece that more bytes of this stream may go to: its last one, if that is small."""
        for back in range(1, 1 + min(len(self._pieces), 2 if len(self._pieces) > _MANY else 1)):
            of, piece = self._pieces[-back]
            if of == stream:
                return piece if isinstance(piece, bytearray) and len(piece) < WINDOW else None
        return None

    def end(self) -> None:
        self._ended = True
        self._arrival.set()

    def drain_into(self, sink: Sink) -> None:
        """From now on everything goes to `sink` as it comes, what is kept already first."""
        self._sink = sink
        while self._pieces:
            stream, data = self._pieces.popleft()
            sink(stream, bytes(data))
            self._used(len(data))

    async def get(self) -> tuple[StreamId, bytes] | None:
        """The next piece; None at the end."""
        while not self._pieces:
            if self._ended:
                return None
            self._arrival.clear()
            await self._arrival.wait()
        stream, data = self._pieces.popleft()
        self._used(len(data))
        return stream, bytes(data)

    async def __aiter__(self) -> AsyncIterator[tuple[StreamId, bytes]]:
        while (piece := await self.get()) is not None:
            yield piece


def fail(future: "asyncio.Future[T]", error: Exception) -> None:
    """Ends a future that has not ended yet. An error nobody asks for is not reported as lost."""
    if not future.done():
        future.set_exception(error)
        future.exception()


def outcome_of(future: "asyncio.Future[T]") -> "asyncio.Future[T]":
    """A future's outcome, to be awaited or not, by any number of waiters."""
    shielded = asyncio.shield(future)
    shielded.add_done_callback(_retrieve)
    return shielded


def _retrieve(future: "asyncio.Future[T]") -> None:
    if not future.cancelled():
        future.exception()
