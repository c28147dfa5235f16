"""What becomes of sessions when the emulator ends, however it does, and starts again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from emulator.sandbox.engine import LABEL
from tests import shell
from tests.client import Client
from tests.containers import eventually
from tests.test_life import Process, instance, restarted, started

Json = dict[str, Any]
MANY = 10
"""Of multiplexed sessions that live through a kill."""


@contextmanager
def emulator(directory: Path) -> Iterator[tuple[Process, Client]]:
    """A process that is ready, and a client; killed at the end of the block."""
    with started(directory) as process:
        process.wait_ready()
        client = Client(process.api)
        yield process, client
        client.close()


def made(client: Client, **fields: object) -> Json:
    response = client.post("/sessions", fields)
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


def read(client: Client, session: Json) -> Json:
    document: Json = client.get(f"/sessions/{session['id']}").json()
    return document


@contextmanager
def container_of(directory: Path, session: Json) -> Iterator[Container]:
    """A session's container, for what happens to it while no emulator runs."""
    engine = docker.from_env()
    try:
        for found in engine.containers.list(filters={"label": f"{LABEL}={instance(directory)}"}):
            if found.attrs["Config"]["Hostname"] == session["container_name"]:
                yield found
    finally:
        engine.close()


def remember(client: Client, session: Json) -> None:
    """Leave a variable in a session's shell."""
    with shell.signed(client, session["id"]) as opened:
        opened.answer(f"memory=of-{session['container_name']}")


def recalls(client: Client, session: Json) -> bool:
    with shell.signed(client, session["id"]) as opened:
        told = opened.answer('printf "%s is %s\\n" it "$memory"')
    return f"it is of-{session['container_name']}".encode() in told


def end_all(client: Client) -> None:
    for item in client.get("/sessions").json()["sessions"]:
        assert client.send("DELETE", f"/sessions/{item['id']}").status_code == 200


@dataclass(frozen=True)
class After:
    """Sessions of before a kill, and a client of the emulator that came after it."""

    client: Client
    many: list[Json]
    seen: Json
    unseen: Json
    exited: Json
    removed: Json
    thawed: Json
    paused: Json


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[After]:
    """The emulator is killed while sessions of all kinds live; things go on without it."""
    directory = tmp_path_factory.mktemp("killed")
    with emulator(directory) as (process, client):
        kinds = ["screen" if number % 5 == 4 else "tmux" for number in range(MANY)]
        many = [made(client, multiplexer=kind) for kind in kinds]
        for session in many:
            remember(client, session)
        assert client.post(f"/sessions/{many[0]['id']}/freeze", {}).status_code == 200
        seen, unseen = made(client), made(client)
        exited, removed, thawed, paused = (made(client, multiplexer="tmux") for _ in range(4))
        assert client.post(f"/sessions/{thawed['id']}/freeze", {}).status_code == 200
        with shell.signed(client, seen["id"]) as opened:
            opened.answer("echo on")
            process.end(signal.SIGKILL)
    with container_of(directory, exited) as container:
        container.exec_run(["tmux", "kill-server"], environment={"TMUX_TMPDIR": "/run"})
    with container_of(directory, removed) as container:
        container.remove(force=True, v=True)
    with container_of(directory, thawed) as container:
        container.unpause()
    with container_of(directory, paused) as container:
        container.pause()
    with restarted(directory) as (_, client):
        yield After(client, many, seen, unseen, exited, removed, thawed, paused)
        end_all(client)


def test_multiplexed_sessions_go_on_after_a_kill_as_they_were(after: After) -> None:
    listed = after.client.get("/sessions").json()["sessions"]
    assert [it["id"] for it in listed][:MANY] == [it["id"] for it in after.many]
    assert [it["status"] for it in listed][:MANY] == ["frozen", *["running"] * (MANY - 1)]
    frozen = after.many[0]["id"]
    assert after.client.post(f"/sessions/{frozen}/unfreeze", {}).status_code == 200
    assert all(recalls(after.client, session) for session in after.many)


def test_a_plain_session_ends_with_its_client_and_the_emulator(after: After) -> None:
    ended = read(after.client, after.seen)
    assert (ended["status"], "emulator ended" in ended["message"]) == ("terminated", True)


def test_a_plain_session_that_nobody_opened_goes_on(after: After) -> None:
    assert read(after.client, after.unseen)["status"] == "running"
    with shell.signed(after.client, after.unseen["id"]) as opened:
        opened.answer("echo on")


def test_a_shell_that_exited_meanwhile_has_ended(after: After) -> None:
    eventually(lambda: read(after.client, after.exited)["status"] == "terminated")
    assert "shell has exited" in read(after.client, after.exited)["message"]


def test_a_change_that_was_not_written_down_any_more_counts(after: After) -> None:
    """The kill may come between what is done to a container and the record of it."""
    statuses = [read(after.client, session)["status"] for session in (after.thawed, after.paused)]
    assert statuses == ["running", "frozen"]
    assert after.client.post(f"/sessions/{after.paused['id']}/unfreeze", {}).status_code == 200


def test_a_container_that_was_removed_meanwhile_is_told(after: After) -> None:
    ended = read(after.client, after.removed)
    assert (ended["status"], "went away" in ended["message"]) == ("terminated", True)


def test_when_the_emulator_is_stopped_clients_hear_that_their_session_lives_and_it_does(
    tmp_path: Path,
) -> None:
    with emulator(tmp_path) as (process, client):
        session = made(client, multiplexer="tmux")
        remember(client, session)
        with shell.signed(client, session["id"]) as opened:
            opened.answer("echo on")
            process.process.send_signal(signal.SIGTERM)
            assert opened.ended() == (["detached"], 1000)
        assert process.end(signal.SIGTERM) == 0
        assert "Traceback" not in process.output.read_text()
    with restarted(tmp_path) as (_, client):
        assert recalls(client, session)
        end_all(client)
