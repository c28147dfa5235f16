"""Golden recordings: what a real service answered, in files that a walk is compared with later.

A recording holds a step of the walk and its normalised answer; never a key, a signature, an
address of a person or a token. It carries its own checksum: it is recorded, not written.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from contract.sequence import Step

__all__ = ["FOLDER", "STALE_DAYS", "Recording", "RecordingError", "read", "write"]

FOLDER = Path(__file__).parent / "golden"
STALE_DAYS = 90
"""After so many days a service may have changed: the recording is to be made anew."""

_NAME = re.compile(r"[A-Za-z]+\.[A-Za-z0-9-]+\.json")
_SUSPICIOUS = {
    "a key": re.compile(r"unsb-[ps]k-[A-Za-z0-9]"),
    "a signature": re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", re.IGNORECASE),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"),
    "a bearer token": re.compile(r"\bBearer\s+[^\s<\"]", re.IGNORECASE),
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]+"),
}
_LONG = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_RANDOM_BITS = 3.4
"""Bits a character from which on a long text is taken for a token; English words have fewer."""


class RecordingError(Exception):
    """A recording cannot be kept, or cannot be trusted; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One answer of a real service.

    `place` is the step's in the walk, `contract` the digest of the openapi.yaml of that day.
    """

    step: Step
    place: int
    recorded: date
    contract: str
    answer: Mapping[str, Any]

    def stale(self, contract: str, today: date) -> str | None:
        """Why it says little about today, or None."""
        if self.contract != contract:
            return "it was recorded with another version of openapi.yaml"
        days = (today - self.recorded).days
        return f"it is {days} days old" if days > STALE_DAYS else None

    def text(self) -> str:
        """The file's text; raises RecordingError when anything in it looks like a secret."""
        document = {
            "step": dict(self.step.document),
            "place": self.place,
            "recorded": self.recorded.isoformat(),
            "contract": self.contract,
            "answer": self.answer,
        }
        for kind in _suspicions([document["step"], document["answer"]]):
            raise RecordingError(f"{self.step.name} holds what looks like {kind}: nothing is kept")
        return json.dumps({**document, "checksum": _checksum(document)}, indent=1) + "\n"


def write(folder: Path, recordings: Iterable[Recording]) -> None:
    """Replace the recordings of a folder by these: all of them, or nothing is changed.

    Raises:
        RecordingError: one holds what looks like a secret.
    """
    texts = {f"{it.step.name}.json": it.text() for it in recordings}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        if _NAME.fullmatch(old.name):
            old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def read(folder: Path) -> list[Recording]:
    """The recordings of a folder, in the walk's order.

    Raises:
        RecordingError: a file is none, or was changed after it was recorded.
    """
    return sorted((_read(file) for file in folder.glob("*.json")), key=lambda it: it.place)


def _read(file: Path) -> Recording:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        checksum = document.pop("checksum")
        made = Recording(
            Step(document["step"]),
            document["place"],
            date.fromisoformat(document["recorded"]),
            document["contract"],
            document["answer"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(f"{file.name} is no recording: {error!r}") from None
    if checksum != _checksum(document):
        raise RecordingError(f"{file.name} was changed by hand; record it anew")
    return made


def _checksum(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _suspicions(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """What kinds of secrets the texts of a document look like."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _suspicions(name)
            yield from _suspicions(member)
    elif isinstance(value, list):
        for member in value:
            yield from _suspicions(member)
    elif isinstance(value, str):
        yield from (kind for kind, pattern in _SUSPICIOUS.items() if pattern.search(value))
        if any(_is_random(found) for found in _LONG.findall(value)):
            yield "a token"


def _is_random(text: str) -> bool:
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    return bits > _RANDOM_BITS and any(it.isdigit() for it in text)
