"""What a run has seen, as a stream of events that reports are made of: JSON, one event a line."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check of one operation; `operation` is empty when it belongs to none.

    `test` is the check's pytest id; `trail` are the exchanges that led there, as `shown` writes
    them, when it failed.
    """

    family: str
    check: str
    operation: str
    outcome: Outcome
    message: str = ""
    test: str = ""
    seconds: float = 0.0
    trail: Sequence[Any] = field(default=())


class Evidence:
    """Collects events and writes them to a file as they come, so that a crash loses none."""

    def __init__(self, path: Path | None, redactor: Redactor) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1) if path else None
        self._redactor = redactor
        self._answers: Counter[tuple[str, int, bool]] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self.results: list[Result] = []

    def close(self) -> None:
        """Write the counts too, and the end, which tells a whole run from a broken one."""
        self._write_counts()
        self._event("end", results=len(self.results))
        if self._file is not None:
            self._file.close()

    def saw(self, exchange: Exchange) -> None:
        """Count an answer."""
        operation = exchange.request.operation
        name = operation.id if operation else ""
        self._answers[name, exchange.response.status, exchange.request.probe] += 1

    def judged(self, exchange: Exchange, found: Sequence[Violation]) -> None:
        """Keep what the checks of every answer say of one."""
        operation = exchange.request.operation
        if operation is None:
            return
        broken = {violation.check for violation in found}
        for check in CHECKS:
            if check not in broken:
                self._kept[operation.id, check] += 1
        for violation in found:
            self.add(
                Result(
                    EVERY_ANSWER,
                    violation.check,
                    operation.id,
                    Outcome.FAILED,
                    violation.message,
                    trail=[shown(exchange)],
                )
            )

    def add(self, result: Result) -> None:
        """Keep a result, without the secrets that it may hold."""
        self.results.append(result)
        self._event("result", **{**_fields(result), "outcome": result.outcome.value})

    def _write_counts(self) -> None:
        for (operation, status, probe), count in sorted(self._answers.items()):
            self._event("answers", operation=operation, status=status, probe=probe, count=count)
        for (operation, check), count in sorted(self._kept.items()):
            self._event("kept", operation=operation, check=check, count=count)

    def _event(self, kind: str, **members: object) -> None:
        if self._file is not None:
            text = json.dumps({"event": kind, **members}, ensure_ascii=True, default=str)
            self._file.write(self._redactor.text(text) + "\n")


def _fields(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__slots__}


def shown(exchange: Exchange) -> dict[str, Any]:
    """An exchange as JSON: bodies as text, undecodable bytes as latin-1 beside their marker."""
    request, response = exchange.request, exchange.response
    return {
        "at": exchange.at,
        "operation": request.operation.id if request.operation else "",
        "account": request.account,
        "method": request.method,
        "target": request.target,
        "request_headers": list(request.headers),
        **_body("request", request.body),
        "status": response.status,
        "response_headers": list(response.headers),
        **_body("response", response.body),
    }


def _body(side: str, body: bytes) -> dict[str, Any]:
    try:
        return {f"{side}_body": body.decode()}
    except UnicodeDecodeError:
        return {f"{side}_body": body.decode("latin-1"), f"{side}_body_is": "latin-1"}


def read(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The events of evidence files; a line that a crash cut short is left out."""
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)
