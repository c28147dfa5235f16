"""The ways out of a sandbox: ports of its loopback, each of whose connections leads elsewhere.

The agent listens, so nothing of the sandbox's network changes. Listeners live as long as the
container; connections belong to the run that made them and end with it.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from emulator.sandbox.agent import Agent, AgentError, Listener, Stream
from emulator.sandbox.origin import Origin

logger = logging.getLogger(__name__)


class Way(Protocol):
    """Where the connections of one port lead."""

    async def carry(self, stream: Stream, origin: Origin, sandbox: str) -> None:
        """Carry one connection to its end; raises AgentError or OSError when it breaks."""


class Relay:
    """The ways out of one sandbox; `serving` opens them for a run."""

    def __init__(self, sandbox: str, ways: Mapping[int, Way]) -> None:
        self._sandbox = sandbox
        self._ways = ways
        self._origin: Origin | None = None
        self._listening: set[asyncio.Task[None]] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    async def open(self, agent: Agent) -> None:
        """Listen on every port, for as long as the agent lives; raises AgentError."""
        for port, way in self._ways.items():
            listener = await agent.listen(port)
            _keep(self._listening, self._accept(listener, way))

    @contextmanager
    def serving(self, origin: Origin) -> Iterator[None]:
        """Connections made within the block are of `origin`, and end with it."""
        self._origin = origin
        try:
            yield
        finally:
            self._origin = None
            for task in self._carrying:
                task.cancel()

    async def _accept(self, listener: Listener, way: Way) -> None:
        async for stream in listener:
            if self._origin is None:
                _close(stream)
            else:
                _keep(self._carrying, self._carry(stream, way, self._origin))

    async def _carry(self, stream: Stream, way: Way, origin: Origin) -> None:
        try:
            await way.carry(stream, origin, self._sandbox)
        except (AgentError, OSError, TimeoutError) as error:
            logger.debug("a connection of sandbox %s ended: %s", self._sandbox, error)
        finally:
            _close(stream)


def _close(stream: Stream) -> None:
    """Nothing is left to be told when the agent has gone before."""
    try:
        stream.close()
    except AgentError as error:
        logger.debug("a connection could not be closed: %s", error)


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[object, object, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
