"""One-time codes on the wire: who is asked, and when in a request's way."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.api.call import Call, Reply
from emulator.api.table import HANDLERS, SUBJECTS
from emulator.emulator import Emulator
from emulator.errors import NotFound
from tests.client import Client, test_account
from tests.server import Server

PATH = "/sessions/sess_1"
CODE = "424242"


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was deleted, of one session that is there."""
    seen: list[str] = []

    async def delete(_emulator: Emulator, call: Call) -> Reply:
        seen.append(call.path["id"])
        return Reply({"status": "terminated"})

    async def find(_emulator: Emulator, call: Call) -> None:
        if call.path["id"] != "sess_1":
            raise NotFound("There is no such session")

    monkeypatch.setitem(HANDLERS, "deleteSession", delete)
    monkeypatch.setitem(SUBJECTS, "deleteSession", find)
    return seen


@pytest.fixture
def careful(server: Server) -> Iterator[Client]:
    made = Client(server.api, test_account("sudo"))
    yield made
    made.close()


def confirmation(challenge: str) -> Any:  # noqa: ANN401 - headers, to be spread
    return {"X-Sudo-OTP": CODE, "X-Sudo-Challenge": challenge}


def test_a_code_is_asked_for_and_lets_the_operation_happen(
    careful: Client, deleted: list[str]
) -> None:
    asked = careful.send("DELETE", PATH)
    document = asked.json()
    assert (asked.status_code, document["code"]) == (428, "SUDO_REQUIRED")
    assert document["error"] == "Confirmation required"
    assert deleted == []
    given = confirmation(document["challenge_id"])
    assert careful.send("DELETE", PATH, **given).status_code == 200
    assert deleted == ["sess_1"]
    assert careful.send("DELETE", PATH, **given).status_code == 428


def test_an_empty_challenge_is_none(careful: Client, deleted: list[str]) -> None:
    careful.send("DELETE", PATH)
    assert careful.send("DELETE", PATH, **confirmation("")).status_code == 200
    assert deleted == ["sess_1"]


def test_what_is_not_there_or_not_well_formed_needs_no_code(
    careful: Client, deleted: list[str]
) -> None:
    assert careful.send("DELETE", "/sessions/sess_2").status_code == 404
    assert careful.send("DELETE", f"{PATH}?audit=yes").status_code == 400
    assert deleted == []


def test_other_accounts_are_not_asked(client: Client, deleted: list[str]) -> None:
    assert client.send("DELETE", PATH).status_code == 200
    assert deleted == ["sess_1"]
