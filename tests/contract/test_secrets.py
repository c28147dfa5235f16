"""After a run on a server that gives away what it was sent, no report holds any of it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.cli import main
from contract.mutants.mutators import on_response
from contract.mutants.traffic import Answer, Call
from contract.target import EMULATOR, MAIN
from tests.contract.runs import faulty
from tests.server import Server, running, settings

SECRET = EMULATOR.accounts[MAIN].secret_key
ONE = ("--quick", "--family", "operations", "--operations", "execute")
CODE = str(EMULATOR.sudo_code)
GIVEN_AWAY = {
    "as it is": SECRET,
    "encoded": base64.b64encode(f"user:{SECRET}".encode()).decode(),
    "as bytes": SECRET.encode().hex(),
    "quoted": json.dumps({"again": json.dumps(SECRET)}),
    "code": f"your code is {CODE}",
}


def give_away(call: Call, answer: Answer) -> None:
    """All that it knows, where a text is expected and where nothing is."""
    lines = [f"{name}: {value}" for name, value in call.headers]
    curl = " ".join(f"-H '{line}'" for line in lines)
    told = {**GIVEN_AWAY, "curl": curl, "headers": dict(call.headers), "lines": "\n".join(lines)}
    if call.path == "/execute":
        cookie = ("Set-Cookie", f"session={SECRET}; Path=/")
        answer.headers = [*answer.headers, ("X-Debug", SECRET), cookie]
    members = {"stdout": list(told.values()), "stderr": json.dumps(told), "more": told}
    answer.body = json.dumps({**answer.document, **members}).encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(settings(tmp_path, languages="python")) as made:
        yield made


def test_no_file_of_a_report_holds_a_secret(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report"
    signatures = set[str]()

    def edit(call: Call, answer: Answer) -> None:
        signatures.add(call.header("X-Signature") or "none")
        give_away(call, answer)

    with faulty(server.api, on_response(edit)) as url:
        status = main(["run", "--url", url, *ONE, "--report", str(report)])
    assert status == 1
    printed = "".join(capfd.readouterr())
    files = [file for file in report.rglob("*") if file.is_file()]
    assert {"index.html", "junit.xml", "report.json", "001.json", "test_001.py"} <= {
        file.name for file in files
    }
    texts = {str(file.relative_to(report)): file.read_text(encoding="utf-8") for file in files}
    assert "[redacted]" in texts["events/operations.jsonl"]
    assert "[redacted]" in texts["events/operations.txt"]
    assert signatures - {"none"}
    encoded = base64.b64encode(SECRET.encode()).decode()[:24]
    hidden = (SECRET, SECRET[-12:], SECRET.encode().hex(), encoded, CODE, *signatures - {"none"})
    for name, text in {**texts, "what was printed": printed}.items():
        assert [told for told in hidden if told in text] == [], name
