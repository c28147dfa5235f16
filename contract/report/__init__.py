"""What a run found, as data and in the forms that people and programs read."""

from pathlib import Path

from contract.report import as_html, as_json, as_junit, badge, reproduction
from contract.report.header import Header
from contract.report.matrix import Matrix, Verdict

__all__ = ["write"]

FORMS = (as_json, as_junit, as_html, badge, reproduction)
"""The forms of the report: modules, each with `write(folder, header, matrix, verdict)`."""


def write(folder: Path, header: Header, matrix: Matrix, verdict: Verdict) -> None:
    """Write every form of the report into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for form in FORMS:
        form.write(folder, header, matrix, verdict)
