"""What became of a mutant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from contract.mutants.mutant import Mutant
from contract.spec import Spec

__all__ = ["Fate", "Verdict", "is_good", "lacking"]

UNSUPPORTED = 501


class Fate(StrEnum):
    """How it ended."""

    KILLED = "killed"
    OTHER = "killed by another family only"
    SURVIVED = "survived"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is what the check that failed said, or why the mutant was not run."""

    mutant: Mutant
    fate: Fate
    reason: str = ""
    killer: str = ""
    check: str = ""
    operation: str = ""
    seconds: float = 0.0

    @property
    def right(self) -> bool:
        """Whether it ended as it should."""
        if self.fate is Fate.NOT_RUN:
            return False
        return (self.fate is Fate.SURVIVED) if self.mutant.equivalent else self.fate is Fate.KILLED


def lacking(mutant: Mutant, spec: Spec, statuses: Mapping[str, frozenset[int]]) -> str:
    """Why a mutant cannot be judged on this server: none of its operations is there.

    An operation that succeeds nowhere, by the contract, is not missing.
    """
    lacks = [
        name
        for name in mutant.operations
        if _lacks(statuses.get(name, frozenset()))
        and any(status < 300 for status in spec.operations[name].statuses)
    ]
    if not mutant.operations or set(lacks) != set(mutant.operations):
        return ""
    return f"unsupported: the server answers 501 to {', '.join(lacks)}"


def _lacks(statuses: Iterable[int]) -> bool:
    found = set(statuses)
    return UNSUPPORTED in found and not any(200 <= status < 300 for status in found)


def is_good(verdicts: Sequence[Verdict]) -> bool:
    """Whether all that could be run ended as they should."""
    return all(verdict.right or _excused(verdict) for verdict in verdicts)


def _excused(verdict: Verdict) -> bool:
    return verdict.fate is Fate.NOT_RUN and verdict.reason.startswith("unsupported")
