"""Runs of families as users start them, against faulty servers, and what came of each check."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract.cli import main
from contract.evidence import read
from contract.mutants.mutators import chained
from contract.mutants.serving import Stage
from contract.mutants.table import MUTANTS
from contract.mutants.traffic import Build
from contract.spec import SPEC, loaded
from contract.target import resolve


@contextmanager
def faulty(url: str, *faults: Build | str) -> Iterator[str]:
    """The address of a proxy before a server, with faults, some of them by the mutant's name."""
    builds = [MUTANTS[it].mutator if isinstance(it, str) else it for it in faults]
    with (
        Stage.opened(resolve(None, url), loaded(SPEC)) as stage,
        stage.serving(chained(*builds)()) as proxy,
    ):
        yield proxy


def results(url: str, family: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What came of each check of a quick run of one family."""
    status = main(
        ["run", "--url", url, "--family", family, "--quick", "--report", str(folder), *arguments]
    )
    events = read((folder / "events").glob("*.jsonl"))
    found = [event for event in events if event["event"] == "result"]
    assert status == any(result["outcome"] == "failed" for result in found)
    return found


def failed(url: str, family: str, folder: Path, *arguments: str) -> dict[str, set[str]]:
    """Cases of a family's checks that fail in a quick run: what stands in brackets in a test id.

    The checks that are not there did not fail.
    """
    cases: dict[str, set[str]] = {}
    for result in results(url, family, folder, *arguments):
        if result["outcome"] == "failed":
            case = result["test"].partition("[")[2].removesuffix("]")
            cases.setdefault(result["check"], set()).add(case)
    return cases
