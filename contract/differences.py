"""Where two JSON values differ, by path."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is a JSON pointer; a side that has nothing there says `<nothing>`."""

    path: str
    left: Any
    right: Any

    def __str__(self) -> str:
        return f"{self.path or '/'}: {_shown(self.left)} | {_shown(self.right)}"


_NOTHING = "<nothing>"
_LONGEST = 120


def differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:  # noqa: ANN401 - any JSON
    """Every place where they differ; lists of plain values count as one place."""
    if isinstance(left, dict) and isinstance(right, dict):
        yield from _members(left, right, path)
    elif isinstance(left, list) and isinstance(right, list):
        if any(isinstance(it, dict | list) for it in (*left, *right)):
            yield from _members(dict(enumerate(left)), dict(enumerate(right)), path)
        else:
            yield from _plain(left, right, path)
    elif not _same(left, right):
        yield Difference(path, left, right)


def _members(left: Mapping[Any, Any], right: Mapping[Any, Any], path: str) -> Iterator[Difference]:
    for name in dict.fromkeys((*left, *right)):
        here = f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}"
        if name in left and name in right:
            yield from differences(left[name], right[name], here)
        else:
            yield Difference(here, left.get(name, _NOTHING), right.get(name, _NOTHING))


def _plain(left: list[Any], right: list[Any], path: str) -> Iterator[Difference]:
    """What only one of two lists has; both of them whole when only their order differs."""
    if len(left) == len(right) and all(map(_same, left, right)):
        return
    ours = [it for it in left if not any(_same(it, other) for other in right)]
    theirs = [it for it in right if not any(_same(it, other) for other in left)]
    if ours or theirs:
        yield Difference(path, ours, theirs)
    else:
        yield Difference(path, left, right)


def _same(left: Any, right: Any) -> bool:  # noqa: ANN401 - any JSON
    """Python has False equal to 0, and 1 to 1.0, which are not the same JSON."""
    return type(left) is type(right) and bool(left == right)


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
