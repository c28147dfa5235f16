"""Start, end, crash and start again, as a process of its own."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import docker
import httpx
import pytest

from emulator.paths import ROOT
from emulator.sandbox.engine import LABEL
from tests.client import Client, test_account
from tests.containers import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def state_flags(directory: Path) -> list[str]:
    """State of a test's own, and a free port for TLS."""
    names = {"--data-dir": "data", "--key-file": "key", "--ca-dir": "ca"}
    own = [f"{flag}={directory / name}" for flag, name in names.items()]
    return [*own, "--tls-port=0"]


class Process:
    """`unsandbox-emulator up` with one language."""

    def __init__(self, directory: Path) -> None:
        self.api = f"http://127.0.0.1:{free_port()}"
        self.admin = f"http://127.0.0.1:{free_port()}"
        self.output = directory / "output"
        flags = {
            "--port": self.api.rpartition(":")[2],
            "--admin-port": self.admin.rpartition(":")[2],
            "--languages": "bash",
        }
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "emulator.cli",
                    "up",
                    *sum(flags.items(), ()),
                    *state_flags(directory),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        self.wait_for(lambda: "Ready." in self.output.read_text())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def started(directory: Path) -> Iterator[Process]:
    process = Process(directory)
    try:
        yield process
    finally:
        process.end(signal.SIGKILL)


@contextmanager
def restarted(directory: Path) -> Iterator[tuple[Process, Client]]:
    """Started again, ready, over the state of one before; and the default account's client."""
    with started(directory) as process:
        process.wait_for(lambda: process.output.read_text().count("Ready.") == 2)
        client = Client(process.api)
        yield process, client
        client.close()
        assert process.end(signal.SIGTERM) == 0


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


def instance(directory: Path) -> str:
    with sqlite3.connect(directory / "data" / "emulator.sqlite3") as database:
        query = "select value from properties where name = 'instance'"
        (value,) = database.execute(query).fetchone()
    database.close()
    return str(value)


def containers(engine: docker.DockerClient, directory: Path) -> list[str]:
    label = f"{LABEL}={instance(directory)}"
    found = engine.api.containers(all=True, filters={"label": label})
    return [item["Id"] for item in found]


def unused_volumes(engine: docker.DockerClient) -> set[str]:
    """Those that no container has."""
    return {volume.name for volume in engine.volumes.list(filters={"dangling": True})}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_leaves_nothing(
    tmp_path: Path, engine: docker.DockerClient, number: signal.Signals
) -> None:
    unused = unused_volumes(engine)
    networks = {network.id for network in engine.networks.list()}
    with started(tmp_path) as process:
        process.wait_ready()
        client = Client(process.api)
        assert client.execute("bash", "echo hi")["stdout"] == "hi\n"
        client.close()
        assert len(containers(engine, tmp_path)) >= 1
        assert process.end(number) == 0
    assert containers(engine, tmp_path) == []
    eventually(lambda: unused_volumes(engine) <= unused)  # others start and end meanwhile
    assert {network.id for network in engine.networks.list()} == networks
    assert "Traceback" not in process.output.read_text()
    with socket.create_server(("127.0.0.1", int(process.api.rpartition(":")[2]))):
        pass


