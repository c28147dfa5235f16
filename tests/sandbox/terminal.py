"""A person's terminal at a program of a sandbox: what its screen shows, and its keys."""

import asyncio
from collections.abc import Callable

import pyte

from emulator.sandbox.agent import Exit, Process

COLUMNS, LINES = 80, 24
PATIENCE_SECONDS = 30


class _Screen(pyte.Screen):
    """Keeps what the terminal itself answers, as when it is asked where its cursor is."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, LINES)
        self.answers: list[str] = []

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        """What vim asks of the keyboard looks like it, but for a mark, and changes nothing."""
        if not private:
            super().select_graphic_rendition(*attributes)

    def write_process_input(self, data: str) -> None:
        self.answers.append(data)


class Terminal:
    """A screen that shows what `process` writes to it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._output = process.output()
        self._screen = _Screen()
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """What the screen shows, without spaces at the ends of lines."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def before_cursor(self) -> str:
        """The cursor's line up to the cursor."""
        cells = self._screen.buffer[self._screen.cursor.y]
        return "".join(cells[column].data for column in range(self._screen.cursor.x))

    def colour_of(self, text: str) -> str:
        """The colour of the last place where `text` is shown: a name or six hexadecimal digits."""
        row, line = next(it for it in reversed([*enumerate(self.lines)]) if text in it[1])
        return self._screen.buffer[row][line.rindex(text)].fg

    async def until(self, seen: Callable[["Terminal"], bool]) -> None:
        """Wait until `seen` holds; raises AssertionError with the screen when that never comes."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not seen(self):
                    assert await self._next(), "\n".join(["the program ended after:", *self.lines])
        except TimeoutError:
            raise AssertionError("\n".join(["nothing comes after:", *self.lines])) from None

    async def type_line(self, line: str) -> None:
        """Type it, and the return key."""
        await self.press(f"{line}\r")

    async def press(self, keys: str) -> None:
        await self._process.write(keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make its window larger or smaller."""
        self._screen.resize(lines, columns)
        self._process.resize(columns, lines)

    async def end(self) -> Exit:
        """Wait for the program's end."""
        while await self._next():
            pass
        return await self._process.wait()

    async def _next(self) -> bool:
        """Show the next piece of output; False when there is none any more."""
        piece = await anext(self._output, None)
        if piece is None:
            return False
        self._stream.feed(piece[1])
        while self._screen.answers:
            await self._process.write(self._screen.answers.pop(0).encode())
        return True
