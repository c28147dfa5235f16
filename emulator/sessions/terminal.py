"""One program on a terminal, and all who look at it.

What the program writes goes to every viewer, and what each of them types goes to the program. For
a viewer little more than a window of output is kept; while somebody has as much to take, the
program waits. So it does while nobody is there: what it wrote until then is for who comes first.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Set
from typing import Final

from emulator.sandbox.agent import AgentError, Exit, Process
from emulator.sandbox.frames import PAYLOAD_MAX, WINDOW
from emulator.sessions.multiplexers import COLUMNS, ROWS

STALL_SECONDS: Final = 5.0
"""How long others wait for a viewer that takes nothing."""

REPAINT_SECONDS: Final = 0.05
"""How long a program gets to see that its terminal is smaller, before it is not any more."""

TOO_SLOW: Final = "The output was not read, and others were waiting for it"

_LARGEST_PIECE: Final = PAYLOAD_MAX
_FLOW: Final = 2048
"""Bytes at once that nobody's keys bring about: more will come, which is waited for shortly."""

_GATHER_SECONDS: Final = 0.002


class Viewer:
    """Somebody who looks at a terminal from now on, until they leave or the program ends.

    `dropped` says why, when it was the terminal that ended it.
    """

    def __init__(self, terminal: "Terminal") -> None:
        self.dropped: str | None = None
        self._terminal = terminal
        self._kept = bytearray()
        self._arrival = asyncio.Event()
        self._ended = False
        self._since = 0.0

    async def output(self) -> AsyncIterator[bytes]:
        """What the program writes, in order; what is much comes in large pieces."""
        flows = False
        while True:
            while self._kept:
                if flows and len(self._kept) < _LARGEST_PIECE:
                    await asyncio.sleep(_GATHER_SECONDS)
                piece = self._take()
                flows = len(piece) >= _FLOW
                yield piece
            if self._ended:
                return
            self._arrival.clear()
            await self._arrival.wait()

    async def write(self, data: bytes) -> None:
        """Type; returns when the program's terminal has taken all of it, or there is none."""
        if not self._ended:
            await self._terminal.type(data)

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size, for all."""
        if not self._ended:
            self._terminal.resize(columns, rows)

    def conclude(self) -> None:
        """See no more than what has come until now, or than the program, if it ended, wrote."""
        if not self._terminal.process.ended.done():
            self.leave()

    def leave(self) -> None:
        """See no more than what has come until now."""
        self._terminal.part(self)
        self.end()

    def _take(self) -> bytes:
        with memoryview(self._kept) as kept:
            piece = bytes(kept[:_LARGEST_PIECE])
        del self._kept[: len(piece)]
        self._since = _now()
        self._terminal.taken()
        return piece

    # --- for the terminal ------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether there is as much to take as is kept for anybody."""
        return len(self._kept) >= WINDOW

    @property
    def waited_for(self) -> float:
        """The loop's time since when something was there to be taken, and nothing was."""
        return self._since

    def show(self, piece: bytes) -> None:
        if not self._kept:
            self._since = _now()
        self._kept += piece
        self._arrival.set()

    def end(self) -> None:
        self._ended = True
        self._arrival.set()


class Terminal:
    """A program on a terminal; `record` is given all of its output once, as it comes."""

    def __init__(
        self,
        process: Process,
        record: Callable[[bytes], None] | None = None,
        *,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.process = process
        self._record = record
        self._stall_seconds = stall_seconds
        self._size = (COLUMNS, ROWS)
        self._viewers: dict[Viewer, None] = {}
        self._repainting = False
        self._change = asyncio.Event()
        self._typing = asyncio.Lock()
        self._showing = asyncio.get_running_loop().create_task(self._show())

    @property
    def viewers(self) -> Set[Viewer]:
        """Those who are there, in the order in which they came."""
        return self._viewers.keys()

    @property
    def ended(self) -> "asyncio.Future[Exit]":
        """How the program ends, to be awaited by any number; fails with AgentError."""
        return self.process.outcome()

    def join(self) -> Viewer:
        """Another viewer, for whom a full-screen program paints its screen anew."""
        viewer = Viewer(self)
        if self._showing.done():
            viewer.end()
            return viewer
        if self._viewers:
            self._repaint()
        self._viewers[viewer] = None
        self._change.set()
        return viewer

    def close(self) -> None:
        """Kill the program, unless it has ended; nobody sees more than what has come."""
        self.process.close()
        self._showing.cancel()
        self._end()

    # --- for viewers -----------------------------------------------------------------------

    def taken(self) -> None:
        """A viewer has taken something."""
        self._change.set()

    def part(self, viewer: Viewer) -> None:
        """A viewer goes, who need not be there any more."""
        self._viewers.pop(viewer, None)
        self._change.set()

    async def type(self, data: bytes) -> None:
        """Write to the program, what others write before or after that; nothing when it ended."""
        async with self._typing:
            try:
                await self.process.write(data)
            except AgentError:
                return

    def resize(self, columns: int, rows: int) -> None:
        if self._repainting and self._size == (columns, rows):
            return  # which it gets again in a moment
        self._size = (columns, rows)
        self.process.resize(columns, rows)

    # --- its own ---------------------------------------------------------------------------

    async def _show(self) -> None:
        """Bring the program's output to its viewers, to its end."""
        try:
            async for _, piece in self.process.output():
                if self._record is not None:
                    self._record(piece)
                await self._somebody()
                for viewer in self._viewers:
                    viewer.show(piece)
                await self._room()
        finally:
            self._end()

    async def _somebody(self) -> None:
        """Return when there is a viewer."""
        while not self._viewers:
            self._change.clear()
            await self._change.wait()

    async def _room(self) -> None:
        """Return when every viewer has room; who takes nothing while others wait has to go."""
        while full := [viewer for viewer in self._viewers if viewer.full]:
            slowest = min(full, key=lambda viewer: viewer.waited_for)
            others = len(self._viewers) > 1
            self._change.clear()
            try:
                until = slowest.waited_for + self._stall_seconds if others else None
                async with asyncio.timeout_at(until):
                    await self._change.wait()
            except TimeoutError:
                slowest.dropped = TOO_SLOW
                slowest.leave()

    def _repaint(self) -> None:
        """Tell the program that its terminal's size changes, twice: it is the same afterwards."""
        columns, rows = self._size
        if self._repainting or rows == 1:
            return
        self._repainting = True
        self.process.resize(columns, rows - 1)
        asyncio.get_running_loop().call_later(REPAINT_SECONDS, self._repainted)

    def _repainted(self) -> None:
        self._repainting = False
        self.process.resize(*self._size)

    def _end(self) -> None:
        for viewer in self._viewers:
            viewer.end()
        self._viewers.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
