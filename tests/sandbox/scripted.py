"""Sandboxes without containers, whose agents say of their cleaning what a test has them say."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import cast

from emulator.clock import Clock
from emulator.sandbox import frames
from emulator.sandbox.agent import Agent
from emulator.sandbox.engine import Engine
from emulator.sandbox.frames import Decoder, Frame, Tag, Type
from emulator.sandbox.images import Images
from emulator.sandbox.limits import Limits
from emulator.sandbox.runtimes import Runtime
from emulator.sandbox.shelf import Sandbox
from emulator.sandbox.starting import Starter

EMPTY = (0, 1, 0)
"""Bytes, inodes and entries of a mount that nothing is in."""


@dataclass
class Script:
    """What an agent reports after cleaning, and what it does not answer at all."""

    processes: int = 0
    ipc: int = 0
    sockets: int = 0
    mounts: list[tuple[int, int, int]] = field(default_factory=lambda: [EMPTY, EMPTY])
    deaf_to: frozenset[Type] = frozenset()
    takes: float = 0.0

    def report(self) -> bytes:
        return b"".join(
            (
                frames.number(Tag.PROCESSES, self.processes),
                frames.number(Tag.IPC, self.ipc),
                frames.number(Tag.SOCKETS, self.sockets),
                *(
                    frames.field(Tag.MOUNT, b"".join(it.to_bytes(8, "little") for it in mount))
                    for mount in self.mounts
                ),
                frames.number(Tag.ELAPSED_US, 1, 8),
            )
        )


class ScriptedAgent:
    """The far end of a conversation."""

    def __init__(self, script: Script, clock: Clock) -> None:
        self.agent = Agent(self)
        self._script = script
        self._clock = clock
        self._decoder = Decoder()

    def writelines(self, list_of_data: list[bytes | memoryview]) -> None:
        for data in list_of_data:
            for frame in self._decoder.feed(data):
                asyncio.get_running_loop().call_soon(self._answer, frame)

    def close(self) -> None:
        """Nobody is there any more."""

    def _answer(self, frame: Frame) -> None:
        if frame.type in self._script.deaf_to:
            return
        version = frames.number(Tag.VERSION, frames.VERSION)
        match frame.type:
            case Type.HELLO:
                self._say(frame, Type.HELLO, version + frames.field(Tag.BOOT_ID, bytes(16)))
            case Type.PING:
                self._say(frame, Type.PONG, frame.payload)
            case Type.CLEAN:
                if self._script.takes:
                    self._clock.advance(self._script.takes)
                self._say(frame, Type.REPORT, self._script.report())

    def _say(self, asked: Frame, type_: Type, payload: bytes) -> None:
        self.agent.feed(frames.encode(type_, asked.channel, asked.epoch, payload, 0))


class ScriptedSandboxes(Starter):
    """A starter whose containers are none; what it does after runs is the product's own.

    A start waits for `failing`, if there is one, and fails as it does.
    """

    def __init__(self, clock: Clock, script: Script | None = None) -> None:
        super().__init__(cast("Engine", None), cast("Images", None), Limits(), clock, {})
        self.script = script or Script()
        self.alive: dict[str, Sandbox] = {}
        self.failing: asyncio.Future[None] | None = None
        self.most = 0
        self._test_clock = clock
        self._ids = itertools.count()

    async def start(self, runtime: Runtime, network_mode: str) -> Sandbox:
        container_id = f"{runtime.name}-{next(self._ids)}"
        await asyncio.sleep(0)
        if self.failing is not None:
            await asyncio.shield(self.failing)
        agent = ScriptedAgent(self.script, self._test_clock).agent
        await agent.hello()
        sandbox = Sandbox(container_id, runtime.name, network_mode, agent)
        self.alive[container_id] = sandbox
        self.most = max(self.most, len(self.alive))
        return sandbox

    async def remove(self, sandbox: Sandbox) -> None:
        del self.alive[sandbox.container_id]
        sandbox.agent.close()
