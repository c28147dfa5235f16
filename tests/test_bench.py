"""What `make bench` says of figures; the figures themselves are nobody's test."""

import json
from pathlib import Path

import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from scripts.bench.__main__ import BAR_MISSED, conclude, main
from scripts.bench.measurements import measurements
from scripts.bench.report import BARS, Bar, Row, Sample, compared, table


@pytest.fixture(autouse=True)
def bars(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("start", "memory"):
        monkeypatch.setitem(BARS, name, Bar(limit=2, aim=1))


def row(name: str, value: float) -> Row:
    return Row(name, f"figure of {name}", value, "s", (Sample("once", "s", [value]),))


def test_a_missed_bar_is_named_and_is_exit_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = conclude([row("start", 2.01), row("memory", 0.5)], tmp_path / "bench.json")
    assert (status, BAR_MISSED) == (3, 3)
    assert capsys.readouterr().err == "Missed: start\n"


def test_reached_bars_are_exit_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude([row("start", 2), row("unbounded", 1e9)], tmp_path / "bench.json") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("start", 1, "aim"),
        ("start", 1.01, "bar"),
        ("start", 2, "bar"),
        ("start", 2.01, "MISSED"),
        ("unbounded", 1e9, ""),
    ],
)
def test_the_verdict_says_which_mark_is_reached(name: str, value: float, verdict: str) -> None:
    assert row(name, value).verdict == verdict


def test_the_file_has_every_row_with_its_samples(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bench.json"
    conclude([row("start", 1.5), row("unbounded", 7)], file)
    bounded, unbounded = json.loads(file.read_text())["rows"]
    assert bounded == {
        "row": "start",
        "figure": "figure of start",
        "value": 1.5,
        "unit": "s",
        "bar": 2,
        "aim": 1,
        "verdict": "bar",
        "measured": [{"name": "once", "unit": "s", "count": 1, "p50": 1.5, "p99": 1.5}],
    }
    assert (unbounded["bar"], unbounded["aim"], unbounded["verdict"]) == (None, None, "")


def test_the_table_has_a_line_for_each_row_in_aligned_columns() -> None:
    samples = (Sample("ours", "ms", [1, 2, 3]), Sample("other", "ms", [1, 1, 1]))
    head, first, second = table([row("start", 2.5), Row("x", "y", 2, "x", samples)]).splitlines()
    assert "2.5 s" in first
    assert "MISSED" in first
    assert first.index("once 2.5 s") == second.index("ours 2 / 3 ms, other 1 / 1 ms")
    assert head.index("measured") == first.index("once")


def test_percentiles_are_values_that_were_measured() -> None:
    sample = Sample("each", "ms", list(range(100, 0, -1)))
    assert (sample.p50, sample.p99) == (50, 99)
    assert (Sample("few", "ms", [3, 1]).p50, Sample("few", "ms", [3, 1]).p99) == (1, 3)


def test_percentiles_are_compared_each_with_its_own() -> None:
    ours, other = Sample("ours", "ms", [3.0] * 99 + [8.0] * 2), Sample("other", "ms", [2.0])
    rows = {row.name: row.value for row in compared("job", "polling", ours, other)}
    assert rows == {"job-p50": 1.5, "job-p99": 4}


def test_every_bar_belongs_to_a_row_that_is_measured() -> None:
    rows = [name for each in measurements(Catalogue.load(RUNTIMES)) for name in each.rows]
    assert len(rows) == len(set(rows))
    assert BARS.keys() - {"memory"} <= set(rows)


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--samples", "0"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_help_names_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "memory-container" in capsys.readouterr().out
