"""The events of a run put together: operation by check, statuses seen, and the verdict."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract.evidence import EVERY_ANSWER
from contract.outcomes import Outcome
from contract.spec import Operation, Spec

__all__ = ["Cell", "Matrix", "Row", "Verdict"]

_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(slots=True)
class Cell:
    """What one check says of one operation: the worst of its cases, and how many there were."""

    outcome: Outcome
    cases: int = 0
    messages: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, message: str, cases: int = 1) -> None:
        self.outcome = min(self.outcome, outcome, key=_RANK.__getitem__)
        self.cases += cases
        if message and message not in self.messages:
            self.messages.append(message)


@dataclass(slots=True)
class Row:
    """One operation: cells by (family, check), and how often each status came."""

    operation: Operation
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)

    @property
    def unsupported(self) -> bool:
        """The server says that it lacks it, and never gave it."""
        return 501 in self.seen and not self.proven

    @property
    def proven(self) -> bool:
        """Whether one documented success was seen."""
        return any(self._is_success(status) for status in self.seen)

    @property
    def provable(self) -> bool:
        return any(self._is_success(status) for status in self.operation.statuses)

    @property
    def unproduced(self) -> list[int]:
        """Documented statuses that never came."""
        return sorted(self.operation.statuses - set(self.seen))

    @property
    def not_run(self) -> bool:
        """Nothing was sent to it, and the run said why."""
        outcomes = {cell.outcome for cell in self.cells.values()}
        return not self.seen and outcomes == {Outcome.NOT_RUN}

    def _is_success(self, status: int) -> bool:
        return status in self.operation.statuses and status < 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kept` is whether the contract is kept; `reasons` are what speaks against it, in words."""

    kept: bool
    reasons: tuple[str, ...]


class Matrix:
    """All events of a run."""

    def __init__(self, spec: Spec, events: Iterable[Mapping[str, Any]]) -> None:
        self.spec = spec
        self.rows = {
            operation.id: Row(operation)
            for operation in spec.operations.values()
            if not operation.is_extension
        }
        self.loose: dict[tuple[str, str], Cell] = {}
        self.failures: list[Mapping[str, Any]] = []
        self.results: list[Mapping[str, Any]] = []
        self.ended = 0
        for event in events:
            _READERS[event["event"]](self, event)

    @property
    def checks(self) -> list[tuple[str, str]]:
        """The columns: those of every answer first, then a family after the other."""
        found = {key for row in self.rows.values() for key in row.cells}
        return sorted(found, key=lambda key: (key[0] != EVERY_ANSWER, key))

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Results of checks by outcome, those of every answer left out."""
        counted: dict[Outcome, int] = defaultdict(int)
        for result in self.results:
            if result["family"] != EVERY_ANSWER:
                counted[Outcome(result["outcome"])] += 1
        return counted

    def unproven(self) -> list[Row]:
        """Operations that were called, and are said to be there, without one success."""
        return [
            row
            for row in self.rows.values()
            if row.provable and not row.proven and not row.unsupported and not row.not_run
        ]

    def verdict(self, *, whole: bool, further: Iterable[str] = ()) -> Verdict:
        """Whether the contract is kept.

        Args:
            whole: whether every check was asked for, so that what was not seen is missing.
            further: reasons that others have against it.
        """
        unproven = self.unproven() if whole else []
        reasons = [
            *(
                f"{result['family']}: {result['check']}: {result['message'].splitlines()[0]}"
                for result in self.failures
                if result["message"]
            ),
            *(f"{row.operation.id}: no documented success was seen" for row in unproven),
            *further,
        ]
        return Verdict(not reasons, tuple(dict.fromkeys(reasons)))

    def _result(self, event: Mapping[str, Any]) -> None:
        outcome = Outcome(event["outcome"])
        self.results.append(event)
        if outcome is Outcome.FAILED:
            self.failures.append(event)
        row = self.rows.get(event["operation"])
        cells = row.cells if row else self.loose
        key = (event["family"], event["check"])
        cells.setdefault(key, Cell(outcome)).add(outcome, event["message"])

    def _answers(self, event: Mapping[str, Any]) -> None:
        row = self.rows.get(event["operation"])
        if row is not None:
            status = event["status"]
            row.seen[status] = row.seen.get(status, 0) + event["count"]

    def _kept(self, event: Mapping[str, Any]) -> None:
        row = self.rows.get(event["operation"])
        if row is not None:
            cell = row.cells.setdefault((EVERY_ANSWER, event["check"]), Cell(Outcome.PASSED))
            cell.add(Outcome.PASSED, "", event["count"])

    def _end(self, _event: Mapping[str, Any]) -> None:
        self.ended += 1


_READERS = {
    "result": Matrix._result,
    "answers": Matrix._answers,
    "kept": Matrix._kept,
    "end": Matrix._end,
}
