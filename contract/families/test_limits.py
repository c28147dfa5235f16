"""What one may do at once, in a minute and in one request, and what answers tell of it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from contract.api import Api, encoded, member
from contract.campaign import Campaign
from contract.exchange import Request, Response
from contract.outcomes import NotRun
from contract.resources import examples
from contract.spec import Operation, Spec
from contract.things import new, new_name, runs

UNKNOWN_ID = "6f1ed002-ab59-4e43-9a2f-0d6c7a1b2c3d"
LIMIT, REMAINING, RESET = (f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset"))
REQUEST_ID, RETRY_AFTER = "X-Request-Id", "Retry-After"

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a request body."""

MOST_REQUESTS = 60
"""The account `rate` is of no use when it takes more than these to reach its limit."""

MOST_SECONDS = 60
"""How long the account `rate` is waited for, at most."""

CLOCK_SECONDS = 30
"""How far clocks may be apart where a time is compared."""

SLOT_SECONDS = 20
"""How long to wait for the account `slot` to have its slot free, or taken."""


def allowance(response: Response) -> tuple[int, int, int]:
    """Limit, remaining and reset, which every answer to an authenticated request tells."""
    values = [response.header(name) for name in (LIMIT, REMAINING, RESET)]
    missing = [name for name, it in zip((LIMIT, REMAINING, RESET), values, strict=True) if not it]
    assert not missing, f"{response.status} came without {', '.join(missing)}"
    limit, remaining, reset = (int(value or 0) for value in values)
    return limit, remaining, reset


def answers(api: Api) -> Iterator[Response]:
    """One of each sort that an authenticated request may get."""
    yield api.call("listJobs")
    yield api.call("validateKey", json={})
    yield api.call("getJob", {"id": UNKNOWN_ID}, expect=404)
    yield api.call("execute", json={"language": "bash"}, expect=400, probe=True)
    yield api.call("execute", json={"language": "bash", "code": "exit 3"})


@pytest.mark.operations("listJobs", "validateKey", "getJob", "execute")
def test_answers_tell_what_is_left_of_the_rate(api: Api) -> None:
    limits = set()
    for response in answers(api):
        limit, remaining, reset = allowance(response)
        limits.add(limit)
        assert 0 <= remaining <= limit, f"{remaining} of {limit} requests are left"
        ahead = reset - api.wire.now()
        assert ahead > -CLOCK_SECONDS, f"the limit was whole again {-ahead:.0f} s ago"
        assert ahead < 3600 + CLOCK_SECONDS, f"the limit is whole again in {ahead:.0f} s"
    assert len(limits) == 1, f"the limit of one key changed between requests: {sorted(limits)}"


@pytest.mark.parametrize(
    ("operation_id", "name"), [("validateKey", "rate_per_minute"), ("getKeySelf", "rate_limit")]
)
def test_the_limit_told_is_that_of_the_key(api: Api, operation_id: str, name: str) -> None:
    response = api.call(operation_id)
    assert member(response, name) == allowance(response)[0]


@pytest.fixture(scope="module")
def exhausted(campaign: Campaign) -> list[Response]:
    """Answers to the account `rate`, from wherever it stood to one that was refused."""
    rate = campaign.api.as_("rate")
    found = [rate.call("listJobs", expect={200, 429})]
    allowed = min(allowance(found[0])[0], MOST_REQUESTS)
    while found[-1].status == 200 and len(found) <= allowed + 1:
        found.append(rate.call("listJobs", expect={200, 429}))
    return found


@pytest.mark.operations("listJobs")
def test_one_request_too_many_is_refused_for_a_while(exhausted: list[Response]) -> None:
    """It holds too when the account was used up before: then the first one is refused."""
    refused = exhausted[-1]
    assert refused.status == 429, f"{len(exhausted)} requests, and none was refused"
    assert member(refused, "error") == "rate_limit_exceeded"
    wait = refused.header(RETRY_AFTER)
    assert wait is not None, "429 came without Retry-After"
    assert 1 <= int(wait) <= 3600, f"Retry-After is {wait}"
    assert allowance(refused)[1] == 0, "429, and requests are left"


@pytest.mark.operations("listJobs")
def test_each_request_leaves_one_less(exhausted: list[Response]) -> None:
    let_in = [allowance(response) for response in exhausted if response.status == 200]
    if len(let_in) < 2:
        raise NotRun("the account `rate` was used up before; wait a minute, and run again")
    left = [remaining for _, remaining, _ in let_in]
    assert left == sorted(left, reverse=True), f"what is left rises: {left}"
    assert left[0] < let_in[0][0], "the first request was not counted"
    # What comes back meanwhile comes more slowly than it is used up.
    assert left[0] - left[-1] >= (len(left) - 1) / 2, f"requests were not counted: {left}"
    assert len({limit for limit, _, _ in let_in}) == 1, "the limit changes"


