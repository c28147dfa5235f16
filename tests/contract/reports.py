"""Reports of runs that are told, not made."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.deviations import Deviations
from contract.report import write
from contract.report.header import Header
from contract.report.matrix import Matrix
from contract.spec import Spec

SPEC = Spec()


def header_of(url: str = "http://127.0.0.1:8042", *, whole: bool = True) -> Header:
    """The header of a full run."""
    return Header(
        target="127.0.0.1",
        url=url,
        real=False,
        profile="full",
        effort="full",
        strict=False,
        seed=5,
        contract=SPEC.digest,
        contract_version="0.1.0",
        asked="every family" if whole else "operations",
        whole=whole,
        began=time.time(),
        seconds=1.0,
        suite="0.1.0",
    )


def answers(operation: str, status: int, count: int = 1) -> dict[str, Any]:
    """The event of answers that were counted."""
    told = {"operation": operation, "status": status, "probe": False, "count": count}
    return {"event": "answers", **told}


def result(
    operation: str,
    outcome: str,
    message: str = "",
    check: str = "semantics: it does",
    trail: Sequence[object] = (),
    cause: Sequence[object] = (),
) -> dict[str, Any]:
    """The event of a check's result; `check` is FAMILY: CHECK."""
    family, _, name = check.partition(": ")
    told = {"event": "result", "family": family, "check": name, "operation": operation}
    rest = {"test": "test_x.py::test_it_does", "seconds": 0.1, "trail": trail, "cause": cause}
    return {**told, "outcome": outcome, "message": message, **rest}


def every_success() -> list[dict[str, Any]]:
    """One documented success of every operation that has one, and a check that passed."""
    successes = [
        answers(operation.id, min(operation.statuses))
        for operation in SPEC.operations.values()
        if min(operation.statuses) < 300
    ]
    return [*successes, result("getHealth", "passed")]


def matrix_of(
    *events: Mapping[str, Any],
    deviations: Deviations | None = None,
    part: Collection[str] | None = None,
) -> Matrix:
    return Matrix(SPEC, events, deviations, part)


def written(folder: Path, matrix: Matrix) -> Path:
    """The folder of a report."""
    whole = matrix.part is None
    write(folder, header_of(whole=whole), matrix, matrix.verdict(whole=whole))
    return folder
