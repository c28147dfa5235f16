"""The page for users, done as it says: a quick run on a real emulator, and what comes after."""

import argparse
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.cli import COMMANDS, INTERRUPTED, parser
from contract.deviations import read as read_deviations
from contract.outcomes import Outcome
from contract.preflight import BROKEN, COULD_NOT_RUN, KEPT, UNFINISHED
from contract.profiles import PROFILES
from contract.report.matrix import Standing
from contract.shards import families
from contract.spec import Spec
from contract.target import ROLES, read_targets
from emulator.paths import ROOT
from tests.server import Server, heard, running, settings
from tests.test_docs import blocks

PAGE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
SECONDS = 840
pytestmark = pytest.mark.timeout(900)  # a quiet machine takes a minute
DEFAULT = "http://127.0.0.1:8042"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with heard(logging.INFO), running(settings(tmp_path_factory.mktemp("emulator"))) as made:
        yield made


def shell(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script of the page, with the commands of this environment."""
    known = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    return subprocess.run(
        ["bash", "-ec", script],
        cwd=folder,
        env={**known, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def ran(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> "tuple[subprocess.CompletedProcess[str], Path]":
    """The page's first run, and the folder that it was started in."""
    folder = tmp_path_factory.mktemp("contract")
    (script,) = blocks("sh", "<!-- run -->", PAGE)[:1]
    return shell(script.replace(DEFAULT, server.api), folder), folder


Ran = tuple["subprocess.CompletedProcess[str]", Path]


@pytest.fixture
def report(ran: Ran) -> Any:  # noqa: ANN401 - any JSON
    return json.loads((ran[1] / "report" / "report.json").read_text(encoding="utf-8"))


def test_a_quick_run_finds_that_the_emulator_keeps_the_contract(ran: Ran) -> None:
    done, folder = ran
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = re.findall(r"# (.*)", blocks("sh", "<!-- run -->", PAGE)[0])
    assert shown in done.stdout
    assert [it.name for it in folder.iterdir()] == ["report"]


def test_its_matrix_has_every_operation_and_family(report: dict[str, Any]) -> None:
    operations = {it.id for it in Spec().operations.values() if not it.is_extension}
    assert set(report["operations"]) == operations
    assert report["run"]["whole"]
    seen = {check["family"] for row in report["operations"].values() for check in row["checks"]}
    seen |= {check["family"] for check in report["others"]}
    assert {"every answer", *(name.replace("_", " ") for name in families())} <= seen


def test_nothing_that_the_emulator_has_is_without_a_success(report: dict[str, Any]) -> None:
    assert report["standings"][Standing.UNPROVEN] == 0
    assert report["standings"][Standing.PROVEN] > 15
    assert report["checks"][Outcome.FAILED] == report["checks"][Outcome.DEVIATION] == 0
    for name, row in report["operations"].items():
        if row["standing"] == Standing.UNSUPPORTED:
            assert "501" in row["seen"], name


def test_the_reasons_are_read_as_the_page_says(ran: Ran) -> None:
    (script,) = [it for it in blocks("sh", text=PAGE) if "python3 -c" in it]
    done = shell(script, ran[1])
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_own_tests_are_run_as_the_page_says(server: Server, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(blocks("python", "<!-- plugin -->", PAGE)[0])
    script = blocks("sh", "<!-- plugin -->", PAGE)[0].replace(DEFAULT, server.api)
    done = shell(f"cd {tmp_path}; {script.strip()} --rootdir=. -p no:schemathesis", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_of_the_page_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGING_SECRET_KEY", "unsb-sk-1")
    monkeypatch.setenv("STAGING_SECOND_SECRET_KEY", "unsb-sk-2")
    targets, deviations = tmp_path / "targets.toml", tmp_path / "staging.toml"
    targets.write_text(blocks("toml", "<!-- targets -->", PAGE)[0])
    assert set(read_targets(targets)["staging"].accounts) == {"main", "second"}
    deviations.write_text(blocks("toml", "<!-- deviations -->", PAGE)[0])
    (known,) = read_deviations(deviations, target="staging", operations=Spec().operations)
    assert known.id == "freeze-answers-202"


def test_every_command_on_the_page_is_one() -> None:
    (workflow,) = [yaml.safe_load(it) for it in blocks("yaml", text=PAGE)]
    steps = workflow["jobs"]["contract"]["steps"]
    scripts = [*blocks("sh", text=PAGE), *(step["run"] for step in steps if "run" in step)]
    lines = re.findall(r"^(?:\S+/)?unsandbox-contract (.*)", "\n".join(scripts), re.MULTILINE)
    found = [parser().parse_args(shlex.split(line, comments=True)) for line in lines]
    assert len(found) > 4
    assert all(isinstance(it, argparse.Namespace) for it in found)


def rows(heading: str) -> dict[str, str]:
    """A table of the page, by its first column; `heading` is its first column's title."""
    table = re.search(rf"^\| {heading} \|.*\n(?:\|.*\n)+", PAGE, re.MULTILINE)
    assert table is not None
    return dict(re.findall(r"^\| `([\w-]+)` \| (.*?) \|$", table[0], re.MULTILINE))


def test_every_command_family_profile_and_account_is_on_the_page() -> None:
    assert set(rows("command")) == set(COMMANDS)
    assert set(families()) <= set(rows("family"))
    assert set(rows("profile")) == set(PROFILES)
    assert rows("account") == ROLES


def test_every_exit_status_is_on_the_page() -> None:
    told = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert [int(it) for it in told] == [KEPT, BROKEN, COULD_NOT_RUN, UNFINISHED, INTERRUPTED]
