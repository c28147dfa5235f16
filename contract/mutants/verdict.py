"""What became of a mutant."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from contract.mutants.mutant import Mutant
from contract.spec import Spec

__all__ = ["Fate", "Verdict", "is_good", "lacking"]


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


def lacking(mutant: Mutant, spec: Spec, lacked: Collection[str]) -> str:
    """Why a mutant cannot be judged on this server: it lacks all operations that the fault is in.

    An operation that succeeds nowhere, by the contract, is not lacking.
    """
    lacks = [
        name
        for name in mutant.operations
        if name in lacked and min(spec.operations[name].statuses) < 300
    ]
    if not mutant.operations or len(lacks) < len(mutant.operations):
        return ""
    return f"unsupported: the server answers 501 to {', '.join(lacks)}"


def is_good(verdicts: Sequence[Verdict]) -> bool:
    """Whether all that could be run ended as they should."""
    return all(verdict.right or _excused(verdict) for verdict in verdicts)


def _excused(verdict: Verdict) -> bool:
    return verdict.fate is Fate.NOT_RUN and verdict.reason.startswith("unsupported")