def test_the_end_of_an_emulator_ends_what_runs(tmp_path: Path, engine: docker.DockerClient) -> None:
    with started(tmp_path) as process:
        process.wait_ready()
        body = '{"language":"bash","code":"sleep 600","ttl":900}'
        client = Client(process.api)
        sender = subprocess.Popen(
            [sys.executable, "-c", _SENDER, process.api, body], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        process.wait_for(lambda: httpx.get(f"{process.api}/cluster").json()["allocated"] == 1)
        client.close()
        assert process.end(signal.SIGTERM) == 0
        sender.wait(30)
    assert containers(engine, tmp_path) == []


_SENDER = """
import sys
from tests.client import Client
Client(sys.argv[1]).send("POST", "/execute", sys.argv[2].encode())
"""


def test_what_a_killed_emulator_left_is_removed_at_the_next_start(
    tmp_path: Path, engine: docker.DockerClient
) -> None:
    with started(tmp_path) as first:
        first.wait_ready()
        first.end(signal.SIGKILL)
    left = containers(engine, tmp_path)
    assert left
    with restarted(tmp_path) as (second, client):
        assert not set(left) & set(containers(engine, tmp_path))
        assert client.execute("bash", "echo again")["stdout"] == "again\n"
    assert containers(engine, tmp_path) == []
    assert re.search(r"^Removed \d+ containers", second.output.read_text(), re.MULTILINE)


def test_an_emulator_killed_amid_fifty_runs_leaves_nothing_behind(
    tmp_path: Path, engine: docker.DockerClient
) -> None:
    def send(api: str, _: int) -> int:
        client = Client(api)
        try:
            return client.post("/execute", {"language": "bash", "code": "sleep 1"}).status_code
        except httpx.TransportError:
            return 0
        finally:
            client.close()

    with started(tmp_path) as first, ThreadPoolExecutor(50) as threads:
        first.wait_ready()
        answers = [threads.submit(send, first.api, number) for number in range(50)]
        first.wait_for(lambda: httpx.get(f"{first.api}/cluster").json()["allocated"] >= 2)
        first.end(signal.SIGKILL)
        assert {answer.result(60) for answer in answers} <= {0, 200}
    left = set(containers(engine, tmp_path))
    assert len(left) >= 2
    with started(tmp_path) as second:
        second.wait_for(lambda: second.output.read_text().count("Ready.") == 2)
        assert not left & set(containers(engine, tmp_path))
        assert send(second.api, 0) == 200
        assert second.end(signal.SIGTERM) == 0
    assert containers(engine, tmp_path) == []


def test_finished_jobs_are_there_after_a_restart(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        first.wait_ready()
        client = Client(first.api)
        job_id = client.execute("bash", "echo kept")["job_id"]
        client.close()
        first.end(signal.SIGTERM)
    with restarted(tmp_path) as (_, client):
        assert client.get(f"/jobs/{job_id}").json()["stdout"] == "kept\n"


def submitted(client: Client, code: str) -> str:
    body = {"language": "bash", "code": code, "ttl": 900}
    return str(client.post("/execute/async", body).json()["job_id"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_accepted_job_is_lost_whatever_ends_the_emulator(
    tmp_path: Path, number: signal.Signals
) -> None:
    with started(tmp_path) as first:
        first.wait_ready()
        client, one = Client(first.api), Client(first.api, test_account("one slot"))
        finished = submitted(client, "echo kept")
        assert client.get(f"/jobs/{finished}/wait").json()["stdout"] == "kept\n"
        running = [submitted(client, "echo begun; sleep 600") for _ in range(50)]
        waiting = [submitted(one, "sleep 600") for _ in range(3)]
        first.wait_for(lambda: client.get(f"/jobs/{running[0]}").json()["status"] == "running")
        assert one.get(f"/jobs/{waiting[-1]}").json()["status"] == "pending"
        client.close()
        one.close()
        first.end(number)
    with restarted(tmp_path) as (second, client):
        one = Client(second.api, test_account("one slot"))
        assert client.get(f"/jobs/{finished}").json()["stdout"] == "kept\n"
        lost = [client.get(f"/jobs/{job_id}").json() for job_id in running]
        lost += [one.get(f"/jobs/{job_id}").json() for job_id in waiting]
        assert {job["status"] for job in lost} == {"failed"}
        assert all("ended before the job did" in job["error"] for job in lost)
        assert all("completed_at" in job for job in lost)
        listed = client.get("/jobs").json()
        assert {job["job_id"] for job in listed} == {finished, *running}
        one.close()
    assert "Traceback" not in second.output.read_text()


def test_a_program_that_is_waited_for_when_the_emulator_is_killed_has_failed(
    tmp_path: Path,
) -> None:
    with started(tmp_path) as first:
        first.wait_ready()
        client = Client(first.api)
        body = '{"language":"bash","code":"sleep 600","ttl":900}'
        sender = subprocess.Popen(
            [sys.executable, "-c", _SENDER, first.api, body], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        first.wait_for(lambda: len(client.get("/jobs").json()) == 1)
        (job,) = client.get("/jobs").json()
        first.wait_for(lambda: kept(tmp_path, job["job_id"]))
        client.close()
        first.end(signal.SIGKILL)
        sender.wait(30)
    with restarted(tmp_path) as (_, client):
        assert client.get(f"/jobs/{job['job_id']}").json()["status"] == "failed"


def kept(directory: Path, job_id: str) -> bool:
    with sqlite3.connect(directory / "data" / "emulator.sqlite3") as database:
        query = "select count(*) from jobs where job_id = ?"
        (count,) = database.execute(query, (job_id,)).fetchone()
    database.close()
    return bool(count)


def test_a_data_directory_in_use_is_refused_in_words(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        first.wait_ready()
        second = Process(tmp_path)
        assert second.process.wait(30) == 2
        assert "another emulator uses the data directory" in second.output.read_text()
        first.end(signal.SIGTERM)


def test_a_port_in_use_is_refused_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        state = state_flags(tmp_path)
        done = subprocess.run(
            [sys.executable, "-m", "emulator.cli", "up", "--port", port, *state],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr


def test_without_an_engine_it_says_what_to_install(tmp_path: Path) -> None:
    state = state_flags(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "emulator.cli", "up", "--port", "0", "--admin-port", "0", *state],
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent.sock"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "apt-get install docker.io" in done.stderr


def test_it_is_not_ready_before_it_says_so(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        seen = set()

        def poll() -> bool:
            try:
                response = httpx.get(f"{process.admin}/_emulator/ready")
            except httpx.TransportError:
                return False
            seen.add((response.status_code, bool(response.json()["reasons"])))
            return response.status_code == 200

        process.wait_for(poll)
        process.end(signal.SIGTERM)
    assert seen <= {(200, False), (503, True)}
