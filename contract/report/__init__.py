"""What a run found, as data and in the forms that people and programs read."""

from pathlib import Path

from contract.report import as_json
from contract.report.matrix import Matrix, Verdict

__all__ = ["write"]


def write(
    folder: Path, matrix: Matrix, verdict: Verdict, *, target: str, seed: int, seconds: float
) -> None:
    """Write every form of the report into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json.write(
        folder / "report.json", matrix, verdict, target=target, seed=seed, seconds=seconds
    )
