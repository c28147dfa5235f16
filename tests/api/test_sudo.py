"""One-time codes on the wire: who is asked, and when in a request's way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.client import Client, test_account
from tests.server import Server

CODE = "424242"


@pytest.fixture
def careful(server: Server) -> Iterator[Client]:
    """An account whose sessions end with a one-time code alone."""
    made = Client(server.api, test_account("sudo"))
    yield made
    made.close()


@contextmanager
def session(client: Client) -> Iterator[str]:
    """The path of a session, which is gone afterwards."""
    created = client.post("/sessions", {"shell": "sh"})
    assert created.status_code == 200, created.text
    path = f"/sessions/{created.json()['id']}"
    try:
        yield path
    finally:
        client.post(f"{path}/unlock", {})
        client.send("DELETE", path)  # asks for a code, which is then given
        client.send("DELETE", path, **confirmation())


def confirmation(challenge: str = "", code: str = CODE) -> Any:  # noqa: ANN401 - to be spread
    return {"X-Sudo-OTP": code, "X-Sudo-Challenge": challenge}


def challenge(client: Client, path: str) -> str:
    asked = client.send("DELETE", path)
    assert (asked.status_code, asked.json()["code"]) == (428, "SUDO_REQUIRED")
    assert asked.json()["error"] == "Confirmation required"
    return str(asked.json()["challenge_id"])


def test_a_code_is_asked_for_and_lets_the_operation_happen_once(careful: Client) -> None:
    with session(careful) as path:
        given = challenge(careful, path)
        assert careful.get(path).json()["status"] == "running"
        wrong = careful.send("DELETE", path, **confirmation(given, "000000"))
        assert (wrong.status_code, wrong.json()["challenge_id"]) == (428, given)
        deleted = careful.send("DELETE", path, **confirmation(given))
        assert (deleted.status_code, deleted.json()["status"]) == (200, "terminated")
        assert careful.send("DELETE", path, **confirmation(given)).status_code == 404


def test_a_challenge_is_for_one_session_and_needs_no_name(careful: Client) -> None:
    with session(careful) as one, session(careful) as other:
        of_other = challenge(careful, other)
        assert careful.send("DELETE", one, **confirmation(of_other)).status_code == 428
        assert careful.get(one).json()["status"] == "running"
        assert careful.send("DELETE", other, **confirmation()).status_code == 200


def test_what_cannot_happen_needs_no_code(careful: Client) -> None:
    assert careful.send("DELETE", "/sessions/sess_none").status_code == 404
    with session(careful) as path:
        assert careful.send("DELETE", f"{path}?audit=yes").status_code == 400
        careful.post(f"{path}/lock", {})
        assert careful.send("DELETE", path).status_code == 409


def test_other_accounts_are_not_asked(client: Client) -> None:
    with session(client) as path:
        assert client.send("DELETE", path).status_code == 200
