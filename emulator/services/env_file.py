"""Variables as the text of a `.env` file, both ways.

python-dotenv's parser reads it: comments, `export`, quotes over several lines. Nothing is
interpolated, so no text can read this process's environment. What cannot be read is refused, not
left out, and no error quotes anything of a text.
"""

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Final, NamedTuple

from dotenv.parser import Binding, parse_stream

BLANKS_MOST: Final = 256
"""Blanks in a row of a value without quotes: the parser takes time by the square of them."""

_MARGIN: Final = re.compile(r"\s*")
_QUOTED_NAME: Final = re.compile(r"(?:export[^\S\r\n]+)?'")
_BARE_VALUE: Final = re.compile(
    r"(?:export[^\S\r\n]+)?[^=#\s]+[^\S\r\n]*=[^\S\r\n]*+(?!['\"])([^\r\n]*)"
)
_BLANKS: Final = re.compile(r"[^\S\r\n]+")
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_ESCAPES: Final = str.maketrans(
    {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", "\f": r"\f"}
)


class EnvFileError(ValueError):
    """A text is no `.env` file; the message names the line, and quotes nothing of it."""


class Assignment(NamedTuple):
    """A variable of a text, and the line where it begins."""

    line: int
    name: str
    value: str


def read(text: str) -> list[Assignment]:
    """What a text assigns, in its order; names may be any, and stand twice.

    Raises:
        EnvFileError: a line is neither empty, nor a comment, nor NAME=value.
    """
    return list(_read(text.removeprefix("\ufeff")))


def _read(text: str) -> Iterator[Assignment]:
    for line, binding in _bindings(text):
        if binding.error:
            raise EnvFileError(f"line {line}: it is not NAME=value, or its quotes do not end it")
        if binding.key is not None:
            if binding.value is None:
                raise EnvFileError(f"line {line}: there is no =")
            yield Assignment(line, binding.key, binding.value)


def _bindings(text: str) -> Iterator[tuple[int, Binding]]:
    """What stands in a text, with the lines that it begins at; each is looked at beforehand."""
    bindings = parse_stream(StringIO(text))
    place, line = 0, 1
    while place < len(text):
        margin = _MARGIN.match(text, place)
        assert margin is not None  # noqa: S101 - it may be empty
        line += len(_LINE_END.findall(margin[0]))
        _check_next(text, margin.end(), line)
        binding = next(bindings)
        yield line, binding
        place += len(binding.original.string)
        line = binding.original.line + len(_LINE_END.findall(binding.original.string))


def _check_next(text: str, place: int, line: int) -> None:
    """Refuse what the parser would take too long for; it has to be known where a value begins."""
    if _QUOTED_NAME.match(text, place):
        raise EnvFileError(f"line {line}: a name has no quotes")
    bare = _BARE_VALUE.match(text, place)
    if bare and any(len(blanks) > BLANKS_MOST for blanks in _BLANKS.findall(bare[1])):
        raise EnvFileError(
            f"line {line}: a value with more than {BLANKS_MOST} blanks in a row needs quotes"
        )


def write(variables: Mapping[str, str]) -> str:
    """A text that reads as `variables`, a line each; most values stand as they are."""
    return "\n".join(f"{name}={_written(value)}" for name, value in variables.items())


def _written(value: str) -> str:
    return next(form for form in _forms(value) if _reads_as(form, value))


def _forms(value: str) -> Iterator[str]:
    """The plainest first; the last one fits every value."""
    yield value
    if _LINE_END.search(value) is None:
        yield f"'{value}'"
    yield f'"{value.translate(_ESCAPES)}"'


def _reads_as(form: str, value: str) -> bool:
    try:
        return read(f"_={form}\n") == [(1, "_", value)]
    except EnvFileError:
        return False
