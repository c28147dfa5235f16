"""The report for whoever started the run."""

from contract.outcomes import Outcome
from contract.report.matrix import Matrix, Verdict

_SHOWN = 20


def summary(matrix: Matrix, verdict: Verdict, seconds: float) -> str:
    """Some lines: what speaks against the contract, the counts, the verdict."""
    rows = matrix.rows.values()
    unsupported = sum(row.unsupported for row in rows)
    proven = sum(row.proven for row in rows)
    counts = ", ".join(f"{matrix.counts.get(outcome, 0)} {outcome}" for outcome in Outcome)
    reasons = [f"  {reason}" for reason in verdict.reasons[:_SHOWN]]
    if len(verdict.reasons) > _SHOWN:
        reasons.append(f"  and {len(verdict.reasons) - _SHOWN} more")
    return "\n".join(
        [
            *reasons,
            f"checks: {counts}",
            f"operations: {len(rows)}, {proven} of them proven, {unsupported} unsupported",
            f"The contract is {'kept' if verdict.kept else 'NOT kept'} ({seconds:.1f} s)",
        ]
    )
