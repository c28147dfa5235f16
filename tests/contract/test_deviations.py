"""Known deviations: read strictly, used exactly, and not for ever."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from contract.cli import main
from contract.deviations import Deviation, DeviationError, Deviations, read
from contract.outcomes import Outcome
from contract.report.matrix import Matrix
from tests.contract.reports import every_success, matrix_of, result

TODAY = date(2026, 11, 24)
KNOWN = Deviation(
    id="freeze-202",
    operation="freezeSession",
    check="every answer: status",
    observed="answered 202",
    expected="200",
    since=date(2026, 1, 1),
    expires=TODAY,
    reason="freezing became asynchronous",
)
MESSAGE = "freezeSession answered 202, which is not documented; these are: 200"
FAILURE = result("freezeSession", "failed", MESSAGE, KNOWN.check)
ENTRY = """
[[deviations]]
id = "freeze-202"
operation = "freezeSession"
check = "every answer: status"
observed = "answered 202"
expected = "200"
since = 2026-01-01
expires = 2026-11-24
reason = "freezing became asynchronous"
"""


def matrix(*events: dict[str, object], known: Deviation = KNOWN) -> Matrix:
    return matrix_of(*every_success(), *events, deviations=Deviations([known], TODAY))


def test_a_failure_that_fits_is_a_deviation() -> None:
    found = matrix(FAILURE)
    assert found.verdict(whole=True).kept
    (cell,) = found.rows["freezeSession"].cells.values()
    assert cell.outcome is Outcome.DEVIATION
    assert cell.messages == [f"freeze-202: {MESSAGE}"]


def test_a_check_that_failed_for_nothing_else_is_one_too() -> None:
    cause = [["freezeSession", "status", MESSAGE]]
    found = matrix(FAILURE, result("wakeSession", "failed", MESSAGE, cause=cause))
    assert found.verdict(whole=True).kept
    more = [*cause, ["freezeSession", "schema", "state: 5 is not a string"]]
    found = matrix(FAILURE, result("wakeSession", "failed", MESSAGE, cause=more))
    assert len(found.failures) == 1


@pytest.mark.parametrize(
    "other",
    [
        result("freezeService", "failed", MESSAGE, KNOWN.check),
        result("freezeSession", "failed", MESSAGE, "every answer: schema"),
        result("freezeSession", "failed", "freezeSession answered 204, ...", KNOWN.check),
    ],
    ids=["operation", "check", "observed"],
)
def test_another_failure_is_none(other: dict[str, object]) -> None:
    assert len(matrix(FAILURE, other).failures) == 1


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ("listJobs 200: jobs/12/status: 5 is not of type string", True),
        ("listJobs 200: jobs/12/other: 5 is not of type string", False),
        ("listJobs 200: jobs/12/status/more: 5 is not of type string", False),
        ("listJobs 200: /jobs/3/status is null; members without a value are left out", True),
    ],
)
def test_a_path_fits_itself_alone(message: str, fits: bool) -> None:
    known = replace(KNOWN, operation="*", check="", path="/jobs/*/status", observed=" ")
    assert known.fits("listJobs", "every answer: schema", message) is fits


def test_one_that_is_not_observed_any_more_fails_a_whole_run() -> None:
    found = matrix(result("freezeSession", "passed", check=KNOWN.check))
    assert found.verdict(whole=True).reasons == (
        "the deviation freeze-202 was not observed any more: take it out",
    )
    assert found.verdict(whole=False).kept
    assert found.deviations.state(KNOWN, found.judged) == "unused"


def test_one_of_a_check_that_did_not_run_is_not_judged() -> None:
    found = matrix(result("freezeSession", "not run", "no budget", KNOWN.check))
    assert found.verdict(whole=True).kept
    assert found.deviations.state(KNOWN, found.judged) == "not judged"


def test_an_expired_one_fails_and_excuses_nothing() -> None:
    old = replace(KNOWN, expires=date(2026, 11, 23))
    reasons = matrix(FAILURE, known=old).verdict(whole=False).reasons
    assert reasons == (
        f"freezeSession: every answer: status: {MESSAGE}",
        "the deviation freeze-202 expired on 2026-11-23",
    )


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    file.write_text(f'target = "emulator"\n{ENTRY}')
    assert read(file, target="emulator", operations=["freezeSession"]) == [KNOWN]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[deviations]", "is not TOML"),
        ('target = "real"', "target is 'real', and this run's target is 'emulator'"),
        ("deviation = 1", "unknown key deviation"),
        ("deviations = 1", "has to be written [[deviations]]"),
        (ENTRY.replace('id = "freeze-202"', ""), "deviations[0]: id is missing"),
        (ENTRY.replace("reason", "because"), "deviations[0]: unknown key because"),
        (ENTRY.replace("2026-01-01", '"2026-01-01"'), "deviations[0].since: a date is wanted"),
        (ENTRY.replace("2026-01-01", "2027-01-01"), "deviations[0].expires: 2026-11-24 is before"),
        (ENTRY.replace('"200"', '" "'), "deviations[0].expected: a text is wanted"),
        (ENTRY.replace("freezeSession", "freeze"), "there is no operation 'freeze'"),
        (ENTRY.replace('check = "every answer: status"', ""), "check or path is missing"),
        (ENTRY + ENTRY, "the id freeze-202 is there twice"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text)
    with pytest.raises(DeviationError) as refused:
        read(file, target="emulator", operations=["freezeSession"])
    assert told in str(refused.value)
    assert "known.toml" in str(refused.value)


def test_a_file_that_is_not_there_is_told_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--url", "http://127.0.0.1:9", "--deviations", str(tmp_path / "none.toml")]
    assert main(["run", *where]) == 2
    assert "cannot read" in capsys.readouterr().err
