"""What is known of a target and accepted for a time: a file of deviations, read strictly.

target = "real"                      # optional: another target than this is an error

[[deviations]]
id = "freeze-answers-202"
operation = "freezeSession"          # or "*"
check = "every answer: status"       # FAMILY: CHECK as in the report; or
path = "/sessions/*/state"           # a path in the answer's JSON; or both
observed = "answered 202"            # a part of the failure's message
expected = "200"
since = 2026-11-01
expires = 2027-05-01
reason = "Reported; freezing became asynchronous."
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["Deviation", "DeviationError", "Deviations", "read"]

ANY = "*"
_REQUIRED = ("id", "operation", "observed", "expected", "since", "expires", "reason")
_DATES = ("since", "expires")
_KNOWN = {*_REQUIRED, "check", "path"}


class DeviationError(ValueError):
    """A file of deviations cannot be used; the message names the file, the key and the rule."""


@dataclass(frozen=True)
class Deviation:
    """A failure that is accepted, and until when; empty `check` or `path` fit all."""

    id: str
    operation: str
    observed: str
    expected: str
    since: date
    expires: date
    reason: str
    check: str = ""
    path: str = ""

    def concerns(self, operation: str, check: str) -> bool:
        """Whether such a failure could fit; `check` is written FAMILY: CHECK."""
        return self.operation in (ANY, operation) and self.check in ("", check)

    def fits(self, operation: str, check: str, message: str) -> bool:
        return (
            self.concerns(operation, check)
            and self.observed in message
            and (not self.path or self._path.search(message) is not None)
        )

    @cached_property
    def _path(self) -> re.Pattern[str]:
        parts = self.path.removeprefix("/").split("/")
        fitting = "/".join("[^/:\\s]+" if part == ANY else re.escape(part) for part in parts)
        return re.compile(rf"(?:^|\s)/?{fitting}(?::|\s)")


class Deviations:
    """Those of a run, and which of them were met."""

    def __init__(self, known: Sequence[Deviation] = (), today: date | None = None) -> None:
        self.known = tuple(known)
        self.today = today or datetime.now().astimezone().date()
        self.used: dict[str, int] = {}

    def excuse(self, operation: str, check: str, message: str) -> Deviation | None:
        """The deviation that a failure is an instance of, unless it has expired."""
        for deviation in self.known:
            if deviation.fits(operation, check, message):
                self.used[deviation.id] = self.used.get(deviation.id, 0) + 1
                return None if self.expired(deviation) else deviation
        return None

    def expired(self, deviation: Deviation) -> bool:
        return deviation.expires < self.today

    def unused(self, judged: Collection[tuple[str, str]]) -> list[Deviation]:
        """Those that no failure fitted, though what they concern came to a result.

        `judged` holds (operation, FAMILY: CHECK) of all results but "not run" and "unsupported".
        """
        return [it for it in self.known if it.id not in self.used and _judged(it, judged)]

    def not_judged(self, judged: Collection[tuple[str, str]]) -> list[Deviation]:
        """Those that the run says nothing about."""
        return [it for it in self.known if it.id not in self.used and not _judged(it, judged)]

    def state(self, deviation: Deviation, judged: Collection[tuple[str, str]]) -> str:
        """One word, or two, for reports."""
        if self.expired(deviation):
            return "expired"
        if deviation.id in self.used:
            return "met"
        return "unused" if _judged(deviation, judged) else "not judged"

    def reasons(self, judged: Collection[tuple[str, str]], *, whole: bool) -> Iterator[str]:
        """What of the file speaks against the run."""
        for deviation in self.known:
            if self.expired(deviation):
                yield f"the deviation {deviation.id} expired on {deviation.expires}"
        unused = [it for it in self.unused(judged) if not self.expired(it)]
        for deviation in unused if whole else ():
            yield f"the deviation {deviation.id} was not observed any more: take it out"


def _judged(deviation: Deviation, judged: Collection[tuple[str, str]]) -> bool:
    return any(deviation.concerns(operation, check) for operation, check in judged)


def read(file: Path, *, target: str, operations: Collection[str]) -> list[Deviation]:
    """The deviations of a TOML file.

    Raises:
        DeviationError: naming the file, the key and its rule.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviationError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeviationError(f"{file} is not TOML: {error}") from None
    _refuse_unknown(f"{file}", document, {"target", "deviations"})
    meant = document.get("target", target)
    if meant != target:
        raise DeviationError(f"{file}: target is {meant!r}, and this run's target is {target!r}")
    entries = document.get("deviations", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DeviationError(f"{file}: deviations has to be written [[deviations]]")
    found = [
        _deviation(f"{file}: deviations[{number}]", entry, operations)
        for number, entry in enumerate(entries)
    ]
    ids = [deviation.id for deviation in found]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise DeviationError(f"{file}: the id {twice[0]} is there twice")
    return found


def _deviation(where: str, entry: Mapping[str, Any], operations: Collection[str]) -> Deviation:
    _refuse_unknown(where, entry, _KNOWN)
    missing = [name for name in _REQUIRED if name not in entry]
    if missing:
        raise DeviationError(f"{where}: {missing[0]} is missing")
    for name, value in entry.items():
        _check_type(f"{where}.{name}", name, value)
    if entry["operation"] not in {ANY, *operations}:
        raise DeviationError(f"{where}.operation: there is no operation {entry['operation']!r}")
    if not {"check", "path"} & set(entry):
        raise DeviationError(f"{where}: check or path is missing")
    if entry["expires"] < entry["since"]:
        raise DeviationError(f"{where}.expires: {entry['expires']} is before since")
    return Deviation(**entry)


def _check_type(where: str, name: str, value: object) -> None:
    if name in _DATES:
        if type(value) is not date:
            raise DeviationError(f"{where}: a date is wanted, written 2027-01-31, without quotes")
    elif not isinstance(value, str) or not value.strip():
        raise DeviationError(f"{where}: a text is wanted, not {value!r}")


def _refuse_unknown(where: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise DeviationError(
            f"{where}: unknown key {unknown[0]}; known: {', '.join(sorted(known))}"
        )
