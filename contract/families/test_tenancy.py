"""What belongs to one account does not exist for another."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from contract.api import Api, member
from contract.campaign import Campaign
from contract.exchange import Response
from contract.outcomes import ContractBroken, NotRun
from contract.owned import Things, opened
from contract.resources import examples
from contract.spec import Operation, Spec
from contract.target import MAIN
from contract.things import Thing, kind_of, parameters

OWNER, STRANGERS = "second", (MAIN, "third")
"""The owner is not the main account, whose lists other checks fill meanwhile."""


@pytest.fixture(scope="module")
def things(campaign: Campaign) -> Iterator[Things]:
    """The owner's, ended afterwards."""
    with opened(campaign.api.as_(OWNER)) as made:
        yield made


NAMES_SNAPSHOT = "restoreSession"
"""Its body names a snapshot beside the session: the owner's, so that nothing else is missing."""


def attempt(
    api: Api, operation: Operation, identifier: str, snapshot: str | None = None
) -> Response:
    """What a stranger gets for a thing: 404 and nothing else."""
    example = examples(operation)[0]
    if snapshot is not None:
        example = replace(example, value={"snapshot_id": snapshot})
    return api.call(
        operation.id,
        parameters(api.spec, operation, identifier),
        content=example.content,
        media_type=example.media_type,
        expect=404,
        probe=True,
    )


def never_was(identifier: str) -> str:
    """An identifier of the same form that names nothing."""
    last = max(at for at, letter in enumerate(identifier) if letter.isalnum())
    changed = "0" if identifier[last] != "0" else "1"
    return identifier[:last] + changed + identifier[last + 1 :]


def shape(response: Response) -> dict[str, Any]:
    """What an error tells but for its prose, in which the identifier may stand."""
    body = response.json
    return {name: body[name] if name in ("error", "code") else True for name in body}


@pytest.mark.each_operation(fits=lambda _spec, it: it.names_thing and it.needs_signature)
def test_what_another_account_owns_does_not_exist(
    api: Api, things: Things, operation_id: str
) -> None:
    """Not 403, which would tell that it is there; and nothing comes of the attempt."""
    operation = api.spec.operations[operation_id]
    thing = things.one(kind_of(api.spec, operation))
    snapshot = things.one("snapshot").id if operation_id == NAMES_SNAPSHOT else None
    before = thing.stable()
    for role in STRANGERS:
        stranger = api.as_(role)
        absent = attempt(stranger, operation, never_was(thing.id), snapshot)
        for name in names(thing):
            foreign = attempt(stranger, operation, name, snapshot)
            if shape(foreign) != shape(absent):
                told = f"{foreign.text} is not {absent.text}, as for what never was"
                raise ContractBroken("tenancy", f"{operation_id}: {told}")
    unchanged(thing, before)


def names(thing: Thing) -> set[str]:
    """What a path may call it: its id, and names that can be guessed."""
    guessed = ["container_name"] + (["name"] if thing.kind == "service" else [])
    return {thing.id, *(str(thing.document.get(it, thing.id)) for it in guessed)}


def unchanged(thing: Thing, before: dict[str, Any]) -> None:
    """The owner's thing is there, as it was; a job has not ended."""
    after = thing.read()
    differing = [name for name, value in before.items() if after.get(name) != value]
    if differing:
        raise ContractBroken("tenancy", f"a stranger changed {', '.join(differing)}: {after}")
    if thing.kind == "job" and after["status"] not in ("pending", "running"):
        raise ContractBroken("tenancy", f"a stranger ended the job: it is {after['status']}")


@pytest.mark.parametrize("operation_id", ["validateKey", "getKeySelf"])
def test_a_key_is_told_of_itself(api: Api, operation_id: str) -> None:
    for role in (OWNER, *STRANGERS):
        account = api.as_(role)
        told = account.call(operation_id).json.get("public_key")
        if told is None:
            raise NotRun(f"{operation_id} does not tell the key that it is about")
        assert told == account.credentials.public_key, f"{role} is told of {told}"


def is_list(_spec: Spec, operation: Operation) -> bool:
    """Whether it lists things of a kind that accounts own."""
    return (
        operation.method == "GET" and operation.tag in KIND_BY_TAG and not operation.path_parameters
    )


KIND_BY_TAG = {
    "Jobs": "job",
    "Sessions": "session",
    "Services": "service",
    "Snapshots": "snapshot",
    "Images": "image",
}

OF_OTHERS = {"listPublicImages", "listSharedImages"}
"""Lists that need not show what one owns."""


def questions(operation: Operation) -> Iterator[dict[str, str]]:
    """Every way to ask for a list: without parameters, and with each choice that one has."""
    yield {}
    for parameter in operation.parameters:
        for choice in parameter.get("schema", {}).get("enum", ()):
            yield {parameter["name"]: choice}


@pytest.mark.each_operation(fits=is_list)
def test_lists_show_what_one_may_see(api: Api, things: Things, operation_id: str) -> None:
    operation = api.spec.operations[operation_id]
    things.owner.call(operation_id)  # first, to be told when it is the list that is lacking
    thing = things.one(KIND_BY_TAG[operation.tag])
    own = things.owner.call(operation_id).text
    if operation_id not in OF_OTHERS:
        assert thing.id in own, f"{operation_id} does not show its owner {thing.id}"
    for role in STRANGERS:
        for query in questions(operation):
            listed = api.as_(role).call(operation_id, query=query).text
            if thing.id in listed:
                told = f"{operation_id} {query} shows {thing.id} to another account"
                raise ContractBroken("tenancy", told)