@pytest.mark.slow_check
@pytest.mark.operations("listJobs")
def test_who_waits_as_long_as_told_is_let_in(api: Api) -> None:
    rate = api.as_("rate")
    for _ in range(MOST_REQUESTS):
        answer = rate.call("listJobs", expect={200, 429})
        if answer.status == 429:
            break
    else:
        raise NotRun(f"the account `rate` has a limit of more than {MOST_REQUESTS} requests")
    told = int(answer.header(RETRY_AFTER) or 0)
    if told > MOST_SECONDS:
        raise NotRun(f"the account `rate` would have to wait for {told} s")
    time.sleep(told)
    rate.call("listJobs", expect=200)


@pytest.mark.operations("listJobs")
def test_the_rate_is_counted_for_each_key(api: Api, exhausted: list[Response]) -> None:
    """Another key from the same address is let in while one is refused."""
    assert exhausted[-1].status == 429
    for role in ("main", "second"):
        api.as_(role).call("listJobs", expect=200)


@pytest.mark.operations("listLanguages")
def test_what_is_public_is_not_counted_for_a_key(api: Api, exhausted: list[Response]) -> None:
    assert exhausted[-1].status == 429
    assert api.as_("rate").call("listLanguages").status == 200


@contextmanager
def taken(slot: Api) -> Iterator[str]:
    """The account's only slot, held by a job that runs; its identifier."""
    program = {"language": "bash", "code": "sleep 60", "ttl": 60}
    job = str(member(slot.call("executeAsync", json=program), "job_id"))
    try:
        deadline = time.monotonic() + SLOT_SECONDS
        while member(slot.call("getJob", {"id": job}), "status") != "running":
            if time.monotonic() > deadline:
                raise NotRun("the account `slot` is busy with something else")
            time.sleep(0.05)
        yield job
    finally:
        slot.call("cancelJob", {"id": job}, expect={200, 409})


@pytest.mark.operations("execute", "run", "executeAsync", "runAsync")
def test_one_slot_runs_one_program(api: Api) -> None:
    """A second one that is waited for is refused at once; one that is not waits as pending."""
    slot = api.as_("slot")
    program = {"language": "bash", "code": "echo hi"}
    with taken(slot) as running:
        for operation_id in ("execute", "run"):
            busy(slot, operation_id, program)
        waiting = str(member(slot.call("executeAsync", json=program), "job_id"))
        assert member(slot.call("getJob", {"id": waiting}), "status") == "pending"
        slot.call("cancelJob", {"id": running})
        done = slot.call("waitJob", {"id": waiting})
        assert member(done, "stdout") == "hi\n", "the job that waited did not run when it could"
    assert member(slot.call("execute", json=program), "stdout") == "hi\n"


def busy(slot: Api, operation_id: str, program: Mapping[str, str]) -> None:
    """A program that has no slot: 429, with what the vendor's own client reads."""
    if operation_id == "run":
        script = f"#!/bin/bash\n{program['code']}\n".encode()
        response = slot.call("run", content=script, media_type="text/plain", expect=429)
    else:
        response = slot.call(operation_id, json=program, expect=429)
    assert member(response, "error") == "concurrency_limit_reached"
    assert member(response, "concurrency_limit") == 1
    assert member(response, "active_executions") == 1


@pytest.mark.operations("execute")
def test_slots_are_counted_for_each_key(api: Api) -> None:
    with taken(api.as_("slot")):
        program = {"language": "bash", "code": "echo hi"}
        assert member(api.call("execute", json=program), "stdout") == "hi\n"


@pytest.mark.operations("createSession", "boostSession", "execute")
def test_a_session_takes_a_slot_while_it_runs(api: Api) -> None:
    slot = api.as_("slot")
    program = {"language": "bash", "code": "echo hi"}
    with new(slot, "session") as session:
        for operation_id in ("execute", "run"):
            busy(slot, operation_id, program)
        refused = slot.call("createSession", json={}, expect=429)
        assert member(refused, "error") == "concurrency_limit_reached"
        session.do("boost", json={"vcpu": 2}, expect=429)
        session.do("delete")
        assert member(slot.call("execute", json=program), "stdout") == "hi\n"


@pytest.mark.operations("createSession", "freezeSession", "unfreezeSession")
def test_a_frozen_session_takes_no_slot(api: Api) -> None:
    slot = api.as_("slot")
    with new(slot, "session") as one:
        one.do("freeze")
        with new(slot, "session"):
            one.do("unfreeze", expect=429)
            assert one.read()["status"] == "frozen"
        one.do("unfreeze")
        assert one.read()["status"] == "running"


@pytest.mark.operations("createService", "createSession", "execute")
def test_a_service_takes_a_slot_while_it_runs(api: Api) -> None:
    """One of those that programs and sessions take."""
    slot = api.as_("slot")
    program = {"language": "bash", "code": "echo hi"}
    with new(slot, "service") as service:
        busy(slot, "execute", program)
        for operation_id, body in (("createSession", {}), ("createService", {"name": new_name()})):
            refused = slot.call(operation_id, json=body, expect=429)
            assert member(refused, "error") == "concurrency_limit_reached"
        service.do("delete")
        assert member(slot.call("execute", json=program), "stdout") == "hi\n"


