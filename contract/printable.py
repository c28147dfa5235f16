"""What a server said, fit to be shown: nothing in it can act on a terminal or a page."""

import unicodedata

__all__ = ["printable"]

_KEPT = "\n\t"
_ACTING = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories of characters that control, turn around or hide what stands near them."""


def printable(text: str, most: int = 4000) -> str:
    """At most so many characters, those that act written as Python escapes."""
    shown = "".join(
        character if character in _KEPT or _is_plain(character) else _escape(character)
        for character in text[:most]
    )
    return shown if len(text) <= most else f"{shown}… ({len(text) - most} more characters)"


def _is_plain(character: str) -> bool:
    return unicodedata.category(character) not in _ACTING


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
