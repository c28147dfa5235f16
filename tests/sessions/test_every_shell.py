"""Every shell and REPL of `GET /shells`, in a session, as a person has it on their screen."""

import re
import time
from collections.abc import Callable

import pyte
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from emulator.sandbox.shells import ANSWER
from tests.built import shells_missing
from tests.sessions.conftest import Maker
from tests.shell import COLUMNS, ROWS, Shell

SHELLS = Catalogue.load(RUNTIMES).shells
PATIENCE_SECONDS = 60


class Screen(pyte.Screen):
    """What a client's terminal shows, and what it answers by itself."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(COLUMNS, ROWS)
        self._shell = shell
        self._stream = pyte.ByteStream(self)

    def write_process_input(self, data: str) -> None:
        self._shell.type(data)

    @property
    def before_cursor(self) -> str:
        return self.display[self.cursor.y][: self.cursor.x]

    def until(self, seen: Callable[["Screen"], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not seen(self):
            assert time.monotonic() < deadline, "\n".join(self.display)
            self._stream.feed(self._shell.next(deadline))


def waits_at(prompt: str) -> Callable[[Screen], bool]:
    return lambda screen: screen.before_cursor.endswith(prompt)


def shows_the_answer(screen: Screen) -> bool:
    return any(re.search(rf"\b{ANSWER}\W*$", line.rstrip()) for line in screen.display)


@pytest.mark.parametrize("name", SHELLS.shells)
def test_a_shell_works_out_what_is_typed_and_ends_its_session(sessions: Maker, name: str) -> None:
    if name in shells_missing():
        pytest.skip(f"{name}: its image is not built here")
    shell = SHELLS.shells[name]
    session = sessions(shell=name)
    assert session["shell"] == name
    with sessions.shell(session) as opened:
        screen = Screen(opened)
        screen.until(waits_at(shell.prompt))
        assert not shows_the_answer(screen)
        opened.type(f"{shell.expression}\r")
        screen.until(shows_the_answer)
        screen.until(waits_at(shell.prompt))
        opened.type(f"{shell.leave}\r")
        assert opened.ended() == (["exit"], 1000)
