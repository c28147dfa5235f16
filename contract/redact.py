"""Keeps secrets out of everything that a run writes."""

import re
from collections.abc import Iterable

from contract.signing import AUTHORIZATION, SIGNATURE, TIME

__all__ = ["HIDDEN", "HIDDEN_HEADERS", "Redactor"]

HIDDEN = "[redacted]"
HIDDEN_HEADERS = frozenset(
    name.lower()
    for name in (
        AUTHORIZATION,
        SIGNATURE,
        TIME,
        "X-Sudo-OTP",
        "X-Sudo-Challenge",
        "Cookie",
        "Set-Cookie",
    )
)
"""Headers that authenticate: their values are in no report. (A signature may be used again.)"""

_SECRET_KEY = re.compile(r"unsb-sk-[A-Za-z0-9-]+")
_SIGNATURE = re.compile(r"\b[0-9a-f]{64}\b")
_NAMES = "|".join(re.escape(name) for name in sorted(HIDDEN_HEADERS))
_HEADER_IN_JSON = re.compile(
    rf'(\[\s*\\?"(?:{_NAMES})\\?",\s*\\?")(?:[^"\\]|\\.)*?(\\?"\s*\])', re.IGNORECASE
)
_HEADER_IN_TEXT = re.compile(
    rf"((?:{_NAMES})['\"]?\s*[:=,]\s*['\"]?(?:Bearer\s+)?)[^\s'\"\\,}})]+", re.IGNORECASE
)


class Redactor:
    """Replaces the given secrets, whatever looks like one, and headers that authenticate."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted((re.escape(secret) for secret in secrets if secret), key=len, reverse=True)
        self._known = re.compile("|".join(known)) if known else None

    def text(self, text: str) -> str:
        """Text, JSON or not, that holds none of them any more."""
        text = _HEADER_IN_JSON.sub(rf"\1{HIDDEN}\2", text)
        text = _HEADER_IN_TEXT.sub(rf"\1{HIDDEN}", text)
        for pattern in (self._known, _SECRET_KEY, _SIGNATURE):
            if pattern is not None:
                text = pattern.sub(HIDDEN, text)
        return text
