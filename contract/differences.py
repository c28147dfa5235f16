"""Where two JSON values differ, by path."""

from collections.abc import Iterator
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
        for name in dict.fromkeys((*left, *right)):
            yield from differences(
                left.get(name, _NOTHING),
                right.get(name, _NOTHING),
                f"{path}/{name.replace('~', '~0').replace('/', '~1')}",
            )
    elif isinstance(left, list) and isinstance(right, list):
        yield from _lists(left, right, path)
    elif type(left) is not type(right) or left != right:
        yield Difference(path, left, right)


def _lists(left: list[Any], right: list[Any], path: str) -> Iterator[Difference]:
    if any(isinstance(it, dict | list) for it in (*left, *right)):
        for place in range(max(len(left), len(right))):
            one, other = (it[place] if place < len(it) else _NOTHING for it in (left, right))
            yield from differences(one, other, f"{path}/{place}")
    elif left != right:
        only = [it for it in left if it not in right], [it for it in right if it not in left]
        yield (
            Difference(path, only[0] or left, only[1] or right)
            if any(only)
            else Difference(path, left, right)
        )


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
