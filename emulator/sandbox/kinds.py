"""The kinds of channel: processes, uploads, tree readings, connections, listeners, cleanings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from emulator.sandbox import messages
from emulator.sandbox.agent_errors import (
    AgentError,
    ConnectFailed,
    FileRefused,
    ProtocolViolation,
    SpawnFailed,
)
from emulator.sandbox.channels import Channel, Inlet, Link, outcome_of
from emulator.sandbox.frames import (
    OWN_CHANNELS,
    PAYLOAD_MAX,
    Fields,
    FrameError,
    StreamId,
    Tag,
    Type,
)
from emulator.sandbox.messages import CleanReport, Exit, Scope
from emulator.sandbox.records import File, RecordReader

ACCEPTED_MAX: Final = 64
"""Connections an agent may have accepted at one time; further ones wait inside the sandbox."""

_DATAGRAM: Final = b"\0"
"""What each datagram begins with, so that an empty one is a frame, too."""

_OUT_AND_ERR: Final = frozenset({StreamId.OUT, StreamId.ERR})
_OUT: Final = frozenset({StreamId.OUT})


@dataclass(frozen=True)
class Collected:
    """All that a process wrote, up to its output limit, and how it ended."""

    stdout: bytes
    stderr: bytes
    exit: Exit


class Process(Channel[Exit]):
    """A program in the sandbox. Its output is read either piece by piece or by `collect`.

    stdout and stderr share one window: a reader takes the pieces of both as they come.
    """

    failure = SpawnFailed
    streams = _OUT_AND_ERR
    opens = True

    def __init__(self, link: Link, channel_id: int, output_limit: int | None) -> None:
        super().__init__(link, channel_id)
        self._inlet = Inlet(self.used)
        self._limit = output_limit
        self._received = dict.fromkeys(self.streams, 0)
        self._captured = {stream: bytearray() for stream in self.streams}

    async def started(self) -> int:
        """Its pid in the sandbox, once it runs; raises SpawnFailed when it does not."""
        return (await outcome_of(self.opened)).number(Tag.PID)

    async def wait(self) -> Exit:
        """How it ended; its output must be read meanwhile, or it stops at a full window.

        Raises:
            SpawnFailed: the program did not start.
            ChannelClosed: `close` was called.
            AgentLost: the agent is gone.
        """
        return await self.outcome()

    async def collect(self) -> Collected:
        """All its output and its end. After a cancelled call a later one goes on with the same.

        Needs an `output_limit`, so that nobody's memory depends on the program.
        """
        if self._limit is None:
            raise ValueError("collecting output needs an output limit")
        self._inlet.drain_into(self._capture)
        ended = await self.wait()
        out, err = (bytes(self._captured[stream]) for stream in (StreamId.OUT, StreamId.ERR))
        return Collected(out, err, ended)

    def output(self) -> AsyncIterator[tuple[StreamId, bytes]]:
        """Pieces of both streams as they come, to the end; a terminal has stdout alone."""
        return aiter(self._inlet)

    async def write(self, data: bytes | memoryview) -> None:
        """Writes to its stdin or terminal; returns when the rest fits into the window."""
        await self.send(data)

    def write_eof(self) -> None:
        """Closes its stdin; a terminal gets an end-of-transmission character."""
        self.send_eof()

    def signal(self, signo: int, scope: Scope = Scope.GROUP) -> None:
        """Sends a signal; nothing happens when it has ended meanwhile."""
        if not self.ended.done():
            self._link.send(Type.SIGNAL, self.id, bytes((signo, scope)))

    def resize(self, columns: int, rows: int) -> None:
        """Changes the size of its terminal."""
        if not self.ended.done():
            self._link.send(Type.RESIZE, self.id, messages.size(columns, rows))

    def result(self, payload: bytes) -> Exit:
        return Exit.decode(payload)

    def on_data(self, stream: StreamId, data: bytes) -> None:
        self._received[stream] += len(data)
        if self._limit is not None and self._received[stream] > self._limit:
            raise ProtocolViolation("more output than its limit")
        self._inlet.put(stream, data)

    def on_lost(self) -> None:
        self._inlet.end()

    def _capture(self, stream: StreamId, data: bytes) -> None:
        self._captured[stream] += data


class Upload(Channel[None]):
    """A file, directory or link being made."""

    failure = FileRefused

    def result(self, payload: bytes) -> None:
        if Fields(payload).number(Tag.CODE) != 0:
            raise FrameError("a file was made with a status")

    async def pump(self, data: bytes | memoryview) -> None:
        """Sends a file's content and its end."""
        await self.send(data)
        self.send_eof()


@dataclass(frozen=True)
class Tree:
    """The regular files of a tree, and how many other entries were passed over."""

    files: list[File]
    skipped: int


