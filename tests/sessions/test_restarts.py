"""What becomes of sessions when the emulator ends, however it does, and starts again."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from emulator.sandbox.engine import LABEL
from tests import shell
from tests.client import Client
from tests.test_life import Process, instance, restarted, started

Json = dict[str, Any]
MANY = 10


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


def ends_all(client: Client) -> None:
    for item in client.get("/sessions").json()["sessions"]:
        assert client.send("DELETE", f"/sessions/{item['id']}").status_code == 200


def remember(client: Client, session: Json) -> str:
    """Leave a variable in a session's shell, and text on its screen."""
    marker = f"of-{session['container_name']}"
    with shell.signed(client, session["id"]) as opened:
        opened.answer(f"memory=kept; echo {marker}")
    return f"{marker}-kept"


def recalls(client: Client, session: Json) -> str:
    with shell.signed(client, session["id"]) as opened:
        told = opened.answer(f'printf "%s-%s\\n" of-{session["container_name"]} "$memory"')
    return told.decode()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_multiplexed_sessions_go_on(tmp_path: Path, end: signal.Signals) -> None:
    many = MANY if end == signal.SIGKILL else 2
    with emulator(tmp_path) as (process, client):
        sessions = [
            made(client, multiplexer="screen" if number % 5 == 4 else "tmux")
            for number in range(many)
        ]
        memories = [remember(client, session) for session in sessions]
        frozen = sessions[0]
        assert client.post(f"/sessions/{frozen['id']}/freeze", {}).status_code == 200
        process.end(end)
    with restarted(tmp_path) as (_, client):
        listed = client.get("/sessions").json()
        assert listed["count"] == many
        assert [item["id"] for item in listed["sessions"]] == [it["id"] for it in sessions]
        assert listed["sessions"][0]["status"] == "frozen"
        assert client.post(f"/sessions/{frozen['id']}/unfreeze", {}).status_code == 200
        for session, memory in zip(sessions, memories, strict=True):
            assert memory in recalls(client, session)
        ends_all(client)


def test_a_plain_session_ends_with_its_client_and_one_that_nobody_opened_goes_on(
    tmp_path: Path,
) -> None:
    with emulator(tmp_path) as (process, client):
        seen, unseen = made(client), made(client)
        with shell.signed(client, seen["id"]) as opened:
            opened.answer("echo on")
            process.end(signal.SIGKILL)
    with restarted(tmp_path) as (_, client):
        assert [it["id"] for it in client.get("/sessions").json()["sessions"]] == [unseen["id"]]
        ended = client.get(f"/sessions/{seen['id']}").json()
        assert (ended["status"], "emulator ended" in ended["message"]) == ("terminated", True)
        with shell.signed(client, unseen["id"]) as opened:
            opened.answer("echo on")


def test_a_client_is_told_that_its_multiplexed_session_lives_on(tmp_path: Path) -> None:
    with emulator(tmp_path) as (process, client):
        session = made(client, multiplexer="tmux")
        with shell.signed(client, session["id"]) as opened:
            opened.answer("echo on")
            process.process.send_signal(signal.SIGTERM)
            assert opened.ended() == (["detached"], 1000)
        assert process.end(signal.SIGTERM) == 0
    with restarted(tmp_path) as (_, client):
        ends_all(client)


def test_a_shell_that_exited_meanwhile_has_ended(tmp_path: Path) -> None:
    with emulator(tmp_path) as (process, client):
        session = made(client, multiplexer="tmux")
        with shell.signed(client, session["id"]) as opened:
            opened.answer("(sleep 1; tmux kill-server) & disown")
        process.end(signal.SIGKILL)
    with container_of(tmp_path, session) as container:
        container.exec_run(["sleep", "1.2"])
    with restarted(tmp_path) as (process, client):
        process.wait_for(
            lambda: client.get(f"/sessions/{session['id']}").json()["status"] == "terminated"
        )


def test_a_container_that_was_removed_meanwhile_is_told(tmp_path: Path) -> None:
    with emulator(tmp_path) as (process, client):
        session = made(client, multiplexer="tmux")
        process.end(signal.SIGKILL)
    with container_of(tmp_path, session) as container:
        container.remove(force=True)
    with restarted(tmp_path) as (_, client):
        assert client.get("/sessions").json()["count"] == 0
        ended = client.get(f"/sessions/{session['id']}").json()
        assert (ended["status"], "went away" in ended["message"]) == ("terminated", True)
