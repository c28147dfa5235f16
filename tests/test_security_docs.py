"""The page that says what is tested is made of what is tested."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from emulator.paths import ROOT
from scripts.attack_table import NOT_HELD_OFF, PAGE, attacks, main, page


@cache
def collected() -> str:
    """The names of all tests, with their parameters."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def told() -> Iterator[tuple[str, str]]:
    """Each test of the table with each mode that it is said to run in."""
    for attack in attacks():
        for test in attack.tests:
            yield from ((test, mode) for mode in attack.modes)


def junit(directory: Path, cases: str) -> str:
    file = directory / "junit.xml"
    file.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    return str(file)


def test_the_table_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_attack_of_the_table_is_tested_in_its_modes() -> None:
    names = [line.rpartition("::")[2] for line in collected().splitlines() if "::" in line]
    there = {name.partition("[")[0] for name in names}
    in_both = {name.partition("[")[0] for name in names if "container" in _parameters(name)}
    assert len(set(told())) > 60
    assert {test for test, _ in told()} <= there
    assert {test for test, mode in told() if mode == "container"} <= in_both


def _parameters(name: str) -> list[str]:
    return name.partition("[")[2].rstrip("]").split("-")


def test_an_attack_that_was_not_held_off_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = "".join(
        f'<testcase name="{test}[x-{mode}]"/>' for test, mode in told() if mode == "reuse"
    )
    cases += '<testcase name="test_no_program_is_setuid[container]"><failure/></testcase>'
    assert main([junit(tmp_path, cases)]) == NOT_HELD_OFF
    named = capsys.readouterr().err
    assert "test_no_program_is_setuid in container" in named
    assert "in reuse" not in named


def test_a_run_that_held_everything_off_is_fine(tmp_path: Path) -> None:
    cases = "".join(f'<testcase name="{test}[{mode}-x]"/>' for test, mode in told())
    assert main([junit(tmp_path, cases)]) == 0
