"""What `make bench` says of figures; the figures themselves are nobody's test."""

import json
import random
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from scripts.bench.__main__ import BAR_MISSED, Run, conclude, main, write_page
from scripts.bench.connection import Connection, document, whole_body
from scripts.bench.load import Job, Page, burst, sustained
from scripts.bench.measurements import measurements
from scripts.bench.report import BARS, Bar, Row, Sample, compared, table
from scripts.bench.services import PAGE, page_server_here
from scripts.bench.sessions import run_raw
from scripts.bench.shell_client import ShellClient
from scripts.bench.terminals import local_terminal, until
from tests.server import Server

MACHINE = {"kernel": "Linux 6", "processors": "2"}


@pytest.fixture(autouse=True)
def bars(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("start", "memory"):
        monkeypatch.setitem(BARS, name, Bar(limit=2, aim=1))
    monkeypatch.setitem(BARS, "speed", Bar(limit=0.5, aim=0.85))


def row(name: str, value: float) -> Row:
    return Row(name, f"figure of {name}", value, "s", (Sample("once", "s", [value]),))


def run(*rows: Row) -> Run:
    return Run(rows, MACHINE, seconds=61)


def test_a_missed_bar_is_named_and_is_exit_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = conclude(run(row("start", 2.01), row("memory", 0.5)), tmp_path / "bench.json")
    assert (status, BAR_MISSED) == (3, 3)
    assert capsys.readouterr().err == "Missed: start\n"


def test_reached_bars_are_exit_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(run(row("start", 2), row("unbounded", 1e9)), tmp_path / "bench.json") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("start", 1, "aim"),
        ("start", 1.01, "bar"),
        ("start", 2, "bar"),
        ("start", 2.01, "MISSED"),
        ("speed", 0.85, "aim"),
        ("speed", 0.84, "bar"),
        ("speed", 0.5, "bar"),
        ("speed", 0.49, "MISSED"),
        ("unbounded", 1e9, ""),
    ],
)
def test_the_verdict_says_which_mark_is_reached(name: str, value: float, verdict: str) -> None:
    assert row(name, value).verdict == verdict


def test_the_file_has_every_row_with_its_samples(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bench.json"
    conclude(run(row("start", 1.5), row("unbounded", 7)), file)
    written = json.loads(file.read_text())
    assert (written["machine"], written["seconds"]) == (MACHINE, 61)
    bounded, unbounded = written["rows"]
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
    assert BARS.keys() - {"memory", "speed"} <= set(rows)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "nothing"],
        ["--samples", "0"],
        ["--write", "--quick"],
        ["--write", "--only", "start"],
        ["--write", "--samples", "5"],
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_help_names_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "memory-container" in capsys.readouterr().out


def whole() -> Run:
    """Every row that is measured, with the samples that the picture takes."""
    names = [name for each in measurements(Catalogue.load(RUNTIMES)) for name in each.rows]
    samples = tuple(
        Sample(name, "ms", [1.5, 20])
        for name in ("execute", "native", "emulator", "docker exec", "docker run")
    )
    return Run([Row(name, f"<{name}>", 2, "x", samples) for name in names], MACHINE, seconds=600)


def test_the_page_has_every_row_the_machine_and_the_picture(tmp_path: Path) -> None:
    write_page(whole(), tmp_path)
    page = (tmp_path / "performance.md").read_text()
    for row in whole().rows:
        assert f"| `{row.name}` | <{row.name}> | 2 x |" in page
    assert "| kernel | Linux 6 |" in page
    assert "took 10 minutes" in page
    assert "](performance.svg)" in page


def test_the_picture_has_a_line_for_each_side_and_a_bar_for_each_way(tmp_path: Path) -> None:
    write_page(whole(), tmp_path)
    picture = ET.parse(tmp_path / "performance.svg").getroot()  # noqa: S314 - our own
    kinds = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert kinds.count("polyline") == 2
    figures = [element.text for element in picture.iter() if element.text == "1.5 ms"]
    assert len(figures) == 4 * len(Catalogue.load(RUNTIMES).usual())


def test_clients_send_again_until_the_time_is_over(server: Server) -> None:
    job = Job(server.api, {"language": "bash", "code": "echo hi"}, "hi\n")
    load = sustained(job, 2, 0.5)
    assert len(load.milliseconds) >= 2
    assert load.seconds >= 0.5
    assert all(it < load.seconds * 1000 for it in load.milliseconds)


def test_each_client_of_a_burst_sends_one_request(server: Server) -> None:
    job = Job(server.api, {"language": "bash", "code": "echo hi"}, "hi\n")
    assert len(burst(job, 3).milliseconds) == 3


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"language": "bash", "code": "echo other"}, "a program printed 'other"),
        ({"language": "none", "code": ""}, "the answer was 400"),
    ],
)
def test_a_load_that_is_answered_wrongly_is_no_figure(
    server: Server, body: dict[str, str], fault: str
) -> None:
    with pytest.raises(RuntimeError, match=fault):
        burst(Job(server.api, body, "hi\n"), 1)


def test_pages_are_asked_for_over_and_over_on_kept_connections() -> None:
    with page_server_here() as base:
        assert len(sustained(Page(base, PAGE), 2, 0.1).milliseconds) >= 2


def test_a_page_that_is_another_is_no_figure(server: Server) -> None:
    with page_server_here() as base, pytest.raises(RuntimeError, match="the answer was"):
        burst(Page(base, b"another"), 1)
    with pytest.raises(RuntimeError, match="404"):
        burst(Page(server.api, PAGE, "nobody.on.localhost"), 1)


def test_what_a_shell_is_sent_and_shows_is_whole_in_messages_of_every_length(
    server: Server,
) -> None:
    with Connection(server.api) as connection:
        session_id = connection.post("/sessions", {}).document["id"]
        with ShellClient(server.api, session_id) as shell:
            run_raw(shell, "cat")
            for length in (0, 1, 125, 126, 65_535, 65_536, 200_000):
                sent = random.Random(length).randbytes(length)  # noqa: S311 - no secret
                shell.send(sent)
                shown = b""
                while len(shown) < length:
                    shown += shell.receive()
                assert shown == sent
        connection.delete(f"/sessions/{session_id}")


def test_a_shell_that_is_refused_is_no_figure(server: Server) -> None:
    with pytest.raises(RuntimeError, match="404"):
        ShellClient(server.api, "sess_" + "0" * 32)


def test_a_local_terminal_echoes_and_runs_what_is_typed() -> None:
    with local_terminal() as terminal:
        run_raw(terminal, "head -c 100000 | wc -c")
        terminal.send(bytes(100_000))
        until(terminal, b"100000")


def test_an_answer_is_whole_when_all_of_its_body_is_there() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\n{}"
    assert [whole_body(answer[:end]) for end in (3, len(answer) - 1)] == [None, None]
    assert whole_body(answer) == b"{}"
    assert document(answer, b"{}") == {}