@pytest.mark.operations("createService", "freezeService", "unfreezeService", "wakeService")
def test_a_frozen_service_takes_no_slot(api: Api) -> None:
    slot = api.as_("slot")
    with new(slot, "service") as one:
        one.do("freeze")
        with new(slot, "session"):
            for verb in ("unfreeze", "wake"):
                one.do(verb, expect=429)
                assert one.read()["status"] == "frozen"
        one.do("unfreeze")
        assert runs(one)["status"] == "running"


@pytest.mark.parametrize("operation_id", ["validateKey", "execute"])
def test_a_body_over_the_limit_is_refused(api: Api, operation_id: str) -> None:
    api.call(operation_id, content=padded({}, MAX_BODY + 1), expect=413, probe=True)


@pytest.mark.parametrize("operation_id", ["validateKey", "execute"])
def test_a_body_of_the_limit_is_taken(api: Api, operation_id: str) -> None:
    value = {"language": "bash", "code": "echo hi"} if operation_id == "execute" else {}
    api.call(operation_id, content=padded(value, MAX_BODY))


def padded(value: object, size: int) -> bytes:
    """JSON with blanks after it, of so many bytes."""
    return encoded(value).ljust(size)


@pytest.mark.parametrize(
    ("operation_id", "name"),
    [
        ("execute", "ttl"),
        ("execute", "vcpu"),
        ("executeAsync", "ttl"),
        ("executeAsync", "vcpu"),
        ("createSession", "ttl"),
        ("createSession", "vcpu"),
        ("createService", "vcpu"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused(api: Api, operation_id: str, name: str) -> None:
    """The bounds are those of the contract's schema."""
    operation = api.spec.operations[operation_id]
    bounds = schema_of(api.spec, operation, name)
    for wrong in (bounds["minimum"] - 1, bounds["maximum"] + 1, bounds["maximum"] * 1000):
        body = {**operation.example(), name: wrong}
        api.call(operation_id, json=body, expect=400, probe=True)


def schema_of(spec: Spec, operation: Operation, name: str) -> Mapping[str, Any]:
    """The schema of a member of the JSON body."""
    body = operation.document["requestBody"]["content"]["application/json"]["schema"]
    return spec.resolve(spec.resolve(body)["properties"][name])


@pytest.mark.operations("run")
def test_a_time_limit_in_the_query_has_the_same_bounds(api: Api) -> None:
    bounds = schema_of(api.spec, api.spec.operations["execute"], "ttl")
    script = b"#!/bin/bash\necho hi\n"
    for ttl in (bounds["minimum"] - 1, bounds["maximum"] + 1):
        query = {"ttl": ttl}
        api.call(
            "run", query=query, content=script, media_type="text/plain", expect=400, probe=True
        )


@pytest.mark.each_operation(fits=lambda _spec, it: it.signed and it.traits.tier != "free")
def test_the_free_tier_is_refused_what_it_lacks(api: Api, operation_id: str) -> None:
    """403; where the path names a thing, 404 is as good: the free tier can have none."""
    operation = api.spec.operations[operation_id]
    example = examples(operation)[0]
    api.as_("free").call(
        operation_id,
        dict.fromkeys(operation.path_parameters, UNKNOWN_ID),
        content=example.content,
        media_type=example.media_type,
        expect={403, 404} if operation.path_parameters else 403,
        probe=True,
    )


@pytest.mark.operations("execute")
def test_the_free_tier_runs_programs(api: Api) -> None:
    program = {"language": "bash", "code": "echo hi"}
    assert member(api.as_("free").call("execute", json=program), "stdout") == "hi\n"


@pytest.mark.parametrize("operation_id", ["execute", "executeAsync"])
def test_the_free_tier_has_no_network(api: Api, operation_id: str) -> None:
    program = {"language": "bash", "code": "echo hi", "network_mode": "semitrusted"}
    api.as_("free").call(operation_id, json=program, expect=403, probe=True)


NOWHERE = (
    Request("GET", "/nowhere"),
    Request("DELETE", "/languages"),
    Request("GET", "/"),
)
"""Requests for no operation: an unknown path, and a wrong method."""


@pytest.mark.operations("getHealth", "listJobs", "getJob", "execute", "validateKey")
def test_every_answer_has_a_name_of_its_own(api: Api) -> None:
    """Public, authenticated, refused and misdirected ones."""
    found = [api.call("getHealth"), *answers(api)]
    unsigned = Request("GET", "/jobs", operation=api.spec.operations["listJobs"], probe=True)
    found += [api.send(unsigned, expect=401) for _ in range(2)]
    found += [api.send(request, expect={404, 405}) for request in NOWHERE]
    names = [response.header(REQUEST_ID) for response in found]
    assert all(names), f"answers without {REQUEST_ID}: {names.count(None)}"
    assert len(set(names)) == len(names), f"{REQUEST_ID} comes twice"
