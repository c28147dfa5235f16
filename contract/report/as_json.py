"""The report for programs."""

import json
from pathlib import Path
from typing import Any

from contract.report.matrix import Matrix, Row, Verdict


def write(
    file: Path, matrix: Matrix, verdict: Verdict, *, target: str, seed: int, seconds: float
) -> None:
    document = {
        "target": target,
        "seed": seed,
        "seconds": round(seconds, 1),
        "contract": matrix.spec.digest,
        "kept": verdict.kept,
        "reasons": list(verdict.reasons),
        "counts": {outcome.value: count for outcome, count in matrix.counts.items()},
        "operations": {name: _row(row) for name, row in matrix.rows.items()},
        "failures": matrix.failures,
    }
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _row(row: Row) -> dict[str, Any]:
    return {
        "method": row.operation.method,
        "path": row.operation.path,
        "seen": {str(status): count for status, count in sorted(row.seen.items())},
        "never seen": row.unproduced,
        "unsupported": row.unsupported,
        "proven": row.proven,
        "checks": {
            f"{family}: {check}": {
                "outcome": cell.outcome.value,
                "cases": cell.cases,
                "messages": cell.messages,
            }
            for (family, check), cell in row.cells.items()
        },
    }
