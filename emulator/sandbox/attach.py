"""An agent over the connection that Docker attaches to a container's standard streams."""

import asyncio
import os
import socket
from typing import Any, Final, cast

from emulator.sandbox.agent import Agent
from emulator.sandbox.frames import Demultiplexer, FrameError

UNTAKEN_MAX: Final = 64 * 1024 * 1024
"""Bytes that may wait for an agent: one that takes nothing more is lost."""

COMPLAINT_MAX: Final = 4096
"""Bytes of the container's stderr kept, to say why an agent did not start."""


class AttachProtocol(asyncio.Protocol):
    """Makes the agent when the connection stands, and feeds it what the container's stdout says."""

    def __init__(self, early: bytes = b"") -> None:
        self.agent: Agent
        self._transport: asyncio.WriteTransport
        self._early = early
        self._complaint = bytearray()
        self._streams = Demultiplexer(self._on_stdout, self._on_other)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.set_write_buffer_limits(high=UNTAKEN_MAX)
        self.agent = Agent(self._transport)
        self.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        try:
            self._streams.feed(data)
        except FrameError as error:
            self.agent.lose(f"protocol violation: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        complaint = self._complaint.decode("utf-8", "replace").strip()
        details = f": {complaint or exc}" if complaint or exc else ""
        self.agent.lose(f"the container's stream ended{details}")

    def pause_writing(self) -> None:
        self.agent.lose(f"it left {UNTAKEN_MAX} bytes untaken")
        self._transport.abort()

    def _on_stdout(self, data: memoryview) -> None:
        self.agent.feed(data)

    def _on_other(self, data: memoryview) -> None:
        self._complaint += data[: COMPLAINT_MAX - len(self._complaint)]


def take_over(stream: Any) -> tuple[socket.socket, bytes]:  # noqa: ANN401 - docker's own object
    """The connection behind what docker's `attach_socket` returned, and its first bytes.

    The HTTP client reads ahead: with an agent that is talking already, its buffer holds the
    beginning of the stream when the answer's head is parsed. The client's own socket is closed.
    """
    response = stream._response
    try:
        reader = response.raw._fp.fp
        reader.raw._sock.setblocking(False)  # or an empty buffer would wait for more
        early = bytes(reader.peek())
        return socket.socket(fileno=os.dup(stream.fileno())), early
    finally:
        response.close()


async def attach(attached: socket.socket, early: bytes = b"") -> Agent:
    """The agent at the other end of a connected socket, which it owns from now on.

    The container may be started before or after; `Agent.hello` begins the conversation. `early`
    are bytes of the stream that were read from the socket before.
    """
    attached.setblocking(False)
    loop = asyncio.get_running_loop()
    protocol = AttachProtocol(early)
    await loop.connect_accepted_socket(lambda: protocol, attached)
    return protocol.agent
