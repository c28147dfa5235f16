"""An emulator that `exec` starts, from its start to its end."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import httpx
import pytest

from tests.exec.exec_process import Exec
from tests.test_life import containers, free_port, state_flags

HEALTH = "curl -sS https://api.unsandbox.com/health"


@pytest.fixture
def alone(tmp_path: Path) -> Exec:
    """Where no emulator runs."""
    own = [f"--admin-port={free_port()}", "--port=0", "--languages=bash", "--pool-size=1"]
    return Exec(tmp_path / "home", *own, *state_flags(tmp_path))


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


def answers(inside: Exec) -> bool:
    port = inside.flags[0].partition("=")[2]
    try:
        httpx.get(f"http://127.0.0.1:{port}/_emulator/ready")
    except httpx.TransportError:  # refused, or reset by one that is about to end
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_is_started_and_ended_when_none_runs(
    alone: Exec, tmp_path: Path, engine: docker.DockerClient
) -> None:
    done = alone.run("sh", "-c", HEALTH)
    assert (done.stdout, done.returncode) == (b'{"status":"ok"}', 0)
    assert b"starting an emulator" in done.stderr
    assert not answers(alone)
    assert containers(engine, tmp_path) == []


def test_the_last_one_that_uses_it_ends_it(alone: Exec) -> None:
    """Two start at once: one emulator serves both, and outlives the one that started it."""
    running = [alone.start("sh", "-c", f"echo up; read x; {HEALTH}") for _ in range(2)]
    told = []
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == b"up\n"
    for one in running:
        assert answers(alone)
        output, errors = one.communicate(b"\n", 60)
        assert output == b'{"status":"ok"}'
        told.append(b"starting an emulator" in errors)
    assert sorted(told) == [False, True]
    assert not answers(alone)


def test_it_ends_when_exec_is_killed(alone: Exec) -> None:
    with alone.start("sh", "-c", "echo up; read x") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        running.kill()
        running.communicate(b"\n", 60)
    wait_until(lambda: not answers(alone))
    assert alone.run("sh", "-c", HEALTH).stdout == b'{"status":"ok"}'


def test_an_interrupt_while_it_starts_ends_everything(alone: Exec) -> None:
    with alone.start("echo", "never") as running:
        wait_until(lambda: answers(alone))
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(b"", 60)
    assert (output, running.returncode) == (b"", 128 + signal.SIGINT)
    wait_until(lambda: not answers(alone))


def test_what_keeps_it_from_starting_is_told(alone: Exec) -> None:
    done = alone.run("true", DOCKER_HOST="unix:///nonexistent.sock")
    assert done.returncode == 2
    assert b"no Docker engine answers" in done.stderr
