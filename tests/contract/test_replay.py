"""A failure happens again where it happened, and does not where the contract is kept."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract import evidence
from contract.api import Api
from contract.campaign import opened
from contract.cli import main
from contract.mutants.mutators import on_response, status
from contract.mutants.table import MUTANTS
from contract.mutants.traffic import Answer, Build, Call, replaced
from contract.outcomes import ContractBroken
from contract.replay import Failure
from contract.report import write
from contract.report.matrix import Matrix
from contract.target import resolve
from tests.contract.reports import header_of
from tests.contract.runs import faulty
from tests.server import Server, running, settings


def failures(folder: Path, url: str, ask: Callable[[Api], object]) -> Path:
    """Do what a check does, and write the report of it; the folder of its failures."""
    events = folder / "events.jsonl"
    with opened(resolve(None, url), evidence=events) as campaign:
        with pytest.raises(ContractBroken):
            ask(campaign.api)
        matrix = Matrix(campaign.spec, evidence.read([events]))
        write(folder, header_of(url), matrix, matrix.verdict(whole=False))
    return folder / "failures"


def _state_that_is_none(call: Call, answer: Answer) -> None:
    if call.method == "GET" and b'"completed"' in answer.body:
        answer.document = {**answer.document, "status": "gone"}


def _found(_call: Call, answer: Answer) -> None:
    answer.status, answer.document = 200, {"job_id": 5}


def _page(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/html")
    answer.body = b"<h1>Not found</h1>"


state_of_a_job = on_response(_state_that_is_none)
missing_job_found = on_response(_found, status(404))
page_for_404 = on_response(_page, status(404))


def a_job_that_ends(api: Api) -> None:
    job = api.call("executeAsync", json={"language": "bash", "code": "sleep 0.3"}).json["job_id"]
    for _ in range(100):
        api.call("getJob", {"id": job})
        time.sleep(0.1)


def a_missing_job(api: Api) -> None:
    api.call("getJob", {"id": "job_none"}, expect=404)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(settings(tmp_path_factory.mktemp("emulator"), languages="bash,python")) as made:
        yield made


CASES: dict[str, tuple[Build, Callable[[Api], object]]] = {
    "after others": (state_of_a_job, a_job_that_ends),
    "of a missing thing": (missing_job_found, a_missing_job),
    "of another media type": (page_for_404, a_missing_job),
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def broken(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> Iterator[tuple[str, Path]]:
    """A faulty server's address, and the failures of a report on it."""
    fault, ask = request.param
    with faulty(server.api, fault) as url:
        yield url, failures(tmp_path, url, ask)


def replay(file: Path, url: str) -> int:
    return main(["replay", str(file), "--url", url])


def test_an_answer_is_asked_for_again_by_its_requests(
    broken: tuple[str, Path], server: Server
) -> None:
    url, folder = broken
    document = json.loads((folder / "001.json").read_text())
    assert document["requests"]
    (folder / "001.json").write_text(json.dumps({**document, "test": ""}))
    assert replay(folder / "001.json", url) == 1
    assert replay(folder / "001.json", server.api) == 0


def run_pytest(file: Path, url: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=."]
    return subprocess.run(
        [
            *command,
            "-p",
            "no:schemathesis",
            file.name,
            f"--contract-url={url}",
            "-k",
            "test_the_requests",
        ],
        cwd=file.parent,
        env={key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_pytest_file_does_the_same(server: Server, tmp_path: Path) -> None:
    with faulty(server.api, state_of_a_job) as url:
        file = failures(tmp_path, url, a_job_that_ends) / "test_001.py"
        again = run_pytest(file, url)
    assert again.returncode == 1, again.stdout
    healthy = run_pytest(file, server.api)
    assert healthy.returncode == 0, healthy.stdout


def test_a_check_is_run_again_with_its_seed(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a signature that must be refused shows, the same request signed anew would not."""
    fault = MUTANTS["signature-unchecked"].build
    some = ("--quick", "--family", "authentication", "--operations", "getKeySelf", "--fail-fast")
    with faulty(server.api, fault) as url:
        assert main(["run", "--url", url, *some, "--report", str(tmp_path)]) == 1
        file = tmp_path / "failures" / "001.json"
        assert not json.loads(file.read_text())["requests"]
        assert replay(file, url) == 1
        assert "test_authentication.py::" in capfd.readouterr().out
    assert replay(file, server.api) == 0


def test_a_file_that_is_no_failure_is_refused(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("{", "[]", '{"format": 99}', '{"format": 1}'):
        file = tmp_path / "x.json"
        file.write_text(text)
        assert replay(file, server.api) == 2
        assert "x.json" in capsys.readouterr().err
    assert replay(tmp_path / "none.json", server.api) == 2


@pytest.mark.parametrize("outside", ["/etc/hostname", "../cli.py::test_x", "{folder}/test_evil.py"])
def test_a_report_of_somebody_else_runs_no_other_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outside: str
) -> None:
    (tmp_path / "test_evil.py").write_text("def test_evil() -> None: ...")
    members = dict.fromkeys(Failure.__slots__, "") | {"trail": [], "requests": False}
    file = tmp_path / "x.json"
    document = {**members, "format": 1, "test": outside.format(folder=tmp_path)}
    file.write_text(json.dumps(document))
    assert replay(file, "http://127.0.0.1:1") == 2
    assert "a check that the suite does not have" in capsys.readouterr().err
