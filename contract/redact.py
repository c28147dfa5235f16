"""Keeps secrets out of everything that a run writes: evidence, reports, and pytest's own output."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from contract.signing import AUTHORIZATION, SIGNATURE, TIME

__all__ = ["HIDDEN", "HIDDEN_HEADERS", "ONE_TIME_CODE", "WRONG_CODE", "Redactor"]

HIDDEN = "[redacted]"
WRONG_CODE = "[redacted: a wrong code]"
"""Stands for a one-time code that is not the account's, so that a replay sends a wrong one too."""

ONE_TIME_CODE = "X-Sudo-OTP"
_COOKIES = ("Cookie", "Set-Cookie")
HIDDEN_HEADERS = frozenset(
    name.lower() for name in (AUTHORIZATION, SIGNATURE, TIME, ONE_TIME_CODE, *_COOKIES)
)
"""Headers that authenticate: their values are in no report. (A signature may be used again.)"""

_SECRET_KEY = re.compile(r"unsb-sk-[A-Za-z0-9-]+")
_SIGNATURE = re.compile(r"[0-9a-f]{64,}", re.IGNORECASE)

_QUOTE = r"(?:\\*['\"]|&quot;|&\#x27;|&\#39;|%22|%27)"


def _names(names: Iterable[str]) -> str:
    return "|".join(re.escape(name).replace(r"\-", "[-_]") for name in sorted(names))


_HEADER_IN_TEXT = re.compile(
    rf"((?:{_names(HIDDEN_HEADERS)})(?:{_QUOTE})?\s*(?:[:=]\s*b?{_QUOTE}?|,\s*b?{_QUOTE})"
    r"(?:(?:Bearer|Basic)\s+)?)[^\s'\"\\,})\]&;<]+",
    re.IGNORECASE,
)
_COOKIE_IN_TEXT = re.compile(
    rf"(\b(?:{_names(_COOKIES)})(?:{_QUOTE})?\s*[:=,]\s*b?{_QUOTE}?)[^'\"\\\r\n]+", re.IGNORECASE
)

_TELLING = 6
"""Characters of a secret at the edge of an abridged text that are taken for it."""

_ENOUGH_FOR_BASE64 = 12
"""A shorter secret is looked for as the whole of an encoded text alone: parts of it say nothing."""


class Redactor:
    """Replaces the given secrets, whatever looks like one, and headers that authenticate."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = {secret for secret in secrets if secret}
        forms = {form for secret in self._secrets for form in _forms(secret)}
        parts = [re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form))]
        parts += [part for secret in sorted(self._secrets) for part in _abridged(secret)]
        self._known = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def text(self, text: str) -> str:
        """Text of any kind that holds none of them any more."""
        text = _COOKIE_IN_TEXT.sub(rf"\1{HIDDEN}", text)
        text = _HEADER_IN_TEXT.sub(rf"\1{HIDDEN}", text)
        for pattern in (self._known, _SECRET_KEY, _SIGNATURE):
            if pattern is not None:
                text = pattern.sub(HIDDEN, text)
        return text

    def value(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """JSON of any kind, its texts clean; [name, value] and {name: value} count as headers."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._member(str(key), it) for key, it in value.items()}
        if isinstance(value, list | tuple):
            if len(value) == 2 and isinstance(value[0], str):
                return [self.text(value[0]), self._member(value[0], value[1])]
            return [self.value(member) for member in value]
        return value

    def _member(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
        if name.lower() not in HIDDEN_HEADERS:
            return self.value(value)
        wrong = name.lower() == ONE_TIME_CODE.lower() and value not in self._secrets
        return WRONG_CODE if wrong else HIDDEN


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may stand in URLs, JSON, HTML and Python, once or twice over, and encoded."""
    once = {secret, *_escaped(secret)}
    yield from once
    yield from (twice for form in once for twice in _escaped(form))
    yield secret.encode().hex()
    yield from _in_base64(secret.encode())


def _escaped(text: str) -> Iterator[str]:
    yield from (quote(text), quote(text, safe=""), quote_plus(text), html.escape(text))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (repr(text)[1:-1], repr(text.encode())[2:-1])


def _in_base64(secret: bytes) -> Iterator[str]:
    """What all texts have in common that hold it, for each place where it may begin in a group."""
    if len(secret) < _ENOUGH_FOR_BASE64:
        yield base64.b64encode(secret).decode().rstrip("=")
        return
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        whole = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))


def _abridged(secret: str) -> Iterator[str]:
    """Either end of it, before or after the dots that pytest puts for what it leaves out."""
    lengths = range(len(secret) - 1, _TELLING - 1, -1)
    if lengths:
        starts = "|".join(re.escape(secret[:length]) for length in lengths)
        ends = "|".join(re.escape(secret[-length:]) for length in lengths)
        yield rf"(?:{starts})(?=\.\.\.|…)"
        yield rf"(?:(?<=\.\.\.)|(?<=…))(?:{ends})"
