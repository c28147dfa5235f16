"""An agent over the socket that Docker attaches to a container's standard streams."""

import asyncio
import socket
from typing import Final, cast

from emulator.sandbox.agent import Agent
from emulator.sandbox.frames import Demultiplexer

COMPLAINT_MAX: Final = 4096
"""Bytes of the container's stderr kept, to say why an agent did not start."""


class AttachProtocol(asyncio.Protocol):
    """Makes the agent when the connection stands, and feeds it what the container's stdout says."""

    def __init__(self) -> None:
        self.agent: Agent
        self._complaint = bytearray()
        self._streams = Demultiplexer(self._on_stdout, self._on_other)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.agent = Agent(cast("asyncio.WriteTransport", transport))

    def data_received(self, data: bytes) -> None:
        self._streams.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        complaint = self._complaint.decode("utf-8", "replace").strip()
        details = f": {exc or complaint}" if exc or complaint else ""
        self.agent.lose(f"the container's stream ended{details}")

    def _on_stdout(self, data: memoryview) -> None:
        self.agent.feed(data)

    def _on_other(self, data: memoryview) -> None:
        self._complaint += data[: COMPLAINT_MAX - len(self._complaint)]


async def attach(attached: socket.socket) -> Agent:
    """The agent at the other end of a connected socket, which it owns from now on.

    The container may be started before or after; `Agent.hello` begins the conversation.
    """
    attached.setblocking(False)
    loop = asyncio.get_running_loop()
    _, protocol = await loop.connect_accepted_socket(AttachProtocol, attached)
    return protocol.agent
