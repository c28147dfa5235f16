"""Real programs under `exec`, beside an emulator that runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.exec.home import NAME
from tests.client import test_account
from tests.exec.exec_process import PYTHON, Exec, for_server
from tests.server import Server

HEALTHY = b'{"status":"ok"}'
EXECUTE = """
import hashlib, hmac, os, time, requests
body = '{"language":"bash","code":"echo from inside"}'
at = str(int(time.time()))
message = f"{at}:POST:/execute:{body}".encode()
signature = hmac.new(os.environ["UNSANDBOX_SECRET_KEY"].encode(), message, hashlib.sha256)
answer = requests.post("https://api.unsandbox.com/execute", body, timeout=60, headers={
    "Authorization": "Bearer " + os.environ["UNSANDBOX_PUBLIC_KEY"], "X-Timestamp": at,
    "X-Signature": signature.hexdigest(), "Content-Type": "application/json"})
print(answer.json()["stdout"], end="")
"""
WEBSOCKET = """
import asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
async def main():
    try:
        await connect("wss://api.unsandbox.com/sessions/sess_x/shell")
    except InvalidStatus as refusal:
        print(refusal.response.status_code)
asyncio.run(main())
"""
SIGNALLED = """
import signal, sys
signal.signal(int(sys.argv[1]), lambda *_: print("got", flush=True))
print("up", flush=True)
sys.stdin.read()
sys.exit(9)
"""


@pytest.fixture
def inside(server: Server, tmp_path: Path) -> Exec:
    return for_server(server, tmp_path / "home")


@pytest.mark.parametrize(
    "program",
    [
        ["curl", "-sS", "https://api.unsandbox.com/health"],
        ["curl", "-sS", "https://unsandbox.com/health"],
        ["curl", "-sS", "--capath", "/etc/ssl/certs", "https://api.unsandbox.com/health"],
        [PYTHON, "-c", "import urllib.request as u; print(end=u.urlopen(U).read().decode())"],
        [PYTHON, "-c", "import requests; print(end=requests.get(U).text)"],
        [PYTHON, "-c", "import httpx; print(end=httpx.get(U).text)"],
    ],
    ids=["curl", "the portal", "hashed directory", "urllib", "requests", "httpx"],
)
def test_an_unchanged_program_reaches_the_emulator(inside: Exec, program: list[str]) -> None:
    url = "'https://api.unsandbox.com/health'"
    done = inside.run(*(word.replace("(U)", f"({url})") for word in program))
    assert (done.stdout, done.stderr, done.returncode) == (HEALTHY, b"", 0)


def test_names_of_services_lead_to_the_emulator(inside: Exec) -> None:
    done = inside.run("curl", "-sS", "https://nobody.on.unsandbox.com/")
    assert b"No service has this name" in done.stdout


def test_a_program_runs_with_the_test_credentials(inside: Exec) -> None:
    done = inside.run(PYTHON, "-c", EXECUTE, UNSANDBOX_SECRET_KEY="the user's own")
    assert (done.stdout, done.stderr) == (b"from inside\n", b"")


def test_the_account_can_be_chosen(inside: Exec) -> None:
    account = test_account("one slot")
    shown = 'echo "$UNSANDBOX_PUBLIC_KEY $UNSANDBOX_SECRET_KEY"'
    done = inside.run("sh", "-c", shown, key=account.public_key)
    assert done.stdout.decode().split() == [account.public_key, account.secret_key]
    unknown = inside.run("true", key="unsb-pk-none-none-none-none")
    assert (unknown.returncode, b"keys list" in unknown.stderr) == (2, True)


def test_websockets_are_there_too(inside: Exec) -> None:
    assert inside.run(PYTHON, "-c", WEBSOCKET).stdout == b"404\n"


def test_a_proxy_is_not_asked_for_the_api(inside: Exec) -> None:
    program = ["curl", "-sS", "https://api.unsandbox.com/health"]
    done = inside.run(*program, https_proxy="http://127.0.0.1:9", no_proxy="corp.example")
    assert done.stdout == HEALTHY
    assert inside.run("sh", "-c", "echo $no_proxy", no_proxy="corp.example").stdout == (
        b"corp.example,api.unsandbox.com,unsandbox.com,on.unsandbox.com\n"
    )


def test_bundles_that_variables_name_are_kept_and_trusted_beside(
    inside: Exec, tmp_path: Path
) -> None:
    corporate = tmp_path / "corporate.pem"
    corporate.write_text("# our own\n")
    program = 'cat "$CURL_CA_BUNDLE"; curl -sS https://api.unsandbox.com/health'
    done = inside.run("sh", "-c", program, CURL_CA_BUNDLE=str(corporate))
    assert done.stdout.startswith(b"# our own\n-----BEGIN CERTIFICATE-----\n")
    assert done.stdout.endswith(HEALTHY)
    assert corporate.read_text() == "# our own\n"


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["/nonexistent/program"], 127),
        (["/etc/hostname"], 126),
    ],
)
def test_the_exit_status_is_the_program_s(inside: Exec, program: list[str], status: int) -> None:
    assert inside.run(*program).returncode == status


def test_streams_are_the_program_s_alone(inside: Exec) -> None:
    given = bytes(range(256)) * 1000
    done = inside.run("sh", "-c", "cat; echo told >&2", given=given)
    assert (done.stdout, done.stderr) == (given, b"told\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_reaches_the_program_once(inside: Exec, number: signal.Signals) -> None:
    with inside.start(PYTHON, "-c", SIGNALLED, str(int(number))) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        running.send_signal(number)
        assert running.stdout.readline() == b"got\n"
        output, _ = running.communicate(b"", 60)
    assert (output, running.returncode) == (b"", 9)


def test_a_signal_that_ends_the_program_ends_exec_as_shells_do(inside: Exec) -> None:
    with inside.start("sh", "-c", "echo up; exec sleep 600") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        running.terminate()
        assert running.wait(60) == 128 + signal.SIGTERM


def test_the_user_s_own_clients_files_are_neither_seen_nor_changed(inside: Exec) -> None:
    own = inside.home / NAME
    own.mkdir()
    (own / "accounts.csv").write_text("real")
    done = inside.run("sh", "-c", "ls -A ~/.unsandbox; echo test > ~/.unsandbox/accounts.csv")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert {file.name: file.read_text() for file in own.iterdir()} == {"accounts.csv": "real"}


def test_a_directory_that_was_not_there_is_not_left(inside: Exec) -> None:
    with inside.start("sh", "-c", "echo x > ~/.unsandbox/x; echo up; read x") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"up\n"
        assert inside.run("ls", "-A", str(inside.home / NAME)).stdout == b""
        first.communicate(b"\n", 60)
    assert list(inside.home.iterdir()) == []


def test_nobody_else_sees_what_is_changed(inside: Exec) -> None:
    watched = [Path("/etc/hosts"), Path("/etc/ssl/certs/ca-certificates.crt")]
    before = [file.read_bytes() for file in watched]
    certificates = sorted(Path("/etc/ssl/certs").iterdir())
    with inside.start("sh", "-c", "cat /etc/hosts; read x") as running:
        assert running.stdout is not None
        assert b"api.unsandbox.com" in running.stdout.readline()
        assert [file.read_bytes() for file in watched] == before
        assert sorted(Path("/etc/ssl/certs").iterdir()) == certificates
        assert _mounted_below("/etc/ssl", "/etc/nsswitch.conf", str(inside.home.parent)) == []
        running.communicate(b"\n", 60)


def _mounted_below(*places: str) -> list[str]:
    table = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in table if line.split()[1].startswith(places)]


def test_several_work_at_the_same_time(inside: Exec) -> None:
    program = "head -1 /etc/hosts; read x; curl -sS https://api.unsandbox.com/health"
    running = [inside.start("sh", "-c", program) for _ in range(3)]
    lines = {one.stdout.readline() for one in running if one.stdout is not None}
    assert len(lines) == 3
    for one in running:
        output, _ = one.communicate(b"\n", 60)
        assert output == HEALTHY


def test_what_answers_and_is_no_emulator_is_not_used(server: Server, tmp_path: Path) -> None:
    api = f"--admin-port={server.addresses.tls.rpartition(':')[2]}"
    done = Exec(tmp_path / "home", f"--data-dir={tmp_path}", f"--key-file={tmp_path}/k", api).run(
        "true"
    )
    assert (done.returncode, b"is no emulator" in done.stderr) == (2, True)


def test_without_a_program_it_says_how(inside: Exec) -> None:
    done = inside.run()
    assert (done.returncode, b"which program?" in done.stderr) == (2, True)


def test_an_ordinary_user_is_told_what_to_do_instead(tmp_path: Path) -> None:
    program = (
        "import os, sys; from emulator.cli import main; os.setuid(65534);"
        "sys.exit(main(['exec', '--', 'true']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs root on Linux" in done.stderr
    assert "curlrc" in done.stderr
    assert "Traceback" not in done.stderr
