"""Shells and REPLs as data: `runtimes/shell/shells.toml`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from emulator.sandbox.runtime import CatalogueError, Command, FileName, ImageFacts, Table
from emulator.sandbox.runtime_files import Name, read

IMAGE = "shell"
"""The image that sessions and services run in, unless a shell has another one."""

ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHELL": "/bin/bash",
    "TERM": "xterm-256color",
    "USER": "root",
}
"""What every shell finds in its environment, before its sender's."""

ANSWER = "42"
"""What every shell's `expression` comes to."""


class Shell(Table, frozen=True):
    """A shell or REPL that runs on a terminal.

    When it waits for input, `prompt` stands before the cursor. `expression` is a line whose
    answer is ANSWER and that does not contain it; `leave` is the line that ends the shell well.
    """

    command: Command
    prompt: str
    expression: str
    leave: str = "exit"
    image: FileName = IMAGE
    aliases: tuple[Name, ...] = ()


class Shells(Table, frozen=True):
    """All of them, their groups, and what their image is built with.

    `usual` is the one that a session has unless another is asked for; `runs_lines` runs a command
    line beside it.
    """

    image: ImageFacts
    usual: Name
    runs_lines: Command
    categories: Mapping[str, tuple[str, ...]]
    shells: Mapping[Name, Shell]

    @classmethod
    def load(cls, file: Path) -> "Shells":
        """Read `shells.toml`; raises CatalogueError."""
        found = read(file, cls)
        for name, times in Counter(found._calls()).items():
            if times > 1:
                raise CatalogueError(f"{file}: shells: {name!r} is {times} shells")
        if found.find(found.usual) is None:
            raise CatalogueError(f"{file}: usual: {found.usual!r} is no shell")
        for group, names in found.categories.items():
            for name in names:
                if found.find(name) is None:
                    raise CatalogueError(f"{file}: categories.{group}: {name!r} is no shell")
        for name, shell in found.shells.items():
            if ANSWER in shell.expression:
                raise CatalogueError(f"{file}: shells.{name}.expression: contains its answer")
        return found

    def names(self) -> list[str]:
        """Every name and alias, in alphabetical order."""
        return sorted(self._calls())

    def named(self, name: str) -> Shell:
        """One that there is; raises KeyError."""
        shell = self.find(name)
        if shell is None:
            raise KeyError(name)
        return shell

    def find(self, name: str) -> Shell | None:
        """By name or alias."""
        aliased = (shell for shell in self.shells.values() if name in shell.aliases)
        return self.shells.get(name) or next(aliased, None)

    def _calls(self) -> Iterator[str]:
        for name, shell in self.shells.items():
            yield from (name, *shell.aliases)
