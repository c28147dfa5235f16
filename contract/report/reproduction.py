"""A folder of failures: for each a file that `replay` reads, and a pytest file."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from contract.evidence import EVERY_ANSWER
from contract.replay import FORMAT, replayable, steps
from contract.report.header import Header
from contract.report.matrix import Failure, Matrix, Verdict

__all__ = ["MOST", "command", "pytest_file", "write"]

MOST = 200
"""Failures that get files; a server with more of them has one fault, not two hundred."""

FOLDER = "failures"
_OURS = re.compile(r"\d{3,}\.json|test_\d{3,}\.py")


def command(folder: Path, failure: Failure, header: Header) -> str:
    """The shell command that reproduces a failure; empty when it has no file."""
    if failure.number > MOST:
        return ""
    file = folder / FOLDER / f"{failure.name}.json"
    return shlex.join(["unsandbox-contract", "replay", str(file), "--url", header.url])


def pytest_file(folder: Path, failure: Failure) -> str:
    """The pytest file of a failure; empty when it has none."""
    return "" if failure.number > MOST else str(folder / FOLDER / f"test_{failure.name}.py")


def write(folder: Path, header: Header, matrix: Matrix, _verdict: Verdict) -> None:
    """Write the files; those of an earlier report go."""
    made = folder / FOLDER
    made.mkdir(parents=True, exist_ok=True)
    for old in made.iterdir():
        if _OURS.fullmatch(old.name):
            old.unlink()
    for failure in list(matrix.failures.values())[:MOST]:
        document = _document(failure, header)
        file = made / f"{failure.name}.json"
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (made / f"test_{failure.name}.py").write_text(_pytest(document), encoding="utf-8")


def _document(failure: Failure, header: Header) -> dict[str, Any]:
    trail = failure.event["trail"]
    return {
        "format": FORMAT,
        "title": failure.title,
        "message": failure.message,
        "test": failure.event["test"],
        "seed": header.seed,
        "profile": header.profile,
        "quick": header.effort == "quick",
        "strict": header.strict,
        "requests": failure.family == EVERY_ANSWER and replayable(trail),
        "target": header.target,
        "url": header.url,
        "contract": header.contract,
        "trail": trail,
    }


_HEAD = """\
# Reproduces a failure: pytest THIS_FILE --contract-url URL
# Requests are signed when they are sent.
"""

_CHECK = """

def test_the_check(pytestconfig: pytest.Config) -> None:
    check_again(pytestconfig, {test!r}, seed={seed}, quick={quick})
"""


def _pytest(document: dict[str, Any]) -> str:
    """Its source: what the server said stands in it as literals of Python alone."""
    requests, check = document["requests"], document["test"]
    names = ", ".join(
        name for name, wanted in (("Replay", requests), ("check_again", check)) if wanted
    )
    lines = [
        _HEAD,
        *(["import pytest", ""] if check else []),
        *(["from contract.campaign import Campaign"] if requests else []),
        *([f"from contract.replay import {names}", ""] if names else []),
        f"TITLE = {document['title']!r}",
        f"MESSAGE = {document['message']!r}",
    ]
    if requests:
        lines += ["", "", "def test_the_requests(campaign: Campaign) -> None:"]
        lines += ["    replay = Replay(campaign)"]
        lines += [_call(step) for step in steps(document["trail"])]
        lines += ["    replay.assert_kept()"]
    if check:
        known = {name: document[name] for name in ("test", "seed", "quick")}
        lines.append(_CHECK.format(**known).rstrip())
    return "\n".join(lines) + "\n"


def _call(step: dict[str, Any]) -> str:
    named = [f"        {name}={value!r}," for name, value in step.items()]
    return "\n".join(["    replay.send(", *named, "    )"])