class Reading(Channel[Tree]):
    """A tree of files being read."""

    failure = FileRefused
    streams = _OUT

    def __init__(self, link: Link, channel_id: int, max_files: int, max_bytes: int) -> None:
        super().__init__(link, channel_id)
        self._records = RecordReader(max_files, max_bytes)

    def on_data(self, stream: StreamId, data: bytes) -> None:
        del stream
        self._records.feed(data)
        self.used(len(data))

    def result(self, payload: bytes) -> Tree:
        return Tree(self._records.finish(), Fields(payload).number(Tag.SKIPPED))


class Cleaning(Channel[CleanReport]):
    """A sandbox being cleaned."""

    finish = Type.REPORT

    def result(self, payload: bytes) -> CleanReport:
        return CleanReport.decode(payload)


class Stream(Channel[None]):
    """A connection inside the sandbox, with half-close; `peer` is known of accepted ones."""

    finish = Type.CLOSE
    failure = ConnectFailed
    streams = _OUT
    opens = True

    def __init__(self, link: Link, channel_id: int, peer: tuple[str, int] | None = None) -> None:
        super().__init__(link, channel_id)
        self.peer = peer
        self._inlet = Inlet(self.used)

    async def connected(self) -> None:
        """Returns once the connection stands; raises ConnectFailed when it cannot."""
        await outcome_of(self.opened)

    async def read(self) -> bytes:
        """The next bytes; empty at the end. Raises ConnectFailed when the connection broke."""
        piece = await self._inlet.get()
        if piece is not None:
            return piece[1]
        if self.ended.done() and isinstance(self.ended.exception(), AgentError):
            raise self.ended.exception() or AgentError
        return b""

    async def write(self, data: bytes | memoryview) -> None:
        """Returns when the rest fits into the window."""
        await self.send(data)

    def write_eof(self) -> None:
        self.send_eof()

    async def finished(self) -> None:
        """Returns when both directions have ended and the other side has got everything."""
        await self.outcome()

    def result(self, payload: bytes) -> None:
        if payload:
            raise FrameError("CLOSE carries nothing")

    def on_data(self, stream: StreamId, data: bytes) -> None:
        self._inlet.put(stream, data)

    def on_eof(self, stream: StreamId) -> None:
        del stream
        self._inlet.end()

    def on_lost(self) -> None:
        self._inlet.end()


class Datagrams(Channel[None]):
    """A UDP socket inside the sandbox that talks to one port there.

    `receive` gets every datagram that comes back. What cannot go on at once is lost, as with UDP
    anywhere.
    """

    finish = Type.CLOSE
    failure = ConnectFailed
    streams = _OUT
    opens = True

    def __init__(self, link: Link, channel_id: int, receive: Callable[[bytes], None]) -> None:
        super().__init__(link, channel_id)
        self._receive = receive

    async def connected(self) -> None:
        """Returns once there is a socket, whether somebody listens or not; raises ConnectFailed."""
        await outcome_of(self.opened)

    def send_datagram(self, data: bytes) -> bool:
        """Sends it whole; false when it is lost. Raises ChannelClosed or AgentLost."""
        frame = _DATAGRAM + data
        if len(frame) > min(PAYLOAD_MAX, self._send_credit):
            return False
        self.send_now(frame)
        return True

    async def finished(self) -> None:
        """Returns when it has ended, from this side or the other."""
        await self.outcome()

    def result(self, payload: bytes) -> None:
        if payload:
            raise FrameError("CLOSE carries nothing")

    def on_data(self, stream: StreamId, data: bytes) -> None:
        del stream
        if not data.startswith(_DATAGRAM):
            raise ProtocolViolation("what came is no datagram")
        self._receive(data[len(_DATAGRAM) :])
        self.used(len(data))


class Listener(Channel[None]):
    """A listening socket inside the sandbox; iterate it for its connections."""

    finish = Type.CLOSE
    failure = ConnectFailed
    opens = True

    def __init__(self, link: Link, channel_id: int) -> None:
        super().__init__(link, channel_id)
        self._waiting: asyncio.Queue[Stream | None] = asyncio.Queue()

    async def port(self) -> int:
        """The port it listens on; raises ConnectFailed when it cannot."""
        return (await outcome_of(self.opened)).number(Tag.PORT)

    def accepted(self, stream: Stream) -> None:
        if self.ended.done():
            stream.close()
        else:
            self._waiting.put_nowait(stream)

    def result(self, payload: bytes) -> None:
        if payload:
            raise FrameError("CLOSE carries nothing")

    def on_lost(self) -> None:
        self._waiting.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Stream]:
        while (stream := await self._waiting.get()) is not None:
            yield stream


def is_accepted(channel_id: int) -> bool:
    """Whether the agent picked this id, for a connection it accepted."""
    return channel_id >= OWN_CHANNELS
