"""What `unsandbox-contract run` says that cannot run, is interrupted, or is out of budget."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract import shards
from contract.cli import main, parser
from contract.mutants.mutators import document, for_operations
from contract.mutants.table import MUTANTS
from contract.profiles import FREE
from contract.redact import Redactor
from contract.shards import Shard, in_parallel
from contract.spec import Spec
from tests.contract.hanging import hanging
from tests.contract.runs import faulty
from tests.contract.standin import running

ONE_CHECK = ["--family", "limits", "--only", "answers_tell_what_is_left"]


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that answers everything with one error, in the contract's own form."""
    body = json.dumps({"error": "no", "code": code, "details": "no"}, separators=(",", ":"))

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "code"), [(401, "INVALID_KEY"), (503, "UNAVAILABLE")])
def test_a_server_that_answers_everything_with_an_error_does_not_keep_the_contract(
    status: int, code: str
) -> None:
    with answering(status, code) as url:
        assert main(["run", "--url", url, *ONE_CHECK]) == 1


def test_a_key_that_a_healthy_server_refuses_is_one_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-none-none-none-none")
    monkeypatch.setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-guess-guess-guess-guess")
    with running() as standin:
        assert main(["run", "--url", standin.url, *ONE_CHECK]) == 2
        assert len(standin.world.lines) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "refuses the key unsb-pk-none-none-none-none" in said
    assert "guess" not in said


def test_a_family_that_fails_without_evidence_did_not_come_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = parser().parse_args(["run", "--target", "nobody", "--only", "every_answer"])
    shard = Shard(args, "limits", 1, tmp_path, Redactor())
    assert list(in_parallel([shard], 1)) == ["limits"]
    assert "there is no target nobody" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("events", "status", "ended"),
    [
        (["result failed", "end"], 1, True),
        (["result passed", "end"], 0, True),
        (["result passed", "end"], 1, False),
        (["result failed"], 1, False),
        (["result passed"], 0, False),
        (["result failed", "end"], 3, False),
    ],
)
def test_a_family_has_ended_when_its_evidence_says_what_its_status_does(
    tmp_path: Path, events: list[str], status: int, ended: bool
) -> None:
    file = tmp_path / "events.jsonl"
    told = [dict(zip(("event", "outcome"), it.split(), strict=False)) for it in events]
    file.write_text("".join(json.dumps(it) + "\n" for it in told))
    assert shards.ended(status, file) is ended


