import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.accounts import DEFAULT_ACCOUNT
from emulator.paths import ROOT
from tests.test_life import state_flags


class Command:
    """`unsandbox-emulator` with state of its own."""

    def __init__(self, directory: Path) -> None:
        self.state = state_flags(directory)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "emulator.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["up", "--help"], ["keys", "create", "--help"], ["--version"]]
)
def test_help_is_given(command: Command, arguments: list[str]) -> None:
    done = command.run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "unsandbox-emulator" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "required"),
        (["fly"], "invalid choice"),
        (["up", "--port", "x"], "--port: 'x'"),
        (["up", "--languages", "klingon"], "'klingon' is no language"),
        (["keys", "revoke", "unsb-pk-none-none-none-none"], "no key"),
        (["keys", "create", "--burst", "0"], "burst must be from 1"),
        (["runtimes", "build", "klingon"], "'klingon' is no language"),
        (["runtimes", "test", "klingon"], "'klingon' is no language"),
        (["runtimes", "test", "bash", "--json", "/nowhere/x"], "/nowhere/x cannot be written"),
    ],
)
def test_bad_input_is_told_with_exit_status_2_and_no_traceback(
    command: Command, arguments: list[str], told: str
) -> None:
    state = command.state if arguments and arguments[0] != "fly" else []
    done = command.run(
        *arguments, *state, UNSANDBOX_EMULATOR_PORT="0", UNSANDBOX_EMULATOR_ADMIN_PORT="0"
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_is_created_listed_without_its_secret_and_revoked(command: Command) -> None:
    created = command.run("keys", "create", "--tier", "Tier 1", "--days", "30", *command.state)
    public, secret = (line.partition("=")[2] for line in created.stdout.splitlines())
    listed = command.run("keys", "list", "--json", *command.state)
    entry = next(row for row in json.loads(listed.stdout) if row["public_key"] == public)
    assert (entry["tier"], entry["state"]) == ("Tier 1", "active")
    assert secret not in listed.stdout
    assert command.run("keys", "revoke", public, *command.state).returncode == 0
    assert public not in command.run("keys", "list", *command.state).stdout


def test_the_secrets_of_the_documented_test_keys_are_listed(command: Command) -> None:
    listed = json.loads(command.run("keys", "list", "--json", *command.state).stdout)
    secrets = {row["public_key"]: row.get("secret_key") for row in listed}
    assert secrets[DEFAULT_ACCOUNT.public_key] == DEFAULT_ACCOUNT.secret_key


def test_test_keys_can_be_turned_off(command: Command) -> None:
    listed = command.run("keys", "list", "--json", "--test-keys=false", *command.state)
    assert json.loads(listed.stdout) == []


def test_the_certificate_to_trust_is_printed_in_three_forms(
    command: Command, tmp_path: Path
) -> None:
    file = Path(command.run("ca", *command.state).stdout.strip())
    assert file == tmp_path / "ca" / "ca.pem"
    assert command.run("ca", "--pem", *command.state).stdout == file.read_text()
    lines = command.run("ca", "--env", *command.state).stdout
    shown = subprocess.run(
        ["sh", "-c", f'{lines} cat "$NODE_EXTRA_CA_CERTS"; tail -n 100 "$SSL_CERT_FILE"'],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert shown.stdout.startswith(file.read_text())
    assert shown.stdout.count(file.read_text()) == 2


def test_the_doctor_finds_this_machine_fit(command: Command) -> None:
    done = command.run("doctor", *command.state)
    assert done.returncode == 0, done.stdout
    assert "docker" in done.stdout
    assert "FAIL" not in done.stdout


def test_the_doctor_says_what_to_do_without_an_engine(command: Command) -> None:
    done = command.run("doctor", *command.state, DOCKER_HOST="unix:///nonexistent.sock")
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert "Install and start Docker" in done.stdout


def test_pruning_can_be_tried_without_removing_anything(command: Command) -> None:
    done = command.run("runtimes", "prune", "--dry-run", *command.state)
    assert done.returncode == 0, done.stderr
    *would, freed = done.stdout.splitlines()
    assert freed.endswith(" MB freed")
    assert all(line.startswith("would remove ") for line in would)


def test_the_programs_of_a_language_are_run_in_both_modes(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    done = command.run("runtimes", "test", "bash", "--json", str(file), *command.state)
    assert (done.returncode, done.stderr) == (0, "")
    head, row, last = done.stdout.splitlines()
    assert head.split()[0] == "language"
    assert row.split()[:2] == ["bash", "18/18"]
    assert "GNU bash" in row
    assert last == "1 passed, 0 failed, 0 not run"
    (seen,) = json.loads(file.read_text())["languages"]
    assert seen["warm_ms"] > 0
    assert seen["cold_ms"] > 0


def test_languages_are_listed_with_version_size_and_what_they_lack(command: Command) -> None:
    listed = {
        entry["name"]: entry
        for entry in json.loads(command.run("runtimes", "list", "--json", *command.state).stdout)
    }
    assert listed["bash"]["version"].startswith("GNU bash, version 5")
    assert listed["bash"]["image_bytes"] > 100_000_000
    assert (listed["bash"]["kind"], listed["egress"]["kind"]) == ("language", "image")
    assert sum(entry["kind"] == "language" for entry in listed.values()) == 42
    again = command.run("runtimes", "list", *command.state).stdout.splitlines()
    assert len(again) == len(listed)
    assert next(line for line in again if line.startswith("bash ")).split()[1] == "built"