BY_BODY: dict[str, tuple[str, Callable[[str], dict[str, str]]]] = {
    "createSnapshot": ("session", lambda it: {"source_type": "session", "source_id": it}),
    "publishImage": ("snapshot", lambda it: {"source_type": "snapshot", "source_id": it}),
    "publishImageAlias": ("snapshot", lambda it: {"source_type": "snapshot", "source_id": it}),
}
"""Operations whose body names a thing: its kind, and the body."""


@pytest.mark.parametrize("operation_id", BY_BODY)
def test_a_body_reaches_nothing_of_another_account(
    api: Api, things: Things, operation_id: str
) -> None:
    kind, body = BY_BODY[operation_id]
    thing = things.one(kind)
    for role in STRANGERS:
        for identifier in (thing.id, never_was(thing.id)):
            api.as_(role).call(operation_id, json=body(identifier), expect=404, probe=True)


@pytest.mark.operations("grantImage", "getImage", "listSharedImages", "revokeImage")
def test_an_unlisted_image_is_shared_with_whom_it_is_granted_to(api: Api, things: Things) -> None:
    image = things.one("image")
    friend, other = (api.as_(role) for role in STRANGERS)
    key = {"api_key": friend.credentials.public_key}
    with shown(image, "unlisted"):
        sees_not(friend, image, "listSharedImages")
        image.api.call("grantImage", {"id": image.id}, json=key)
        sees(friend, image, "listSharedImages")
        sees_not(other, image, "listSharedImages")
        for operation_id in ("deleteImage", "lockImage", "setImageVisibility"):
            keeps_to_owner(friend, image, operation_id)
        image.api.call("revokeImage", {"id": image.id}, json=key)
        sees_not(friend, image, "listSharedImages")


@contextmanager
def shown(image: Thing, visibility: str) -> Iterator[None]:
    """Visible so, and private again after the block."""
    path = {"id": image.id}
    image.api.call("setImageVisibility", path, json={"visibility": visibility})
    try:
        yield
    finally:
        image.api.call("setImageVisibility", path, json={"visibility": "private"})


@pytest.mark.operations("setImageVisibility", "getImage", "listPublicImages")
def test_an_image_is_seen_by_all_while_it_is_public(api: Api, things: Things) -> None:
    image = things.one("image")
    strangers = [api.as_(role) for role in STRANGERS]
    with shown(image, "public"):
        for stranger in strangers:
            sees(stranger, image, "listPublicImages")
            keeps_to_owner(stranger, image, "deleteImage")
    for stranger in strangers:
        sees_not(stranger, image, "listPublicImages")


def sees(who: Api, image: Thing, listing: str) -> None:
    assert member(who.call("getImage", {"id": image.id}), "name") == image.read()["name"]
    assert image.id in who.call(listing).text, f"{listing} does not show a shared image"


def sees_not(who: Api, image: Thing, listing: str) -> None:
    who.call("getImage", {"id": image.id}, expect=404)
    assert image.id not in who.call(listing).text, f"{listing} shows a private image"


def keeps_to_owner(who: Api, image: Thing, operation_id: str) -> None:
    """Who may see an image may not change it: 403, or 404 as if it could not be seen."""
    example = examples(who.spec.operations[operation_id])[0]
    before = image.stable()
    path = {"id": image.id}
    who.call(operation_id, path, content=example.content, expect={403, 404}, probe=True)
    unchanged(image, before)


HOSTILE = {
    "the parent directory": "..",
    "a file": "../../../../etc/passwd",
    "another operation": "../keys/self",
    "NUL": "a\0b",
    "a header": "a\r\nX-Injected: 1",
    "encoded twice": "%2e%2e%2fkeys",
    "very long": "a" * 4000,
    "no UTF-8": os.fsdecode(b"\xff\xfe"),
    "other scripts": "\u043a\u043b\u044e\u0447\u2603\U0001f600",
    "SQL": "' OR '1'='1",
    "a pattern": "*",
    "a format": "%s%n{0}${7*7}",
    "a blank": " ",
}
"""Identifiers that mean something to careless servers."""

FEW = 3
"""So many of them on operations that only change things, in a quick run."""


@pytest.mark.each_operation(fits=lambda _spec, it: it.names_thing and it.needs_signature)
def test_a_hostile_identifier_names_nothing(
    api: Api, campaign: Campaign, operation_id: str
) -> None:
    operation = api.spec.operations[operation_id]
    example = examples(operation)[0]
    chosen = list(HOSTILE.values())
    if not campaign.effort.slow and operation.method != "GET":
        chosen = chosen[:FEW]
    for identifier in chosen:
        response = api.call(
            operation_id,
            {**parameters(api.spec, operation, identifier), "id": identifier},
            content=example.content,
            media_type=example.media_type,
            expect={400, 404},
            probe=True,
        )
        assert response.header("X-Injected") is None, "the identifier became a header"
