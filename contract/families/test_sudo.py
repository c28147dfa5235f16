"""Some operations want a one-time code: a 428 with a challenge, which the code answers once."""

from collections.abc import Iterator
from typing import Any

import pytest

from contract.api import Api, member
from contract.campaign import Campaign
from contract.exchange import Response
from contract.outcomes import ContractBroken, NotRun
from contract.owned import Things, opened
from contract.spec import Operation, Spec
from contract.things import KINDS, Thing, kind_of

CODE, CHALLENGE = "X-Sudo-OTP", "X-Sudo-Challenge"
WRONG_CODE = "000000"
REFUSED = {400, 401, 403, 428}
WANTED = 428
UNLOCK = "unlock"


@pytest.fixture(scope="module")
def things(campaign: Campaign) -> Iterator[Things]:
    """Those of an account whose destructive operations want a code, ended with it."""
    owner, code = campaign.api.as_("sudo"), campaign.target.sudo_code
    with opened(owner, lambda thing: end(thing, code)) as made:
        yield made


def end(thing: Thing, code: str | None) -> None:
    """Unlock a thing and end it, as far as a code is known."""
    operations = thing.api.spec.operations
    for name in thing.endings:
        if operations[name].traits.sudo and code is not None:
            asked = ask(thing, name, expect={200, 404, WANTED})
            if asked.status == WANTED:
                ask(thing, name, code, challenge_of(asked), expect=200)


@pytest.fixture
def code(campaign: Campaign) -> str:
    """The code that answers every challenge; a real service sends one to a human."""
    if campaign.target.sudo_code is None:
        raise NotRun("the target gives no sudo_code: a person would have to read it")
    return campaign.target.sudo_code


def needs_code(_spec: Spec, operation: Operation) -> bool:
    return operation.traits.sudo


def unlocks(_spec: Spec, operation: Operation) -> bool:
    return operation.traits.sudo and operation.id.startswith(UNLOCK)


def subject(things: Things, operation_id: str, label: str = "") -> Thing:
    """A thing that the operation is possible on: a locked one for those that unlock."""
    spec = things.owner.spec
    kind = kind_of(spec, spec.operations[operation_id])
    if not operation_id.startswith(UNLOCK):
        return things.one(kind, label)
    thing = things.one(kind, f"locked {label}")
    lock(thing, operation_id)
    return thing


def lock(thing: Thing, unlock: str) -> None:
    thing.api.call(unlock.replace(UNLOCK, "lock"), {"id": thing.id})


def ask(
    thing: Thing,
    operation_id: str,
    code: str | None = None,
    challenge: str | None = None,
    *,
    expect: Any = WANTED,  # noqa: ANN401 - as Api.call takes it
) -> Response:
    """Call an operation on a thing, with a code and a challenge where they are given."""
    given = {CODE: code, CHALLENGE: challenge}
    headers = {name: value for name, value in given.items() if value is not None}
    path = {"id": thing.id}
    return thing.api.call(operation_id, path, headers=headers, expect=expect)


def challenge_of(response: Response) -> str:
    return str(member(response, "challenge_id"))


def refused(thing: Thing, operation_id: str, code: str, challenge: str) -> None:
    """A code and a challenge that do not go together change nothing."""
    before = thing.stable()
    ask(thing, operation_id, code, challenge, expect=REFUSED)
    unchanged(thing, before)


def unchanged(thing: Thing, before: dict[str, Any]) -> None:
    after = thing.stable()
    if after != before:
        raise ContractBroken("sudo", f"{after} is not {before}, as before what was not confirmed")


@pytest.mark.each_operation(fits=needs_code)
def test_a_code_is_asked_for_before_anything_happens(
    api: Api, things: Things, operation_id: str
) -> None:
    del api  # clears the trail
    thing = subject(things, operation_id)
    before = thing.stable()
    challenge = challenge_of(ask(thing, operation_id))
    assert challenge != challenge_of(ask(thing, operation_id)), "one challenge for two requests"
    unchanged(thing, before)


@pytest.mark.each_operation(fits=needs_code)
def test_a_wrong_code_is_refused(api: Api, things: Things, code: str, operation_id: str) -> None:
    del api
    thing = subject(things, operation_id)
    challenge = challenge_of(ask(thing, operation_id))
    for wrong in (WRONG_CODE, code[:-1], f"{code}0"):
        refused(thing, operation_id, wrong, challenge)


@pytest.mark.each_operation(fits=needs_code)
def test_a_challenge_of_nobody_is_refused(
    api: Api, things: Things, code: str, operation_id: str
) -> None:
    del api
    refused(subject(things, operation_id), operation_id, code, "chal_of_nobody")


@pytest.mark.each_operation(fits=needs_code)
def test_a_challenge_is_for_one_thing(
    api: Api, things: Things, code: str, operation_id: str
) -> None:
    del api
    challenge = challenge_of(ask(subject(things, operation_id, "other"), operation_id))
    refused(subject(things, operation_id), operation_id, code, challenge)


@pytest.mark.each_operation(fits=unlocks)
def test_a_challenge_is_for_one_operation(
    api: Api, things: Things, code: str, operation_id: str
) -> None:
    """What would have unlocked a thing does not delete it."""
    del api
    thing = subject(things, operation_id)
    of_unlock = challenge_of(ask(thing, operation_id))
    confirmed(thing, operation_id, code)
    refused(thing, KINDS[thing.kind].end, code, of_unlock)


def confirmed(thing: Thing, operation_id: str, code: str) -> str:
    """Do it as it is meant to be done; the challenge that is used up by that."""
    challenge = challenge_of(ask(thing, operation_id))
    ask(thing, operation_id, code, challenge, expect=200)
    return challenge


@pytest.mark.each_operation(fits=unlocks)
def test_a_challenge_is_good_once(api: Api, things: Things, code: str, operation_id: str) -> None:
    del api
    thing = subject(things, operation_id)
    used = confirmed(thing, operation_id, code)
    assert thing.read().get("locked") is False, "a thing that was unlocked is locked"
    lock(thing, operation_id)
    refused(thing, operation_id, code, used)


@pytest.mark.each_operation(fits=lambda spec, it: needs_code(spec, it) and not unlocks(spec, it))
def test_the_right_code_lets_it_happen(
    api: Api, things: Things, code: str, operation_id: str
) -> None:
    del api
    kind = kind_of(things.owner.spec, things.owner.spec.operations[operation_id])
    thing = things.fresh(kind)
    confirmed(thing, operation_id, code)
    thing.do("get", expect=404)
