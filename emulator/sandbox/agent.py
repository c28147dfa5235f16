"""The client of a sandbox's agent: programs, files and connections over one stream of bytes.

`Agent` is given something to write to and fed what comes back; how the bytes travel is not its
concern (`attach.py` knows Docker's way). Methods that open a channel send their request at once, in
the order of the calls, and hand out something to await later; inside `with agent.pipeline():` all
of it leaves in one write.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from emulator.sandbox import frames, messages
from emulator.sandbox.agent_errors import (
    AgentError,
    AgentLost,
    ChannelClosed,
    ConnectFailed,
    FileRefused,
    ProtocolViolation,
    Refused,
    SpawnFailed,
)
from emulator.sandbox.channels import Channel, fail, outcome_of
from emulator.sandbox.frames import Decoder, Fields, Frame, FrameError, Kind, Tag, Type
from emulator.sandbox.kinds import (
    ACCEPTED_MAX,
    Cleaning,
    Collected,
    Listener,
    Process,
    Reading,
    Stream,
    Tree,
    Upload,
    is_accepted,
)
from emulator.sandbox.messages import CleanReport, Exit, Hello, Scope, Spawn
from emulator.sandbox.records import File

__all__ = [
    "Agent",
    "AgentError",
    "AgentLost",
    "ChannelClosed",
    "CleanReport",
    "Collected",
    "ConnectFailed",
    "Exit",
    "File",
    "FileRefused",
    "Hello",
    "Listener",
    "Process",
    "Refused",
    "Scope",
    "Spawn",
    "SpawnFailed",
    "Stream",
    "Tree",
]

AnyChannel = Channel[Any]
ChannelT = TypeVar("ChannelT", bound=AnyChannel)
T = TypeVar("T")


class Transport(Protocol):
    """Where frames go: the part of asyncio's transports that is used."""

    def writelines(self, list_of_data: list[bytes | memoryview]) -> None:
        """Send all of these, now or soon."""

    def close(self) -> None:
        """End the stream."""


