"""The stand-in answers as the contract says: its answers pass the suite's own checks."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from contract.api import Api
from contract.campaign import opened
from contract.mutants.table import MUTANTS
from contract.spec import SPEC, Operation, loaded
from contract.target import resolve
from tests.contract.standin import running
from tests.contract.standin.__main__ import lacked_by_the_emulator
from tests.contract.standin.server import HANDLERS

IDS = {"sessions": "session", "services": "service", "snapshots": "snapshot", "images": "image"}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running() as standin, opened(resolve(None, standin.url)) as campaign:
        yield campaign.api


def test_every_operation_of_the_four_kinds_succeeds_and_keeps_the_contract(api: Api) -> None:
    """With things of its own for each, so that their order is of no account."""
    for operation in api.spec.operations.values():
        kind = IDS.get(operation.path.split("/")[1])
        if kind and operation.id not in ("openSessionShell", "createService"):
            made = things(api)
            parameters = {"id": made[kind], "key": api.credentials.public_key}
            api.call(operation.id, parameters, json=body(operation, made))


def test_the_stand_in_has_what_the_mutants_that_it_is_asked_for_are_about() -> None:
    operations = loaded(SPEC).operations
    named = {name for it in lacked_by_the_emulator() for name in MUTANTS[it].operations}
    canonical = {operations[name].alias_of or name for name in named}
    assert canonical - {*HANDLERS, "openSessionShell", "streamPaasLogs"} == set()


def things(api: Api) -> dict[str, str]:
    """The ids of a session, a service, a snapshot of it, and an image of that."""
    service = {"name": f"a{secrets.token_hex(4)}", "bootstrap": "echo on"}
    made = {
        "session": api.call("createSession", json={"multiplexer": "tmux"}).json["id"],
        "service": api.call("createService", json=service).json["id"],
    }
    made["snapshot"] = api.call("snapshotSession", {"id": made["session"]}).json["id"]
    source = {"source_type": "snapshot", "source_id": made["snapshot"]}
    return made | {"image": api.call("publishImage", json=source).json["id"]}


def body(operation: Operation, made: Mapping[str, str]) -> dict[str, Any] | None:
    """The contract's example, with ids and names that are to be had."""
    content = operation.document.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    document = dict(operation.example())
    known = {"source_id": made.get(document.get("source_type", ""), ""), "name": made["image"]}
    own = {name: value for name, value in known.items() if name in document}
    document.pop("snapshot_id", None)
    if operation.id == "restoreSession":
        own["snapshot_id"] = made["snapshot"]
    return document | own


def test_an_account_that_must_confirm_is_let_through_by_its_code_alone(api: Api) -> None:
    sudo = api.as_("sudo")
    session = sudo.call("createSession").json["id"]
    challenge = sudo.call("deleteSession", {"id": session}, expect=428).json["challenge_id"]
    wrong = {"X-Sudo-Challenge": challenge, "X-Sudo-OTP": "000000"}
    challenge = sudo.call("deleteSession", {"id": session}, headers=wrong, expect=428).json[
        "challenge_id"
    ]
    right = {"X-Sudo-Challenge": challenge, "X-Sudo-OTP": str(api.wire.target.sudo_code)}
    sudo.call("deleteSession", {"id": session}, headers=right)
    sudo.call("getSession", {"id": session}, expect=404)
