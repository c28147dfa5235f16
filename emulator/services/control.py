"""Programs in a service's container that ask the emulator: its `systemctl` and `journalctl`.

Such a program listens on a Unix socket of its own below /run, and writes the socket's name into a
FIFO that the emulator hears. The emulator connects to it through the agent, reads what it wants, a
line of JSON, and answers in frames: u8 stream (1 output, 2 errors, 0 the end), u32 length, bytes;
those of the end are the exit code. So no container needs a network for it, and none opens a port.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Final

import msgspec

from emulator.sandbox.agent import AgentError, Stream
from emulator.sandbox.machine import ROOT_USER, Machine
from emulator.services.bootstrap import STATE

MOST: Final = 8
"""Programs of one service that are answered at the same time; others ask in vain."""

CALLS_BYTES: Final = 1024
FLOOD_SECONDS: Final = 0.05

REQUEST_BYTES: Final = 65_536
REQUEST_SECONDS: Final = 5.0

_NAME: Final = re.compile(rb"[0-9a-f]{16}")
_END, _OUT, _ERR = 0, 1, 2


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program was called as, and with."""

    program: str
    arguments: list[str]


class Caller:
    """A program that waits for its answer; AgentError from anything when it is gone."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = b""

    async def request(self) -> Request:
        """Raises msgspec.DecodeError for what is none."""
        received = b""
        while b"\n" not in received:
            piece = await self._stream.read()
            if not piece or len(received) > REQUEST_BYTES:
                raise msgspec.DecodeError("no whole request")
            received += piece
        return msgspec.json.decode(received.partition(b"\n")[0], type=Request)

    async def out(self, data: bytes) -> None:
        """Print; who reads slowly is waited for."""
        await self._send(_OUT, data)

    async def err(self, text: str) -> None:
        """Print a line of errors."""
        await self._send(_ERR, f"{text}\n".encode("utf-8", "replace"))

    async def end(self, code: int) -> None:
        await self._send(_END, bytes((code,)))
        self._stream.write_eof()
        await self._stream.finished()

    async def while_there(self, work: Coroutine[object, object, None]) -> None:
        """Do something that takes for ever, until it is done or the program has gone."""
        tasks = {asyncio.create_task(work), asyncio.create_task(self._gone())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _gone(self) -> None:
        while await self._stream.read():
            pass

    async def _send(self, kind: int, data: bytes) -> None:
        await self._stream.write(bytes((kind,)) + len(data).to_bytes(4, "big") + data)


Answer = Callable[[Request, Caller], Awaitable[int]]
"""Does what a program asks for; what comes back is its exit code."""


class Control:
    """Hears who asks, and has each answered."""

    def __init__(
        self,
        machine: Machine,
        answer: Answer,
        follow: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        """`follow` takes the work of each answer, for as long as the service is followed."""
        self._machine = machine
        self._answer = answer
        self._follow = follow
        self._open = 0
        self._unfinished = b""

    async def hear(self, piece: bytes) -> None:
        """Bytes of the FIFO: anybody in the container may have written them.

        Of more at once than callers write, no more comes for a moment.
        """
        *names, rest = (self._unfinished + piece).split(b"\n")
        self._unfinished = rest[-64:]
        for name in names:
            if self._open < MOST and _NAME.fullmatch(name):
                self._open += 1
                self._follow(self._serve(f"{STATE}/caller-{name.decode()}"))
        if len(piece) > CALLS_BYTES:
            await asyncio.sleep(FLOOD_SECONDS)

    async def _serve(self, path: str) -> None:
        try:
            with suppress(AgentError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
                await self._converse(path)
        finally:
            self._open -= 1

    async def _converse(self, path: str) -> None:
        agent = self._machine.agent
        async with asyncio.timeout(REQUEST_SECONDS):
            stream = await agent.connect_unix(path, uid=ROOT_USER, gid=ROOT_USER)
        try:
            caller = Caller(stream)
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await caller.request()
            await caller.end(await self._answer(request, caller))
        finally:
            stream.close()
