"""One-time codes before a service is destroyed or unlocked: what is accepted, and for what."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from emulator.sudo import LIFETIME, TRIES
from tests.client import Client, test_account
from tests.services.conftest import Maker

Json = dict[str, Any]
CODE, WRONG = "424242", "000000"
OPERATIONS = {"deleteService": ("DELETE", ""), "unlockService": ("POST", "/unlock")}


@pytest.fixture
def sudo(services: Maker) -> Iterator[Client]:
    """An account that has to confirm; what it leaves is destroyed."""
    made = Client(services.server.api, test_account("sudo"))
    made.clock = services.client.clock
    with closing(made):
        yield made
        for one in made.get("/services").json()["services"]:
            answer(made, "unlockService", one["id"], ask(made, "unlockService", one["id"]))
            answer(made, "deleteService", one["id"], ask(made, "deleteService", one["id"]))


@pytest.fixture
def admin(services: Maker) -> Iterator[Callable[[], list[Json]]]:
    """The challenges that the admin surface shows."""
    with httpx.Client(base_url=services.server.admin) as made:

        def shown() -> list[Json]:
            document = made.get("/_emulator/sudo").json()
            assert document["count"] == len(document["challenges"])
            return list(document["challenges"])

        made.post("/_emulator/reset").raise_for_status()
        yield shown


def create(sudo: Client, name: str) -> str:
    response = sudo.post("/services", {"name": name})
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def send(sudo: Client, operation: str, service: str, **headers: str) -> httpx.Response:
    method, rest = OPERATIONS[operation]
    return sudo.send(method, f"/services/{service}{rest}", b"", **headers)


def advance(services: Maker, seconds: float) -> None:
    clock = f"{services.server.admin}/_emulator/clock"
    httpx.post(clock, json={"advance": seconds}).raise_for_status()


def ask(sudo: Client, operation: str, service: str) -> str:
    asked = send(sudo, operation, service)
    assert (asked.status_code, asked.json()["code"]) == (428, "SUDO_REQUIRED")
    return str(asked.json()["challenge_id"])


def answer(sudo: Client, operation: str, service: str, challenge: str, code: str = CODE) -> int:
    headers = {"X-Sudo-OTP": code, "X-Sudo-Challenge": challenge}
    return send(sudo, operation, service, **headers).status_code


def test_a_code_unlocks_once_and_its_replay_does_not(sudo: Client) -> None:
    service = create(sudo, "locked")
    sudo.post(f"/services/{service}/lock", {})
    given = ask(sudo, "unlockService", service)
    assert answer(sudo, "unlockService", service, given) == 200
    assert sudo.post(f"/services/{service}/lock", {}).json()["locked"] is True
    assert answer(sudo, "unlockService", service, given) == 428
    assert sudo.get(f"/services/{service}").json()["locked"] is True


def test_a_code_destroys_once_and_its_replay_spares_the_next_of_the_name(sudo: Client) -> None:
    create(sudo, "again")
    given = ask(sudo, "deleteService", "again")
    assert answer(sudo, "deleteService", "again", given) == 200
    create(sudo, "again")
    assert answer(sudo, "deleteService", "again", given) == 428
    assert sudo.get("/services/again").status_code == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_codes_change_nothing_and_end_the_challenge(sudo: Client, operation: str) -> None:
    service = create(sudo, "guessed")
    given = ask(sudo, operation, service)
    assert [answer(sudo, operation, service, given, WRONG) for _ in range(TRIES)] == [428] * TRIES
    assert answer(sudo, operation, service, given) == 428
    assert sudo.get(f"/services/{service}").status_code == 200


def test_a_challenge_is_for_one_operation_on_one_service_of_one_account(
    sudo: Client, services: Maker
) -> None:
    one, other = create(sudo, "one"), create(sudo, "other")
    given = ask(sudo, "deleteService", one)
    assert answer(sudo, "deleteService", other, given) == 428
    assert answer(sudo, "unlockService", one, given) == 428
    assert answer(services.client, "deleteService", one, given) == 404
    assert {it["id"] for it in sudo.get("/services").json()["services"]} == {one, other}
    assert answer(sudo, "deleteService", one, given) == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_code_comes_too_late(sudo: Client, services: Maker, operation: str) -> None:
    service = create(sudo, "late")
    given = ask(sudo, operation, service)
    advance(services, LIFETIME)
    assert answer(sudo, operation, service, given) == 428
    assert sudo.get(f"/services/{service}").status_code == 200


def test_the_admin_surface_shows_what_waits_with_its_code_until_it_is_answered(
    sudo: Client, services: Maker, admin: Callable[[], list[Json]]
) -> None:
    service = create(sudo, "shown")
    older, newer = (ask(sudo, operation, service) for operation in OPERATIONS)
    unlocking, deleting = admin()
    assert (unlocking["id"], deleting["id"]) == (newer, older)
    assert answer(sudo, "deleteService", service, older, WRONG) == 428
    assert admin()[1] == {
        "id": older,
        "account": sudo.account.public_key,
        "operation": "deleteService",
        "resource": f"{service[:19]}...",
        "code": CODE,
        "tries_left": TRIES - 1,
        "expires_at": deleting["expires_at"],
    }
    clock = services.server.emulator.clock
    assert clock.isoformat() < deleting["expires_at"] <= clock.isoformat(clock.time() + LIFETIME)
    assert answer(sudo, "unlockService", service, newer) == 200
    assert [it["id"] for it in admin()] == [older]
    advance(services, LIFETIME)
    assert admin() == []
