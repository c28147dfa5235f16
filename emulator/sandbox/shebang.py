"""Which interpreter the first line of a program asks for."""

import re
from collections.abc import Iterator, Sequence

_TAKES_ARGUMENT = frozenset({"-u", "--unset", "-C", "--chdir", "-a", "--argv0"})
"""Options of env(1) whose argument is a word of its own."""
_LONGEST = 256
"""Characters of the first line that are looked at: what the kernel reads of it."""
_SPLIT = re.compile(r"-S|--split-string=?")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_VERSION = re.compile(r"[-._]?[0-9][0-9A-Za-z.]*(-[a-z]+)?$")


def interpreter_names(code: str) -> Iterator[str]:
    """Names to look the interpreter of `code` up by, the most exact first; none without a shebang.

    `#!/usr/bin/env -S python3.11 -u` gives `python3.11`, then `python`.
    """
    first_line = code[:_LONGEST].partition("\n")[0]
    if not first_line.startswith("#!"):
        return
    words = first_line[2:].split()
    name = _basename(words)
    if name == "env":
        name = _basename(_after_env(words))
    if name:
        yield name
        yield _VERSION.sub("", name)


def _basename(words: Sequence[str]) -> str:
    return words[0].strip("\"'").rpartition("/")[2] if words else ""


def _after_env(words: Sequence[str]) -> Sequence[str]:
    """What is left of a line that calls env(1) after its options and variables."""
    rest = list(words[1:])
    while rest:
        word = rest[0]
        if split := _SPLIT.match(word):
            rest[:1] = [word[split.end() :]] if word[split.end() :] else []
        elif word in _TAKES_ARGUMENT:
            del rest[:2]
        elif word.startswith("-") or _ASSIGNMENT.match(word):
            del rest[0]
        else:
            break
    return rest
