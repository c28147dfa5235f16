"""The conversation with an agent: the greeting, the frames in both directions, and its end.

What is asked of the agent is `agent.py`'s business; this keeps the channels it opens, sends their
frames and gives them those that come back. Whatever an agent says that no honest one would ends the
conversation.
"""

import asyncio
import itertools
import secrets
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

from emulator.sandbox import frames, messages
from emulator.sandbox.agent_errors import AgentError, AgentLost, ProtocolViolation, SpawnFailed
from emulator.sandbox.channels import Channel, fail, outcome_of
from emulator.sandbox.frames import Decoder, Fields, Frame, FrameError, Kind, Tag, Type
from emulator.sandbox.kinds import ACCEPTED_MAX, Listener, Stream, is_accepted
from emulator.sandbox.messages import Hello

AnyChannel = Channel[Any]


class Transport(Protocol):
    """Where frames go: the part of asyncio's transports that is used."""

    def writelines(self, list_of_data: list[bytes | memoryview]) -> None:
        """Send all of these, now or soon."""

    def close(self) -> None:
        """End the stream."""


class _Pipeline:
    """Entered and left several times for each frame, so no generator."""

    __slots__ = ("_conversation",)

    def __init__(self, conversation: "Conversation") -> None:
        self._conversation = conversation

    def __enter__(self) -> None:
        self._conversation.corks += 1

    def __exit__(self, *_: object) -> None:
        self._conversation.corks -= 1
        self._conversation.flush()


class Conversation:
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
        self.corks = 0
        self._pipeline = _Pipeline(self)
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
        self.flush()

    def pipeline(self) -> AbstractContextManager[None]:
        """Holds frames back, to send all of them in one write at the end."""
        return self._pipeline

    def flush(self) -> None:
        """Sends what waits, unless a pipeline holds it back."""
        if self.corks == 0 and self._out and not self.closed.done():
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
        """Returns when the agent has answered; who does not wait for that still gets the answer."""
        token = secrets.token_bytes(8)
        self.send(Type.PING, 0, token)
        answer = self._pings[token] = asyncio.get_running_loop().create_future()
        await answer

    def close(self) -> None:
        """Ends the conversation from this side."""
        self.lose("the connection to the agent was closed")

    def close_channels(self) -> None:
        """Gives up all that is open but listeners: nobody waits for it any more."""
        with self.pipeline():
            for channel in list(self._channels.values()):
                if not isinstance(channel, Listener):
                    channel.close()

    # --- channels --------------------------------------------------------------------------

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