def test_a_fault_of_the_suite_is_not_one_of_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("unsb-sk-guess-guess-guess-guess")

    monkeypatch.setattr("contract.run.Spec", broken)
    assert main(["run"]) == 2
    said = capsys.readouterr().err
    assert "a fault of its own" in said
    assert "guess" not in said


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([f"--url=http://127.0.0.1:{closed_port()}"], "nothing answers"),
        (["--url=http://no-such-host.invalid", "--target=emulator"], "nothing answers"),
        (["--url=127.0.0.1"], "no URL"),
        (["--target=nobody"], "there is no target nobody"),
        (["--targets=/nowhere", "--target=x"], "cannot read /nowhere"),
        (["--spec=/nowhere"], "cannot read /nowhere"),
        (["--family=nothing"], "there is no family nothing"),
        (["--operations=getJob,getJbo"], "there is no operation getJbo"),
        (["--report=/dev/null/x"], "cannot write a report"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["run", *arguments]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "--jobs=0",
        "--jobs=x",
        "--seed=-1",
        "--rate=0",
        "--rate=nan",
        "--max-requests=-1",
        "--max-spend=inf",
        "--profile=all",
    ],
)
def test_an_option_that_is_wrong_is_exit_status_2(arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", arguments])
    assert ended.value.code == 2


def test_a_budget_that_ends_first_is_neither_kept_nor_broken(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with running() as standin:
        arguments = ["--url", standin.url, *ONE_CHECK, "--max-requests", "2"]
        assert main(["run", *arguments, "--report", str(tmp_path)]) == 3
        assert len(standin.world.lines) == 2
    assert "as far as was run" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["kept"] is False


def test_what_a_server_has_not_got_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    snapshots = frozenset({"listSnapshots", "getSnapshot"})
    lacking = for_operations(MUTANTS["always-501"].build, snapshots)
    asked = ["--quick", "--family", "lifecycle", "--operations"]
    with running() as standin, faulty(standin.url, lacking) as url:
        assert main(["run", "--url", url, *asked, ",".join(snapshots)]) == 2
        said = capsys.readouterr()
        assert "The contract is not judged: nothing was checked" in said.out
        assert said.err.count("\n") == 1
        assert main(["run", "--url", url, *asked, "listSnapshots,listImages"]) == 0


def test_what_is_not_run_for_the_tier_that_a_server_tells_is_said_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    free = for_operations(document(lambda key: key.update(tier="free")), frozenset({"getKeySelf"}))
    check = ["--family", "lifecycle", "--only", "as_it_was_told_to_be"]
    note = "not run, as the server says that the key is on the free tier: --tier paid asks for them"
    with running() as standin, faulty(standin.url, free) as url:
        assert main(["run", "--url", url, *check]) == 2
        assert note in capsys.readouterr().out.splitlines()[-1]
        assert main(["run", "--url", url, *check, "--tier", "free"]) == 2
        assert note not in capsys.readouterr().out
        assert main(["run", "--url", url, *check, "--tier", "paid"]) == 0
        assert note not in capsys.readouterr().out


def test_a_dry_run_sends_nothing_and_tells_what_it_would(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running() as standin:
        arguments = ["run", "--url", standin.url, "--dry-run", "--family", "limits"]
        assert main([*arguments, "--rate", "2"]) == 0
        assert standin.world.lines == []
    said = capsys.readouterr().out
    assert "POST   /execute" in said
    assert "of jobs" in said


def test_the_plan_of_a_free_account_has_each_free_operation_and_a_line_a_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSANDBOX_PUBLIC_KEY", "unsb-pk-aaaa-aaaa-aaaa-aaaa")
    monkeypatch.setenv("UNSANDBOX_SECRET_KEY", "unsb-sk-aaaaa-aaaaa-aaaaa-aaaaa")
    targets = tmp_path / "targets.toml"
    targets.write_text('[targets.somebody]\nurl = "http://127.0.0.1:1"\nreal = true\n')
    named = ["--targets", str(targets), "--target", "somebody"]
    assert main(["run", *named, "--profile", "free", "--dry-run"]) == 0
    plan, reasons = capsys.readouterr().out.split("Not run:")
    free = [it for it in Spec().operations.values() if it.traits.tier == FREE]
    planned = set(re.findall(r"^ +\d+  (\w+ +\S+)$", plan, re.MULTILINE))
    needy = {"getJob", "waitJob", "cancelJob", "cancelJobAlias"}  # a job, whose id is an answer's
    for operation in free:
        if operation.id not in needy and not operation.is_extension:
            assert f"{operation.method:<6} {operation.path}" in planned
    assert "Requests: 100 or more" in plan
    found = [line.split(maxsplit=1)[1] for line in reasons.splitlines()[1:]]
    assert 10 * len(set(found)) == 10 * len(found) < int(reasons.split()[0])
    assert "there is nothing to call it on" in found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_families_and_reports(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running() as standin:
        command = [sys.executable, "-m", "contract.cli", "run", "--url", standin.url]
        command += ["--rate", "20", "--family", "limits", "--report", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            while len(standin.world.lines) < 3:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(number)
            said = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 130
        assert "interrupted before its end" in said.splitlines()[-1]
        assert (tmp_path / "report.json").exists()
        assert not processes_that_know(standin.url)


FAILURE = dict.fromkeys(("title", "message", "test"), "") | {
    "format": 1,
    "seed": 1,
    "profile": "full",
    "quick": True,
    "strict": False,
    "trail": [],
    "requests": True,
}


@pytest.mark.parametrize(
    ("command", "answered", "requests"),
    [
        (["mutants", "--url", "URL", "--only", "always-404"], b"/health", 2),
        (["diff", "URL", "URL"], b"", 1),
        (["replay", "FILE", "--url", "URL"], b"", 1),
    ],
)
def test_every_command_that_is_interrupted_ends_soon_and_says_so(
    command: list[str], answered: bytes, requests: int, tmp_path: Path
) -> None:
    file = tmp_path / "failure.json"
    file.write_text(json.dumps(FAILURE))
    with hanging(answered) as (url, came):
        known = {"URL": url, "FILE": str(file)}
        argv = [sys.executable, "-m", "contract.cli", *(known.get(it, it) for it in command)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while len(came) < requests:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, said) == (130, "unsandbox-contract: interrupted\n")


def processes_that_know(url: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return [command for command in found if url in command]
