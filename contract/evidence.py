"""What a run has seen, as a stream of events that reports are made of: JSON, one event a line."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.conformance import CHECKS, Violation
from contract.exchange import Exchange
from contract.outcomes import Outcome
from contract.redact import Redactor

__all__ = ["EVERY_ANSWER", "Evidence", "Result", "read"]

EVERY_ANSWER = "every answer"
"""The family of the checks that all answers pass, whichever family asked."""

_TRAILS = 3
"""How many failures of one operation, check and status tell how they came about."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check of one operation; `operation` is empty when it belongs to none.

    `test` is the check's pytest id, `trail` are the exchanges that led to a failure, as
    `trail.recorded` writes them. `cause` are the violations of the contract that made a check
    fail which found nothing itself, each [operation, check, message].
    """

    family: str
    check: str
    operation: str
    outcome: Outcome
    message: str = ""
    test: str = ""
    seconds: float = 0.0
    trail: Sequence[Any] = field(default=())
    cause: Sequence[Sequence[str]] = field(default=())


class Evidence:
    """Collects events and writes them to a file as they come, so that a crash loses none."""

    def __init__(self, path: Path | None, redactor: Redactor) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1) if path else None
        self._redactor = redactor
        self._answers: Counter[tuple[str, int, bool]] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._trails: Counter[tuple[str, str, int]] = Counter()
        self._results = 0

    def close(self) -> None:
        """Write the counts too, and the end, which tells a whole run from a broken one."""
        self._write_counts()
        self.event("end", results=self._results)
        if self._file is not None:
            self._file.close()

    def saw(self, exchange: Exchange) -> None:
        """Count an answer."""
        operation = exchange.request.operation
        name = operation.id if operation else ""
        self._answers[name, exchange.response.status, exchange.request.probe] += 1

    def judged(
        self,
        exchange: Exchange,
        found: Sequence[Violation],
        trail: Callable[[], Sequence[Any]] = tuple,
    ) -> None:
        """Keep what the checks of every answer say of one; `trail` is how it came to be asked."""
        operation = exchange.request.operation
        if operation is None:
            return
        broken = {violation.check for violation in found}
        for check in CHECKS:
            if check not in broken:
                self._kept[operation.id, check] += 1
        for violation in found:
            kind = operation.id, violation.check, exchange.response.status
            self._trails[kind] += 1
            self.add(
                Result(
                    EVERY_ANSWER,
                    violation.check,
                    operation.id,
                    Outcome.FAILED,
                    violation.message,
                    test=_current_test(),
                    trail=trail() if self._trails[kind] <= _TRAILS else (),
                )
            )

    def add(self, result: Result) -> None:
        """Keep a result, without the secrets that it may hold."""
        self._results += 1
        self.event("result", **{**_fields(result), "outcome": result.outcome.value})

    def _write_counts(self) -> None:
        for (operation, status, probe), count in sorted(self._answers.items()):
            self.event("answers", operation=operation, status=status, probe=probe, count=count)
        for (operation, check), count in sorted(self._kept.items()):
            self.event("kept", operation=operation, check=check, count=count)

    def event(self, kind: str, **members: object) -> None:
        """Write an event, without the secrets that it may hold."""
        if self._file is not None:
            clean = self._redactor.value({"event": kind, **members})
            self._file.write(json.dumps(clean, ensure_ascii=True, default=str) + "\n")


def _fields(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__slots__}


def _current_test() -> str:
    """The pytest id of the check that runs, as pytest tells it."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def read(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The events of evidence files; a line that a crash cut short is left out."""
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)