class Agent:
    """A conversation with one agent; it begins with `hello` and ends for good with `closed`.

    `closed` is done, with the AgentLost that every waiter got, once the stream has ended or the
    agent broke the protocol.
    """

    def __init__(
        self, transport: Transport, *, epoch: int | None = None, window: int = frames.WINDOW
    ) -> None:
        loop = asyncio.get_running_loop()
        self.window = window
        self.closed: asyncio.Future[AgentLost] = loop.create_future()
        self._transport = transport
        self._epoch = epoch or 1 + secrets.randbelow(2**32 - 1)
        self._decoder = Decoder()
        self._channels: dict[int, AnyChannel] = {}
        self._ids = itertools.count(1)
        self._accepted = frames.OWN_CHANNELS
        self._hello: asyncio.Future[Hello] | None = None
        self._pings: dict[bytes, asyncio.Future[None]] = {}
        self._out: list[bytes | memoryview] = []
        self._corks = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the stream ------------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Takes bytes of the agent in. Never raises: what is wrong with them ends the agent."""
        if self.closed.done():
            return
        try:
            with self.pipeline():
                for frame in self._decoder.feed(data):
                    self._receive(frame)
        except (FrameError, ProtocolViolation) as error:
            self.lose(f"protocol violation: {error}")
        except AgentLost:
            return

    def lose(self, reason: str) -> None:
        """Gives the agent up; every waiter gets an AgentLost that says why."""
        if self.closed.done():
            return
        error = AgentLost(reason)
        self.closed.set_result(error)
        self._out.clear()
        if self._hello is not None:
            fail(self._hello, error)
        for answer in self._pings.values():
            fail(answer, error)
        while self._channels:
            self._channels.popitem()[1].lose(error)
        for task in self._tasks:
            task.cancel()
        self._transport.close()

    def send(
        self, type_: Type, channel: int, payload: bytes | memoryview = b"", flags: int = 0
    ) -> None:
        """Queues a frame; raises AgentLost when there is nobody to send it to."""
        if self.closed.done():
            raise self.closed.result()
        self._out.append(frames.header(type_, channel, self._epoch, payload, flags))
        if payload:
            self._out.append(payload)
        self._flush()

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Holds frames back, to send all of them in one write at the end."""
        self._corks += 1
        try:
            yield
        finally:
            self._corks -= 1
            self._flush()

    def _flush(self) -> None:
        if self._corks == 0 and self._out and not self.closed.done():
            out, self._out = self._out, []
            self._transport.writelines(out)

    # --- the conversation ------------------------------------------------------------------

    async def hello(self) -> Hello:
        """Begins: everything of an earlier epoch ends, but kept processes, whose keys it tells.

        Raises:
            AgentLost: what answers is no agent, or not of this version.
        """
        if self._hello is None:
            self._hello = asyncio.get_running_loop().create_future()
            with self.pipeline():
                self._out.append(frames.PADDING)
                self.send(Type.HELLO, 0, messages.hello(self.window))
        return await outcome_of(self._hello)

    async def ping(self) -> None:
        """Returns when the agent has answered."""
        token = secrets.token_bytes(8)
        answer = self._pings[token] = asyncio.get_running_loop().create_future()
        try:
            self.send(Type.PING, 0, token)
            await answer
        finally:
            self._pings.pop(token, None)

    def close(self) -> None:
        """Ends the conversation from this side."""
        self.lose("the connection to the agent was closed")

    # --- programs --------------------------------------------------------------------------

    def spawn(self, spawn: Spawn) -> Process:
        """Starts a program; whether it did is told by what the process is awaited for."""
        process = Process(self, next(self._ids), spawn.output_limit)
        self._open(process, spawn.encode())
        return process

    def adopt(self, key: str) -> Process:
        """Goes on with a kept process of an earlier epoch; SpawnFailed when there is none."""
        process = Process(self, next(self._ids), None)
        self._register(process)
        self.send(Type.ADOPT, process.id, messages.adopt(key))
        return process

    def signal_all(self, signo: int) -> None:
        """Signals every process of the sandbox but the agent."""
        self.send(Type.SIGNAL, 0, bytes((signo, Scope.ALL)))

    async def clean(self, mounts: Sequence[str]) -> CleanReport:
        """Kills everything, empties these mounts, removes IPC objects; tells what was left."""
        cleaning = Cleaning(self, next(self._ids))
        self._register(cleaning)
        self.send(Type.CLEAN, cleaning.id, messages.clean(mounts))
        return await cleaning.outcome()

    # --- files -----------------------------------------------------------------------------

    def write_file(
        self,
        path: str,
        data: bytes | memoryview,
        *,
        uid: int,
        gid: int,
        mode: int = 0o644,
        root: str = "/",
    ) -> Awaitable[None]:
        """Writes a new file below `root` with the rights of `uid`; missing directories are made.

        No symbolic link is followed, and nothing is written over: FileRefused tells the errno. Up
        to a window (256 KiB) is sent at once, the rest as the agent takes it.
        """
        upload = Upload(self, next(self._ids))
        with self.pipeline():
            self._open(upload, messages.write(root, path, mode, uid, gid, len(data)))
            rest = upload.send_now(data)
            if not rest:
                upload.send_eof()
        if rest:
            self._background(upload.pump(rest))
        return upload.outcome()

    def make_directory(
        self, path: str, *, uid: int, gid: int, mode: int = 0o755, root: str = "/"
    ) -> Awaitable[None]:
        """Makes a directory below `root`; one that exists already is fine."""
        return self._make(messages.mkdir(root, path, mode, uid, gid))

    def make_symlink(
        self, path: str, target: str, *, uid: int, gid: int, root: str = "/"
    ) -> Awaitable[None]:
        """Makes a symbolic link below `root`; FileRefused with EEXIST when the name exists."""
        return self._make(messages.symlink(root, path, target, uid, gid))

    def read_tree(
        self,
        root: str,
        *,
        uid: int,
        gid: int,
        max_files: int,
        max_bytes: int,
        max_depth: int = 16,
    ) -> Awaitable[Tree]:
        """The regular files below `root`, or `root` itself when it is one, as `uid` can read them.

        No symbolic link is followed. What exceeds the limits is passed over and counted.
        """
        reading = Reading(self, next(self._ids), max_files, max_bytes)
        self._open(reading, messages.read(root, uid, gid, max_files, max_bytes, max_depth))
        return reading.outcome()

    # --- connections -----------------------------------------------------------------------

    async def connect(self, port: int, address: str = "127.0.0.1") -> Stream:
        """Connects to a TCP port inside the sandbox; raises ConnectFailed."""
        return await self._connect(messages.connect_tcp(address, port))

    async def connect_unix(self, path: str, *, uid: int, gid: int) -> Stream:
        """Connects to a Unix socket inside the sandbox, with the rights of `uid`."""
        return await self._connect(messages.connect_unix(path, uid, gid))

    async def listen(self, port: int, address: str = "127.0.0.1") -> Listener:
        """Listens on a TCP port inside the sandbox, 0 for any; raises ConnectFailed."""
        listener = Listener(self, next(self._ids))
        self._open(listener, messages.listen(address, port))
        await listener.port()
        return listener

    async def _connect(self, request: bytes) -> Stream:
        stream = Stream(self, next(self._ids))
        self._open(stream, request)
        try:
            await stream.connected()
        except asyncio.CancelledError:
            stream.close()
            raise
        return stream

    # --- channels --------------------------------------------------------------------------

    def _make(self, request: bytes) -> Awaitable[None]:
        upload = Upload(self, next(self._ids))
        self._open(upload, request)
        return upload.outcome()

    def _register(self, channel: AnyChannel) -> None:
        if self.closed.done():
            raise self.closed.result()
        self._channels[channel.id] = channel

    def _open(self, channel: AnyChannel, request: bytes) -> None:
        """Sends an OPEN, in several frames when it is long."""
        if len(request) > frames.OPEN_MAX:
            raise SpawnFailed(7, "arguments and environment are too long")
        self._register(channel)
        view = memoryview(request)
        with self.pipeline():
            while len(view) > frames.PAYLOAD_MAX:
                piece, view = view[: frames.PAYLOAD_MAX], view[frames.PAYLOAD_MAX :]
                self.send(Type.OPEN, channel.id, piece, frames.MORE)
            self.send(Type.OPEN, channel.id, view)

    def _background(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _receive(self, frame: Frame) -> None:
        if frame.epoch != self._epoch or self.closed.done():
            return
        if self._hello is None or not self._hello.done():
            self._receive_first(frame)
        elif frame.channel == 0:
            self._receive_control(frame)
        elif frame.type == Type.OPEN:
            self._receive_accepted(frame)
        else:
            self._receive_on_channel(frame)

    def _receive_first(self, frame: Frame) -> None:
        """The answer to HELLO. From then on the stream is the agent's alone, and faultless."""
        if frame.type == Type.ERROR and frame.channel == 0:
            raise ProtocolViolation(Fields(frame.payload).text(Tag.TEXT)[:1000])
        if frame.type != Type.HELLO or frame.channel != 0 or self._hello is None:
            raise ProtocolViolation("a frame before HELLO")
        self._hello.set_result(Hello.decode(frame.payload))
        self._decoder.forgive()
        self._decoder.garbage_max = self._decoder.mismatches_max = 0

    def _receive_control(self, frame: Frame) -> None:
        if frame.type == Type.ERROR:
            raise ProtocolViolation(Fields(frame.payload).text(Tag.TEXT)[:1000])
        ping = self._pings.pop(frame.payload, None) if frame.type == Type.PONG else None
        if ping is None:
            raise ProtocolViolation(f"a frame of type {frame.type} on channel 0")
        if not ping.done():
            ping.set_result(None)

    def _receive_on_channel(self, frame: Frame) -> None:
        channel = self._channels.get(frame.channel)
        if channel is None:
            raise ProtocolViolation("a frame on a channel that is not open")
        if channel.receive(frame):
            del self._channels[frame.channel]

    def _receive_accepted(self, frame: Frame) -> None:
        """A connection that a listener of ours took; the agent numbers them itself."""
        found = Fields(frame.payload)
        listener = self._channels.get(found.number(Tag.LISTENER))
        if found.number(Tag.KIND) != Kind.ACCEPTED or not isinstance(listener, Listener):
            raise ProtocolViolation("a connection that nobody listens for")
        if frame.channel < self._accepted or sum(map(is_accepted, self._channels)) >= ACCEPTED_MAX:
            raise ProtocolViolation("an accepted connection out of turn")
        self._accepted = frame.channel + 1
        peer = (found.text(Tag.ADDRESS)[:64], found.number(Tag.PORT) & 0xFFFF)
        stream = self._channels[frame.channel] = Stream(self, frame.channel, peer)
        stream.opened.set_result(found)
        listener.accepted(stream)


async def _quietly(work: Coroutine[object, object, None]) -> None:
    """What ends an upload early is told by the upload itself."""
    try:
        await work
    except AgentError:
        return
