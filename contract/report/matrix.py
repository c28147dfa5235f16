"""The events of a run put together: operation by check, statuses seen, and the verdict."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contract.deviations import Deviations
from contract.evidence import EVERY_ANSWER
from contract.outcomes import LIMIT, OUT_OF_BUDGET, UNAVAILABLE, Outcome
from contract.spec import Operation, Spec

__all__ = ["LANGUAGE_RUNS", "LOOSE", "Cell", "Failure", "Matrix", "Row", "Standing", "Verdict"]

LOOSE = "(no operation)"
"""Stands for the operation where a check belongs to none."""

LANGUAGE_RUNS = ("languages", "a listed language runs")
"""Family and name of the check that has each language as a case."""

_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}
_MESSAGES = 5
"""How many different messages of one cell are kept."""

_SILENT = frozenset({Outcome.NOT_RUN, Outcome.UNSUPPORTED})
"""What says nothing of the server that could speak for it or against it."""


@dataclass(slots=True)
class Cell:
    """What one check says of one operation: the worst of its cases, and how many there were."""

    outcome: Outcome
    cases: int = 0
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)
    failure: "Failure | None" = None

    def add(self, outcome: Outcome, message: str, cases: int = 1, seconds: float = 0.0) -> None:
        if _RANK[outcome] < _RANK[self.outcome]:
            self.outcome = outcome
            self.messages.clear()  # what is told has to be about the outcome that is told
        self.cases += cases
        self.seconds += seconds
        if outcome is self.outcome and message and message not in self.messages[:_MESSAGES]:
            self.messages.append(message)
            del self.messages[_MESSAGES:]


@dataclass(slots=True)
class Failure:
    """All failures of one check of one operation; `event` is the one that tells most shortly.

    `number` counts from 1, in the order in which they came.
    """

    number: int
    family: str
    check: str
    operation: str
    event: Mapping[str, Any]
    count: int = 0

    @property
    def name(self) -> str:
        """How its files are called."""
        return f"{self.number:03}"

    @property
    def title(self) -> str:
        return f"{self.operation or LOOSE}: {self.family}: {self.check}"

    @property
    def message(self) -> str:
        return str(self.event["message"]) or "it failed without a word"

    def add(self, event: Mapping[str, Any]) -> None:
        self.count += 1
        mine, other = self.event["trail"], event["trail"]
        if other and (not mine or len(other) < len(mine)):
            self.event = event


class Standing(StrEnum):
    """Of an operation: one documented success was seen, or why none was."""

    UNPROVEN = "no success seen"
    NOT_RUN = "not run"
    UNSUPPORTED = "unsupported"
    UNPROVABLE = "documents no success"
    PROVEN = "proven"


@dataclass(slots=True)
class Row:
    """One operation: cells by (family, check), and how often each status came.

    `limited` says that a check of it was not run for the limits of the run.
    """

    operation: Operation
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    limited: bool = False

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
    def standing(self) -> "Standing":
        """What is known of the operation as a whole."""
        if self.proven:
            return Standing.PROVEN
        if not self.provable:
            return Standing.UNPROVABLE
        if 501 in self.seen:
            return Standing.UNSUPPORTED
        if self.limited:
            return Standing.NOT_RUN
        return self._reason_for_silence() if not self.seen else Standing.UNPROVEN

    def _reason_for_silence(self) -> "Standing":
        """Why nothing was sent; that no check asked for anything is no reason."""
        outcomes = {cell.outcome for cell in self.cells.values()}
        if outcomes == {Outcome.NOT_RUN}:
            return Standing.NOT_RUN
        if outcomes and outcomes <= {Outcome.NOT_RUN, Outcome.UNSUPPORTED}:
            return Standing.UNSUPPORTED  # what it takes, such as creating something, is
        return Standing.UNPROVEN

    def _is_success(self, status: int) -> bool:
        return status in self.operation.statuses and status < 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kept` is whether the contract is kept; `reasons` are what speaks against it, in words.

    `unfinished` says that all there is against it is that the budget ended before the checks did,
    `empty` that nothing was checked, so that nothing is known.
    """

    kept: bool
    reasons: tuple[str, ...]
    unfinished: bool = False
    empty: bool = False

    @property
    def word(self) -> str:
        if self.empty:
            return "not judged: nothing was checked"
        if self.unfinished:
            return "kept as far as was run, which is not all"
        return "kept" if self.kept else "NOT kept"

    def told(self, *, whole: bool, asked: str) -> str:
        """The word, with what part of the suite was asked for."""
        if whole:
            return self.word
        scope = " of what was asked for" if self.empty else ", as far as was asked"
        return f"{self.word}{scope} ({asked})"


