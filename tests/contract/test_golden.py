"""What a real service answered is kept without secrets, and a server is held to it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.cli import main
from contract.golden import STALE_DAYS, Recording, RecordingError, read, write
from contract.sequence import Step
from contract.spec import Spec
from contract.target import EMULATOR, MAIN, REAL_OPT_IN
from tests.server import Server, running, settings

CLOUD = "cloud.test"
SPEC = Spec()
TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(settings(tmp_path_factory.mktemp("emulator"), languages="bash")) as started:
        yield started


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Made from a second emulator that poses as a real service, on a name of this test's own."""
    folder = tmp_path_factory.mktemp("cloud")
    chosen = settings(folder, languages="bash", allowed_hosts=CLOUD)
    with running(chosen) as cloud, pytest.MonkeyPatch.context() as patch:
        _resolve_cloud(patch)
        patch.setenv(REAL_OPT_IN, "yes")
        file = targets(folder, cloud.api.rsplit(":", 1)[1])
        out = folder / "golden"
        asked = ["record", "--target", "cloud", "--targets", str(file), "--profile", "full"]
        asked += ["--rate", "60000"]
        assert main([*asked, "--out", str(out)]) == 0
        patch.delenv(REAL_OPT_IN)
        assert main([*asked, "--out", str(folder / "none")]) == 2
        assert not (folder / "none").exists()
        yield out


def _resolve_cloud(patch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def resolved(host: Any, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - as the original
        return resolve("127.0.0.1" if host in (CLOUD, CLOUD.encode()) else host, *args, **keywords)

    patch.setattr(socket, "getaddrinfo", resolved)


def targets(folder: Path, port: str) -> Path:
    file = folder / "targets.toml"
    accounts = "".join(
        f'[targets.cloud.accounts.{role}]\npublic_key="{it.public_key}"\n'
        f'secret_key="{it.secret_key}"\n'
        for role, it in EMULATOR.accounts.items()
        if role in (MAIN, "second")
    )
    file.write_text(f'[targets.cloud]\nurl="http://{CLOUD}:{port}"\nreal=true\n{accounts}')
    return file


def replayed(server: Server, golden: Path, report: Path) -> tuple[int, dict[str, Any]]:
    argv = [sys.executable, "-m", "contract.cli", "run", "--url", server.api, "--family", "golden"]
    done = subprocess.run(  # noqa: PLW1510 - its status is what is asked for
        [*argv, "--golden", str(golden), "--report", str(report)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        timeout=200,
    )
    document: dict[str, Any] = json.loads((report / "report.json").read_text())
    return done.returncode, document


def outcomes(checks: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {
        it["check"]: (it["outcome"], "".join(it["messages"]))
        for it in checks
        if it["family"] == "golden"
    }


def test_a_recording_holds_the_answer_and_no_secret(recordings: Path) -> None:
    made = {it.step.name: it for it in read(recordings)}
    assert {"execute.plain", "getJob.ended", "listJobs.plain", "getHealth.plain"} <= set(made)
    run = made["execute.plain"]
    assert (run.recorded, run.contract) == (TODAY, SPEC.digest)
    assert run.answer["status"] == 200
    assert run.answer["body"]["stdout"] == "out\n"
    assert run.answer["body"]["job_id"].startswith("<job:")
    assert set(run.answer["headers"]) <= {
        "content-type",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    }
    text = "".join(file.read_text() for file in recordings.iterdir())
    for account in EMULATOR.accounts.values():
        assert account.public_key not in text
        assert account.secret_key not in text
    assert CLOUD not in text


def test_another_server_is_held_to_the_recordings(
    recordings: Path, server: Server, tmp_path: Path
) -> None:
    changed = []
    for it in read(recordings):
        recording = it
        if it.step.name == "execute.plain":
            body = {**it.answer["body"], "stdout": "other\n"}
            recording = replace(it, answer={**it.answer, "body": body})
        if it.step.operation == "getJob":
            recording = replace(it, recorded=TODAY - timedelta(days=STALE_DAYS + 1))
        if it.step.operation == "listJobs":
            recording = replace(it, contract="0" * 8)
        changed.append(recording)
    write(tmp_path / "golden", changed)
    status, report = replayed(server, tmp_path / "golden", tmp_path / "report")
    assert status == 1
    assert [it["operation"] for it in report["failures"]] == ["execute"]
    assert outcomes(report["operations"]["getHealth"]["checks"]) == {
        "the answer is as recorded": ("passed", ""),
        "the recording is of today": ("passed", ""),
    }
    outcome, message = outcomes(report["operations"]["execute"]["checks"])[
        "the answer is as recorded"
    ]
    assert outcome == "failed"
    assert "/body/stdout: 'other\\n' | 'out\\n'" in message
    for operation, why in (("getJob", "days old"), ("listJobs", "another version")):
        outcome, message = outcomes(report["operations"][operation]["checks"])[
            "the recording is of today"
        ]
        assert (outcome, why in message) == ("not run", True)


def test_without_recordings_the_family_says_that_it_did_not_run(
    server: Server, tmp_path: Path
) -> None:
    _, report = replayed(server, tmp_path / "golden", tmp_path / "report")
    assert outcomes(report["others"]) == {
        "the answer is as recorded": ("not run", "0 recordings"),
        "the recording is of today": ("not run", "0 recordings"),
    }


def test_an_emulator_is_not_recorded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["record", "--target", "emulator", "--out", str(tmp_path / "x")]) == 2
    assert main(["record", "--target", "real", "--out", str(tmp_path / "x")]) == 2
    assert "real services alone" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def recording(**body: object) -> Recording:
    step = Step({"call": "getHealth"})
    return Recording(step, 0, date(2026, 1, 2), "digest", {"status": 200, "body": body})


SECRETS = {
    "a public key": "unsb-pk-abcd-abcd-abcd-abcd",
    "a secret key": "unsb-sk-abcde-abcde-abcde-abcde",
    "a signature": "0123456789abcdef" * 4,
    "an address": "write to some.body+1@mail.example.com",
    "a bearer": "Authorization: Bearer abc",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "a token": "ghp_4fK9sL2mQx8Zr7Tb1Vn6Wc3Yd5",
}


@pytest.mark.parametrize("name", SECRETS)
def test_what_looks_like_a_secret_is_not_written(name: str, tmp_path: Path) -> None:
    write(tmp_path, [recording(status="ok")])
    before = (tmp_path / "getHealth.plain.json").read_bytes()
    for found in (recording(deep=[{"x": SECRETS[name]}]), recording(**{SECRETS[name]: 1})):
        with pytest.raises(RecordingError) as refused:
            write(tmp_path, [recording(status="new"), found])
        assert SECRETS[name] not in str(refused.value)
    assert (tmp_path / "getHealth.plain.json").read_bytes() == before


def test_a_recording_that_was_changed_by_hand_is_not_trusted(tmp_path: Path) -> None:
    write(tmp_path, [recording(status="ok")])
    file = tmp_path / "getHealth.plain.json"
    assert read(tmp_path)[0] == recording(status="ok")
    file.write_text(file.read_text().replace('"ok"', '"up"'))
    with pytest.raises(RecordingError, match="changed by hand"):
        read(tmp_path)
