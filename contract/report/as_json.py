"""The report for programs: `report.json`, described by report.schema.json beside this module."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.deviations import Deviation
from contract.report import reproduction
from contract.report.header import Header
from contract.report.matrix import Cell, Failure, Matrix, Row, Verdict

__all__ = ["NAME", "SCHEMA", "VERSION", "document", "write"]

NAME = "report.json"
VERSION = 1
"""Of the document's form; goes up when something is taken out or changes its meaning."""

SCHEMA = Path(__file__).with_name("report.schema.json")


def write(folder: Path, header: Header, matrix: Matrix, verdict: Verdict) -> None:
    text = json.dumps(document(folder, header, matrix, verdict), indent=1)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def document(folder: Path, header: Header, matrix: Matrix, verdict: Verdict) -> dict[str, Any]:
    return {
        "version": VERSION,
        "run": header.document,
        "kept": verdict.kept,
        "reasons": list(verdict.reasons),
        "checks": {outcome.value: count for outcome, count in matrix.counts.items()},
        "standings": {standing.value: count for standing, count in matrix.standings.items()},
        "unavailable": matrix.unavailable,
        "operations": {name: _row(row) for name, row in matrix.shown.items()},
        "others": _cells(matrix.loose),
        "failures": [_failure(folder, it, header) for it in matrix.failures.values()],
        "deviations": [_deviation(it, matrix) for it in matrix.deviations.known],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "method": row.operation.method,
        "path": row.operation.path,
        "tag": row.operation.tag,
        "standing": row.standing.value,
        "seen": {str(status): count for status, count in sorted(row.seen.items())},
        "never_seen": row.unproduced,
        "checks": _cells(row.cells),
    }


def _cells(cells: Mapping[tuple[str, str], Cell]) -> list[dict[str, Any]]:
    return [
        {
            "family": family,
            "check": check,
            "outcome": cell.outcome.value,
            "cases": cell.cases,
            "seconds": round(cell.seconds, 3),
            "messages": cell.messages,
        }
        for (family, check), cell in sorted(cells.items())
    ]


def _failure(folder: Path, failure: Failure, header: Header) -> dict[str, Any]:
    return {
        "number": failure.number,
        "operation": failure.operation,
        "family": failure.family,
        "check": failure.check,
        "count": failure.count,
        "message": failure.message,
        "test": failure.event["test"],
        "command": reproduction.command(folder, failure, header),
        "pytest": reproduction.pytest_file(folder, failure),
    }


def _deviation(deviation: Deviation, matrix: Matrix) -> dict[str, Any]:
    return {
        "id": deviation.id,
        "operation": deviation.operation,
        "check": deviation.check,
        "path": deviation.path,
        "observed": deviation.observed,
        "expected": deviation.expected,
        "since": deviation.since.isoformat(),
        "expires": deviation.expires.isoformat(),
        "reason": deviation.reason,
        "state": matrix.deviations.state(deviation, matrix.judged),
        "count": matrix.deviations.used.get(deviation.id, 0),
    }
