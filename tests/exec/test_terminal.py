"""Programs at a terminal: keys that make signals, and job control of a shell."""

import os
import pty
import select
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.exec.exec_process import Exec, for_server
from tests.server import Server


class Terminal:
    """What a program that owns a terminal has printed, and its keyboard."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.seen = ""

    def press(self, keys: str) -> None:
        os.write(self.handle, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read on until `text` was printed; what was read is forgotten."""
        deadline = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.handle], [], [], 1)[0]:
                self.seen += os.read(self.handle, 4096).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]


@contextmanager
def terminal(command: list[str], environment: dict[str, str]) -> Iterator[Terminal]:
    child, handle = pty.fork()
    if not child:
        os.execvpe(command[0], command, environment)  # noqa: S606
    try:
        yield Terminal(handle)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(handle)


@pytest.fixture
def inside(server: Server, tmp_path: Path) -> Exec:
    return for_server(server, tmp_path / "home")


def test_an_interrupt_key_reaches_the_program_once(inside: Exec) -> None:
    program = "trap 'echo interrupted' INT; echo started; while read x; do :; done; read x"
    with terminal(inside.command("sh", "-c", program), inside.environment()) as screen:
        screen.wait_for("started")
        screen.press("\x03")
        screen.wait_for("interrupted")
        time.sleep(0.2)
        screen.press("end\n")
        screen.wait_for("end")
        assert "interrupted" not in screen.seen


def test_an_interactive_shell_has_the_terminal(inside: Exec) -> None:
    program = inside.command("bash", "--norc", "-i")
    with terminal(program, inside.environment(PS1="ready> ")) as screen:
        screen.wait_for("ready> ")
        screen.press("sh -c 'echo running; exec sleep 600'\n")
        screen.wait_for("running\r\n")
        screen.press("\x1a")
        screen.wait_for("Stopped")
        screen.press("kill %1; tty; curl -sS https://api.unsandbox.com/health\n")
        screen.wait_for("/dev/pts/")
        screen.wait_for('{"status":"ok"}')
        screen.press("exit 3\n")


def test_a_shell_stops_and_resumes_it(inside: Exec) -> None:
    program = "echo started; while read x; do echo got $x; done"
    with terminal(["bash", "--norc", "-i"], inside.environment(PS1="ready> ")) as screen:
        screen.wait_for("ready> ")
        screen.press(shlex.join(inside.command("sh", "-c", program)) + "\n")
        screen.wait_for("started\r\n")
        screen.press("\x1a")
        screen.wait_for("Stopped")
        screen.wait_for("ready> ")
        screen.press("fg\n")
        screen.wait_for("fg\r\n")
        screen.press("again\n")
        screen.wait_for("got again")
        screen.press("\x03")
        screen.wait_for("ready> ")
        screen.press("echo status $?\n")
        screen.wait_for(f"status {128 + signal.SIGINT}")
