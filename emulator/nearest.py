"""Suggestions for names that are not known."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean python, php?)`, or nothing when no name of `known` is near."""
    folded = {one.lower(): one for one in known}
    near = get_close_matches(name.strip().lower()[:_LONGEST], folded, n=3)
    return f" (did you mean {', '.join(folded[one] for one in near)}?)" if near else ""
