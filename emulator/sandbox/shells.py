"""Shells and REPLs as data: `runtimes/shell/shells.toml`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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
    # The sockets of multiplexers lie where nobody clears things away.
    "SCREENDIR": "/run/screen",
    "TMUX_TMPDIR": "/run",
}
"""What every shell finds in its environment, before its sender's."""

ANSWER = "42"
"""What every shell's `expression` comes to."""


class Shell(Table, frozen=True):
    """A shell or REPL that runs on a terminal.

    When it waits for input, `prompt` stands before the cursor. `expression` is a line whose
    answer is ANSWER and that does not contain it; `leave` is the line that ends the shell well.
    `languages` are those whose programs can be typed into it, by the names of their folders.
    """

    command: Command
    prompt: str
    expression: str
    leave: str = "exit"
    image: FileName = IMAGE
    aliases: tuple[Name, ...] = ()
    languages: tuple[Name, ...] = ()


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
        for fault in found._faults():
            raise CatalogueError(f"{file}: {fault}")
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

    def by_language(self) -> Iterator[tuple[str, str]]:
        """Every language that has a shell, with the name of that shell."""
        for name, shell in self.shells.items():
            yield from ((language, name) for language in shell.languages)

    def _calls(self) -> Iterator[str]:
        for name, shell in self.shells.items():
            yield from (name, *shell.aliases)

    def _faults(self) -> Iterator[str]:
        """What is wrong with the data, if anything is: the key, then the rule that it breaks."""
        yield from _twice("{} shells", self._calls())
        yield from _twice("the language of {} shells", (name for name, _ in self.by_language()))
        if self.find(self.usual) is None:
            yield f"usual: {self.usual!r} is no shell"
        for group, names in self.categories.items():
            unknown = (name for name in names if self.find(name) is None)
            yield from (f"categories.{group}: {name!r} is no shell" for name in unknown)
        for name, shell in self.shells.items():
            if ANSWER in shell.expression:
                yield f"shells.{name}.expression: contains its answer"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    """A fault for each name that stands more than once."""
    for name, times in Counter(names).items():
        if times > 1:
            yield f"shells: {name!r} is {what.format(times)}"
