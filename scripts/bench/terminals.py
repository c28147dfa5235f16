"""A terminal that somebody types at: a session's, or one of this machine with nothing between."""

import os
import pty
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PIECE = 65_536
SHELL = ("bash", "--norc", "--noprofile", "-i")
PROMPT = b"# "


class Terminal(Protocol):
    """What both are to who measures."""

    def send(self, data: bytes) -> None:
        """Type."""

    def receive(self) -> bytes:
        """The next bytes that it shows."""


class LocalTerminal:
    """The owner's side of a terminal of this machine."""

    def __init__(self, owner: int) -> None:
        self._owner = owner

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._owner, left) :]

    def receive(self) -> bytes:
        return os.read(self._owner, PIECE)


@contextmanager
def local_terminal() -> Iterator[LocalTerminal]:
    """A shell on a terminal of this machine for the block, at its prompt."""
    environment = {**os.environ, "PS1": PROMPT.decode(), "TERM": "xterm-256color"}
    process, owner = pty.fork()
    if process == 0:
        os.execvpe(SHELL[0], SHELL, environment)  # noqa: S606 - it is the shell that is wanted
    try:
        terminal = LocalTerminal(owner)
        until(terminal, PROMPT)
        yield terminal
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(owner)


def until(terminal: Terminal, text: bytes) -> None:
    """Return when `text` is shown."""
    shown = b""
    while text not in shown:
        shown = shown[-len(text) :] + terminal.receive()


def skip(terminal: Terminal, count: int) -> None:
    """Read so many bytes and keep none of them."""
    while count > 0:
        count -= len(terminal.receive())
