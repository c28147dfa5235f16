"""tmux and screen: what keeps a session's shell while no client is there.

The multiplexer's server is a program that the agent keeps over restarts of the emulator; its end is
the shell's. Each client is an attach program of its own, on a terminal of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

COLUMNS, ROWS = 80, 24
"""The size of a terminal until its client says another one."""

_NAME = "main"
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Multiplexer:
    """How one is used, as command lines.

    `serve` runs the server in the foreground with a shell's command; `begin`, tried until it exits
    with 0, says that clients can attach; `alive` exits with 0 while the shell lives.
    """

    serve: Callable[[Words], Words]
    begin: Callable[[Words], Words]
    attach: Words
    alive: Words


def _tmux(command: Words) -> Words:
    """The server that runs in the foreground takes no command, and would outlive its shells."""
    size = ("-x", str(COLUMNS), "-y", str(ROWS))
    session = ("tmux", "-N", "-u", "new-session", "-d", "-s", _NAME, *size, "--", *command)
    return (*session, ";", "set-option", "-s", "exit-empty", "on")


MULTIPLEXERS: Mapping[str, Multiplexer] = {
    "tmux": Multiplexer(
        serve=lambda _: ("tmux", "-u", "-D"),
        begin=_tmux,
        attach=("tmux", "-N", "-u", "attach", "-t", _NAME),
        alive=("tmux", "-N", "has-session", "-t", _NAME),
    ),
    "screen": Multiplexer(
        serve=lambda command: ("screen", "-U", "-D", "-m", "-S", _NAME, *command),
        begin=lambda _: ("screen", "-S", _NAME, "-Q", "select", "."),
        attach=("screen", "-U", "-x", _NAME),
        alive=("screen", "-ls", _NAME),
    ),
}
