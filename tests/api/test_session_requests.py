"""What real clients send for sessions, and what is refused of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.client import Client
from tests.server import running, settings

Json = dict[str, Any]


@contextmanager
def session(client: Client, body: object, query: str = "") -> Iterator[Json]:
    """What a session was answered with; it ends with the block."""
    created = client.post(f"/sessions{query}", body)
    assert created.status_code == 200, created.text
    document: Json = created.json()
    try:
        yield document
    finally:
        client.send("DELETE", f"/sessions/{document['id']}")


PYTHON = {"network_mode": "zerotrust", "ttl": 60, "language": "python"}
RUST = {"language": "bash", "shell": "zsh", "tmux": True, "screen": False}
NIM = {"shell": "javascript", "network": "zerotrust", "vcpu": 2, "persistence": "screen"}
UNFIREHOSE = {"network": "zerotrust", "image": "ubuntu:24.04", "shell": None}

SENT: dict[str, tuple[object, Json]] = {
    "un.py": (PYTHON, {"shell": "python", "ttl": 60}),
    "lib.rs": (RUST, {"shell": "zsh", "multiplexer": "tmux"}),
    "un.nim": (NIM, {"shell": "node", "vcpu": 2, "multiplexer": "screen"}),
    "unfirehose": (UNFIREHOSE, {"shell": "bash", "network_mode": "zerotrust"}),
    "un.php": ([], {"shell": "bash", "ttl": 3600, "vcpu": 1}),
}


@pytest.mark.parametrize(("body", "told"), SENT.values(), ids=SENT)
def test_a_session_is_what_its_client_meant(client: Client, body: object, told: Json) -> None:
    with session(client, body) as document:
        assert {name: document.get(name) for name in told} == told


def test_what_was_meant_is_in_the_journal(client: Client, admin: httpx.Client) -> None:
    with session(client, {"shell": "js", "audit": True}):
        entries = admin.get("/_emulator/requests", params={"operation": "createSession"}).json()
    assert entries["requests"][0]["notes"] == [
        "compat: shell js read as node",
        "compat: audit read from the body",
    ]


@pytest.mark.parametrize(("query", "recorded"), [("?audit=1", 1), ("?audit=true", 1), ("", 0)])
def test_a_recording_is_asked_for_as_1_or_true(client: Client, query: str, recorded: int) -> None:
    with session(client, {"shell": "sh"}, query) as document:
        ended = client.send("DELETE", f"/sessions/{document['id']}?audit=1").json()
    names = [artifact["filename"] for artifact in ended["artifacts"]]
    assert names.count("session.log.gz") == recorded


def test_a_recording_is_not_asked_for_in_other_words(client: Client) -> None:
    for query in ("?audit=2", "?audit=yes", "?audit="):
        assert client.send("POST", f"/sessions{query}", b"{}").status_code == 400


def test_a_boost_is_to_two_unless_more_is_asked_for(client: Client) -> None:
    with session(client, {"shell": "sh"}) as document:
        path = f"/sessions/{document['id']}"
        for body in (b"[]", b'{"vcpu":null}', b'{"vcpu":2}'):
            assert client.send("POST", f"{path}/boost", body).json()["vcpu"] == 2


def test_other_paths_of_operations_refuse_alike(client: Client) -> None:
    with session(client, {"shell": "sh"}) as plain:
        assert client.post(f"/sessions/{plain['id']}/sleep", {}).status_code == 400
    with session(client, {"shell": "sh", "multiplexer": "screen"}) as kept:
        path = f"/sessions/{kept['id']}"
        assert client.post(f"{path}/sleep", {}).json()["status"] == "frozen"
        assert client.post(f"{path}/shell", {"command": "true"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"shell": "rust"}, "rust has none"),
        ({"language": "go"}, "go has none"),
        ({"shell": "bahs"}, "did you mean bash"),
    ],
)
def test_what_is_no_shell_is_told_so(client: Client, body: Json, told: str) -> None:
    refused = client.post("/sessions", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "UNKNOWN_SHELL")
    assert told in refused.json()["details"]
    assert "GET /shells" in refused.json()["details"]


def test_strict_takes_the_documented_words_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    flags = {"strict": "true", "languages": "bash", "pool_size": "0"}
    with running(settings(tmp_path_factory.mktemp("strict"), **flags)) as server:
        client = Client(server.api)
        refused = client.post("/sessions", {"shell": "javascript"})
        assert (refused.status_code, refused.json()["code"]) == (400, "UNKNOWN_SHELL")
        assert "the one of javascript is node" in refused.json()["details"]
        with session(client, {"persistence": "tmux", "language": "python"}) as document:
            assert (document["shell"], document.get("multiplexer")) == ("bash", None)
        client.close()
