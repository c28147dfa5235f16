"""Runs of families as users start them, and what came of each check."""

from pathlib import Path
from typing import Any

from contract.cli import main
from contract.evidence import read


def results(url: str, family: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What came of each check of a quick run of one family."""
    status = main(
        ["run", "--url", url, "--family", family, "--quick", "--report", str(folder), *arguments]
    )
    events = read((folder / "events").glob("*.jsonl"))
    found = [event for event in events if event["event"] == "result"]
    assert status == any(result["outcome"] == "failed" for result in found)
    return found


def failed(found: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Cases by check, of those that failed: what stands in the brackets of the test's name."""
    cases: dict[str, set[str]] = {}
    for result in found:
        if result["outcome"] == "failed":
            case = result["test"].partition("[")[2].removesuffix("]")
            cases.setdefault(result["check"], set()).add(case)
    return cases