class Matrix:
    """All events of a run.

    `part` is None when every check was asked for. It has the names of the operations when some
    were, and is empty when a part was asked for in another way, such as a family. `unavailable`
    are the languages that the server says it cannot run, with its reasons.
    """

    def __init__(
        self,
        spec: Spec,
        events: Iterable[Mapping[str, Any]],
        deviations: Deviations | None = None,
        part: Collection[str] | None = None,
    ) -> None:
        self.spec = spec
        self.part = part
        self.deviations = deviations or Deviations()
        self.rows = {
            operation.id: Row(operation)
            for operation in spec.operations.values()
            if not operation.is_extension
        }
        self.loose: dict[tuple[str, str], Cell] = {}
        self.failures: dict[tuple[str, str, str], Failure] = {}
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.results = 0
        self.out_of_budget = 0
        self.unavailable: dict[str, str] = {}
        self._languages: dict[str, Outcome] = {}
        for event in events:
            reader = _READERS.get(event["event"])
            if reader is not None:
                reader(self, event)

    @property
    def checks(self) -> list[tuple[str, str]]:
        """The columns: those of every answer first, then a family after the other."""
        found = {key for row in self.rows.values() for key in row.cells} | set(self.loose)
        return sorted(found, key=lambda key: (key[0] != EVERY_ANSWER, key))

    @property
    def languages_not_run(self) -> list[str]:
        """Those of which nothing is known, as the run left them out, or as they were not ready."""
        return [name for name, it in self._languages.items() if it is Outcome.NOT_RUN]

    @property
    def families(self) -> list[str]:
        """Those that gave a result, in the order of `checks`."""
        return list(dict.fromkeys(family for family, _ in self.checks))

    @property
    def asked(self) -> dict[str, Row]:
        """The operations that were asked for, which are those that count."""
        if self.part is None:
            return self.rows
        return {
            name: row
            for name, row in self.rows.items()
            if (name in self.part if self.part else row.cells or row.seen)
        }

    @property
    def shown(self) -> dict[str, Row]:
        """Those, and the ones that were called for their sake."""
        asked = self.asked
        return {
            name: row for name, row in self.rows.items() if name in asked or row.cells or row.seen
        }

    @property
    def judged(self) -> set[tuple[str, str]]:
        """(operation, FAMILY: CHECK) of all that came to a result."""
        tables = [*((row.operation.id, row.cells) for row in self.rows.values()), ("", self.loose)]
        return {
            (operation, f"{family}: {check}")
            for operation, cells in tables
            for (family, check), cell in cells.items()
            if cell.outcome not in _SILENT
        }

    @property
    def standings(self) -> dict[Standing, int]:
        """How many of the operations that were asked for stand how."""
        found = [row.standing for row in self.asked.values()]
        return {standing: found.count(standing) for standing in Standing}

    def unproven(self) -> list[Row]:
        """Operations that nothing excuses, without one success."""
        return [row for row in self.rows.values() if row.standing is Standing.UNPROVEN]

    @property
    def nothing(self) -> str:
        """Why nothing was checked; empty when something was."""
        if not self.results:
            return "no check fits what was asked for"
        if not any(count for outcome, count in self.counts.items() if outcome not in _SILENT):
            return "no check came to a result; the report says why of each"
        standings = {row.standing for row in self.asked.values()} if self.part else set()
        if standings and standings <= {Standing.NOT_RUN, Standing.UNSUPPORTED}:
            told = " or ".join(sorted(standings))
            return f"nothing was checked: the operations that were asked for are {told}"
        return ""

    @property
    def reasons_of_failures(self) -> list[str]:
        return [f"{it.title}: {it.message.splitlines()[0]}" for it in self.failures.values()]

    @property
    def reasons_of_operations(self) -> list[str]:
        return [f"{row.operation.id}: no documented success was seen" for row in self.unproven()]

    def verdict(self, *, whole: bool, further: Iterable[str] = ()) -> Verdict:
        """Whether the contract is kept.

        Args:
            whole: whether every check was asked for, so that what was not seen is missing.
            further: reasons that others have against it.
        """
        if not self.failures and not self.out_of_budget and self.nothing:
            return Verdict(False, (self.nothing, *further), empty=True)
        # Without the rest of the budget, nobody knows what the rest of the checks had shown.
        whole = whole and not self.out_of_budget
        reasons = [
            *self.reasons_of_failures,
            *(self.reasons_of_operations if whole else ()),
            *self.deviations.reasons(self.judged, whole=whole),
            *further,
        ]
        unfinished = bool(self.out_of_budget) and not reasons
        if self.out_of_budget:
            reasons.append(f"{OUT_OF_BUDGET}{self.out_of_budget} checks were not run to their end")
        return Verdict(not reasons, tuple(reasons), unfinished)

    def _result(self, event: Mapping[str, Any]) -> None:
        outcome, message = Outcome(event["outcome"]), event["message"]
        if outcome is Outcome.FAILED:
            excuse = self._excuse(event)
            outcome = Outcome.DEVIATION if excuse else outcome
            message = f"{excuse}: {message}" if excuse else message
        self.results += 1
        if event["family"] != EVERY_ANSWER:
            self.counts[outcome] += 1
        row = self.rows.get(event["operation"])
        if outcome is Outcome.NOT_RUN:
            self._limited(row, event["message"])
        self._language(event, outcome)
        cells = row.cells if row else self.loose
        key = (event["family"], event["check"])
        cell = cells.setdefault(key, Cell(outcome))
        cell.add(outcome, message, seconds=event["seconds"])
        if outcome is Outcome.FAILED:
            cell.failure = self._failure(event)

    def _language(self, event: Mapping[str, Any], outcome: Outcome) -> None:
        if (event["family"], event["check"]) == LANGUAGE_RUNS:
            self._languages[event["test"].rpartition("[")[2].removesuffix("]")] = outcome
        if event["message"].startswith(UNAVAILABLE):
            name, _, reason = event["message"].removeprefix(UNAVAILABLE).partition(": ")
            self.unavailable[name] = reason

    def _failure(self, event: Mapping[str, Any]) -> Failure:
        key = (event["family"], event["check"], event["operation"])
        failure = self.failures.setdefault(key, Failure(len(self.failures) + 1, *key, event))
        failure.add(event)
        return failure

    def _excuse(self, event: Mapping[str, Any]) -> str:
        """The ids of the deviations that account for a failure, or for all that caused it."""
        causes = [
            (event["operation"], f"{event['family']}: {event['check']}", event["message"]),
            *((name, f"{EVERY_ANSWER}: {check}", text) for name, check, text in event["cause"]),
        ]
        own, *others = [self.deviations.excuse(*cause) for cause in causes]
        found = [own] if own else others
        excused = [it.id for it in found if it] if all(found) else []
        return ", ".join(dict.fromkeys(excused))

    def _limited(self, row: Row | None, message: str) -> None:
        self.out_of_budget += message.startswith(OUT_OF_BUDGET)
        if row is not None and message.startswith((LIMIT, OUT_OF_BUDGET)):
            row.limited = True

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


_READERS = {
    "result": Matrix._result,
    "answers": Matrix._answers,
    "kept": Matrix._kept,
}
