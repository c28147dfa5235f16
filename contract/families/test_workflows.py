"""What is created is there, can be used as its links say, and is gone when it is deleted."""

import pytest

from contract.api import Api
from contract.campaign import Campaign
from contract.exchange import Response
from contract.generated.cases import Generator
from contract.generated.driven import every_sequence
from contract.generated.machine import sequences
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.resources import Resources, examples, follow
from contract.spec import Operation, Spec
from contract.validity import Judge

QUICK_SEQUENCES, QUICK_STEPS = 2, 8
FULL_STEPS = 20
NO_HANDSHAKE = 426
"""What a WebSocket's path answers to a plain request, whether the thing is there or not."""


def creates(spec: Spec, operation: Operation) -> bool:
    """Whether a success leads to something that can be read."""
    return bool(_leads_to(spec, operation, "GET"))


def creates_for_a_while(spec: Spec, operation: Operation) -> bool:
    """Whether a success leads to something that can be read, and deleted for good."""
    return creates(spec, operation) and any(
        target.tag != "Jobs" for target in _leads_to(spec, operation, "DELETE")
    )


def _leads_to(spec: Spec, operation: Operation, method: str) -> list[Operation]:
    """The operations of a method to which links lead, on nothing but what was created."""
    found = [
        spec.operations[spec.resolve(link)["operationId"]]
        for status in operation.statuses
        for link in operation.links(status).values()
    ]
    return [it for it in found if it.method == method and it.path.endswith("/{id}")]


@pytest.mark.each_operation(fits=creates)
def test_what_is_created_is_there(api: Api, campaign: Campaign, operation_id: str) -> None:
    """It can be read, and is in the list of its kind."""
    operation = campaign.spec.operations[operation_id]
    with Resources(api) as resources:
        response = resources.make(operation)
        try:
            for target in _leads_to(api.spec, operation, "GET"):
                path = _path(api.spec, operation, target, response)
                if path is not None:
                    api.call(target.id, path)
                    _is_listed(api, target, path["id"])
        finally:
            resources.release(operation, response)


def _is_listed(api: Api, target: Operation, identifier: str) -> None:
    collection = target.path.removesuffix("/{id}")
    listing = api.spec.match("GET", collection)
    if listing is None or listing.path_parameters:
        return
    listed = api.call(listing.id).text
    if f'"{identifier}"' not in listed:
        told = f"{listing.id} does not hold {identifier}, which was created: {listed[:500]}"
        raise ContractBroken("created is listed", told)


def _path(
    spec: Spec, operation: Operation, target: Operation, response: Response
) -> dict[str, str] | None:
    """The path parameters that an answer's link to an operation gives."""
    for reference in operation.links(response.status).values():
        link = spec.resolve(reference)
        if link["operationId"] == target.id:
            try:
                given = follow(dict(link["parameters"]), response.json)
            except KeyError:
                return None  # one of several kinds that it may have created, and not this one
            return {name: str(value) for name, value in given.items()}
    return None


@pytest.mark.each_operation(fits=creates_for_a_while)
def test_what_is_deleted_is_gone(api: Api, campaign: Campaign, operation_id: str) -> None:
    """Nothing that the links lead to works any more."""
    operation = campaign.spec.operations[operation_id]
    with Resources(api) as resources:
        response = resources.make(operation)
        deleted = False
        for target in _leads_to(api.spec, operation, "DELETE"):
            path = _path(api.spec, operation, target, response)
            if path is not None and target.tag != "Jobs":
                api.call(target.id, path)
                deleted = True
        if not deleted:
            raise NotRun(f"{operation_id} created nothing that can be deleted")
        everything = campaign.effort.slow and campaign.profile.probes
        _nothing_works(api, operation, response, everything=everything)


def _nothing_works(api: Api, operation: Operation, response: Response, *, everything: bool) -> None:
    for reference in operation.links(response.status).values():
        link = api.spec.resolve(reference)
        target = api.spec.operations[link["operationId"]]
        path = _path(api.spec, operation, target, response)
        if not path or not (everything or target.method == "GET") or 404 not in target.statuses:
            continue
        example = examples(target)[0]
        api.call(
            target.id,
            path,
            content=example.content,
            media_type=example.media_type,
            expect={404, NO_HANDSHAKE} & target.statuses,
            probe=True,
        )


def starts_a_job(spec: Spec, operation: Operation) -> bool:
    return any(target.tag == "Jobs" for target in _leads_to(spec, operation, "DELETE"))


@pytest.mark.each_operation(fits=starts_a_job)
@pytest.mark.operations("getJob", "cancelJob", "listJobs")
def test_what_was_cancelled_can_still_be_read(
    api: Api, campaign: Campaign, operation_id: str
) -> None:
    """Whether it came in time or not."""
    operation = campaign.spec.operations[operation_id]
    with Resources(api) as resources:
        response = resources.make(operation)
        for target in _leads_to(api.spec, operation, "DELETE"):
            path = _path(api.spec, operation, target, response)
            api.call(target.id, path, expect=(200, 409))
            for read in _leads_to(api.spec, operation, "GET"):
                api.call(read.id, path)
        api.call("listJobs")


def test_random_sequences_keep_the_contract(api: Api, campaign: Campaign) -> None:
    """Each request made of the answers before it, in an order that nobody thought of."""
    if not campaign.profile.probes:
        raise NotRun(f"the profile {campaign.profile.name} sends the contract's examples alone")
    slow = campaign.effort.slow
    every_sequence(
        sequences(api, Generator(campaign.spec), Judge(campaign.spec), _left_out(api)),
        campaign.effort.examples if slow else QUICK_SEQUENCES,
        FULL_STEPS if slow else QUICK_STEPS,
    )


def _left_out(api: Api) -> set[str]:
    """Operations that answer without an end, and those of a kind that the server lacks."""
    operations = list(api.spec.operations.values())
    lacking = {
        operation.tag
        for operation in operations
        if operation.may_be_unsupported
        and operation.method == "GET"
        and not operation.path_parameters
        and not operation.is_extension
        and not _streams(operation)
        and _is_lacking(api, operation)
    }
    return {
        operation.id
        for operation in operations
        if operation.tag in lacking or operation.is_extension or _streams(operation)
    }


def _streams(operation: Operation) -> bool:
    return any(media_type == "text/event-stream" for _, media_type in operation.pointers)


def _is_lacking(api: Api, operation: Operation) -> bool:
    try:
        api.call(operation.id, expect=operation.statuses)
    except Unsupported:
        return True
    return False
