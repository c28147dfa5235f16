"""A shell of a few commands over files in memory: as much as the suite's checks use."""

import base64
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HOME = "/tmp/input"

_ESCAPES = re.compile(rb"\\([0-7]{1,3}|[ntr\\])")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"\\": b"\\"}


@dataclass(slots=True)
class Machine:
    """What a container would be: files by absolute path, and variables."""

    files: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ran:
    """What came of a command line; `ended` when it was `exit`."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int = 0
    ended: bool = False


def run(machine: Machine, script: str) -> Ran:
    """Run lines of commands joined by `|` and `;`, their output perhaps sent to a file."""
    whole = Ran()
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars="|;>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    for command in _split(list(lexer), ";"):
        if command:
            ran = _pipeline(machine, command)
            whole.stdout += ran.stdout
            whole.stderr += ran.stderr
            whole.code, whole.ended = ran.code, ran.ended
            if ran.ended:
                break
    return whole


def path(name: str) -> str:
    """The absolute form of a file's name."""
    return name if name.startswith("/") else f"{HOME}/{name}"


def _pipeline(machine: Machine, words: Sequence[str]) -> Ran:
    ran = Ran()
    into, before = None, b""
    cut = next((number for number, word in enumerate(words) if word in (">", ">>")), None)
    if cut is not None:
        into = words[cut + 1]
        before = machine.files.get(path(into), b"") if words[cut] == ">>" else b""
        words = words[:cut]
    for name, *arguments in _split(words, "|"):
        command = _COMMANDS.get(name)
        if command is None:
            return Ran(stderr=f"sh: {name}: not found\n".encode(), code=127)
        ran = command(machine, arguments, ran.stdout)
    if into == "&2":
        ran.stdout, ran.stderr = b"", ran.stderr + ran.stdout
    elif into is not None:
        machine.files[path(into)], ran.stdout = before + ran.stdout, b""
    return ran


def _split(words: Sequence[str], at: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word and not word.strip(at):
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _escaped(text: str) -> bytes:
    """Octal and letter escapes, as `printf` reads them."""
    return _ESCAPES.sub(
        lambda it: _LETTERS.get(it[1]) or bytes([int(it[1], 8)]), text.encode("utf-8")
    )


def _printf(_machine: Machine, arguments: Sequence[str], _stdin: bytes) -> Ran:
    form, *values = arguments
    if "%s" not in form:
        return Ran(_escaped(form))
    return Ran(b"".join(_escaped(form).replace(b"%s", value.encode()) for value in values))


def _cat(machine: Machine, arguments: Sequence[str], stdin: bytes) -> Ran:
    for name in arguments:
        if path(name) not in machine.files:
            return Ran(stderr=f"cat: {name}: No such file or directory\n".encode(), code=1)
    return Ran(b"".join(machine.files[path(name)] for name in arguments) if arguments else stdin)


def _base64(machine: Machine, arguments: Sequence[str], stdin: bytes) -> Ran:
    if "-d" in arguments:
        return Ran(base64.b64decode(stdin))
    source = _cat(machine, [name for name in arguments if name != "-w0"], stdin)
    source.stdout = base64.b64encode(source.stdout)
    return source


def _rm(machine: Machine, arguments: Sequence[str], _stdin: bytes) -> Ran:
    for name in arguments:
        machine.files.pop(path(name), None)
    return Ran()


def _printenv(machine: Machine, arguments: Sequence[str], _stdin: bytes) -> Ran:
    value = machine.variables.get(arguments[0])
    return Ran(code=1) if value is None else Ran(f"{value}\n".encode())


def _exit(_machine: Machine, arguments: Sequence[str], _stdin: bytes) -> Ran:
    return Ran(code=int(arguments[0]) if arguments else 0, ended=True)


_COMMANDS: dict[str, Callable[[Machine, Sequence[str], bytes], Ran]] = {
    "printf": _printf,
    "echo": lambda _machine, arguments, _stdin: Ran(" ".join(arguments).encode() + b"\n"),
    "cat": _cat,
    "base64": _base64,
    "rm": _rm,
    "printenv": _printenv,
    "exit": _exit,
}
