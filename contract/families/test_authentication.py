"""Who may in: a request signed as documented, within its time, and nothing else."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from contract.api import Api, member
from contract.campaign import Campaign
from contract.exchange import Headers, Request, Response
from contract.missigned import (
    AMBIGUITIES,
    BODY,
    JSON,
    LENIENCIES,
    MISTAKES,
    QUERY,
    VARIANTS,
    Leniency,
    Mistake,
    Signing,
)
from contract.outcomes import ContractBroken
from contract.resources import examples
from contract.signing import SIGNATURE, TIME, WINDOW_SECONDS, Credentials, signature
from contract.spec import Operation

UNKNOWN_ID = "6f1ed002-ab59-4e43-9a2f-0d6c7a1b2c3d"
"""Names nothing, on any server."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A request to make mistakes with; `let_in` is what it is answered once it is authenticated."""

    operation_id: str
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str | int] = field(default_factory=dict)
    body: bytes = b""
    media_type: str = "application/json"
    let_in: int = 200

    def __str__(self) -> str:
        return self.operation_id + (" with a query" if self.query else "")

    @property
    def has(self) -> set[str]:
        """What a mistake may need."""
        is_json = self.body and self.media_type.endswith("json")
        found = {QUERY: self.query, BODY: self.body, JSON: is_json, "": True}
        return {name for name, it in found.items() if it}


SUBJECTS = (
    Subject("listJobs"),
    Subject("listJobs", query={"limit": 5}),
    Subject("getJob", path={"id": UNKNOWN_ID}, let_in=404),
    Subject("cancelJob", path={"id": UNKNOWN_ID}, let_in=404),
    Subject("execute", body='{"language": "bash", "code": "echo h\u00e9", "ttl": 5}'.encode()),
    Subject("run", query={"ttl": 5}, body=b"#!/bin/bash\necho hi\n", media_type="text/plain"),
)
"""GET without and with a query, with an identifier, DELETE, POST of JSON and of text."""


def each(mistakes: Sequence[Mistake]) -> list[Any]:
    """Every subject with every mistake that can happen to it."""
    return [
        pytest.param(subject.operation_id, subject, mistake, id=f"{subject}-{mistake.name}")
        for subject in SUBJECTS
        for mistake in mistakes
        if mistake.needs in subject.has
    ]


def correct(api: Api, subject: Subject) -> Signing:
    """What a client that makes no mistake signs."""
    operation = api.spec.operations[subject.operation_id]
    target = api.signed(operation, subject.path, query=subject.query).target
    at = str(int(api.wire.now()))
    return Signing(api.credentials, at, operation.method, target, subject.body, subject.body)


def asked(api: Api, subject: Subject, right: Signing, mistake: Mistake, *, probe: bool) -> Request:
    """The request of a client that makes a mistake."""
    body = mistake.body(right)
    kind: Headers = (("Content-Type", subject.media_type),) if body else ()
    operation = api.spec.operations[subject.operation_id]
    headers = (*kind, *mistake.headers(right))
    return Request(right.method, right.target, headers, body, operation, api.role, probe)


def refuse(api: Api, subject: Subject, mistake: Mistake) -> Response:
    """Make a mistake; the answer is 401 and helps nobody to forge a request."""
    right = correct(api, subject)
    made = asked(api, subject, right, mistake, probe=True)
    response = api.send(made, expect=401)
    at, secret = made.header(TIME) or right.at, right.credentials.secret_key
    expected = {signature(secret, at, right.method, right.target, made.body), right.signature}
    sent = made.header(SIGNATURE) or ""
    told = response.text + str(response.headers)
    for hidden in (secret, *(it for it in expected if it not in sent)):
        if hidden in told:
            raise ContractBroken("secrecy", "a refusal tells the secret, or the right signature")
    return response


@pytest.mark.parametrize(("operation_id", "subject", "variant"), each(VARIANTS))
def test_what_is_signed_as_documented_is_accepted(
    api: Api, operation_id: str, subject: Subject, variant: Mistake
) -> None:
    assert operation_id == subject.operation_id
    right = correct(api, subject)
    api.send(asked(api, subject, right, variant, probe=False), expect=subject.let_in)


@pytest.mark.each_operation(fits=lambda _spec, it: not it.signed)
def test_what_is_public_asks_for_no_key(api: Api, operation_id: str) -> None:
    """And ignores one: some clients send it without a signature, others sign what is public."""
    subject = Subject(operation_id)
    api.call(operation_id)
    api.call(operation_id, headers={"Authorization": "Bearer none"})
    for name in ("nothing wrong", "a secret that is wrong", "time too old"):
        mistake = next(it for it in (*VARIANTS, *MISTAKES) if it.name == name)
        api.send(asked(api, subject, correct(api, subject), mistake, probe=False), expect=200)


@pytest.mark.parametrize(
    ("operation_id", "subject"), [pytest.param(it.operation_id, it, id=str(it)) for it in SUBJECTS]
)
@pytest.mark.parametrize(("role", "status"), [("suspended", 403), ("expired", 401)])
def test_a_key_that_ended_is_told_so_and_lets_nobody_in(
    api: Api, operation_id: str, subject: Subject, role: str, status: int
) -> None:
    ended = api.as_(role)
    right = correct(ended, subject)
    response = ended.send(asked(ended, subject, right, VARIANTS[0], probe=True), expect=status)
    reason = response.json.get("reason", role)
    assert reason == role, f"{operation_id}: the reason is {reason}"


@pytest.mark.operations("listJobs")
@pytest.mark.parametrize("role", ["suspended", "expired"])
def test_who_forges_learns_nothing_of_a_key(api: Api, role: str) -> None:
    wrong = next(it for it in MISTAKES if it.name == "a secret that is wrong")
    response = refuse(api.as_(role), SUBJECTS[0], wrong)
    assert member(response, "code") == wrong.code


@pytest.mark.parametrize(
    ("operation_id", "subject"), [pytest.param(it.operation_id, it, id=str(it)) for it in SUBJECTS]
)
@pytest.mark.parametrize("mine", ["secret", "key"])
def test_one_account_does_not_sign_for_another(
    api: Api, operation_id: str, subject: Subject, mine: str
) -> None:
    assert operation_id == subject.operation_id
    me, other = api.credentials, api.as_("second").credentials
    pair = (other, me) if mine == "secret" else (me, other)
    mixed = Credentials(pair[0].public_key, pair[1].secret_key)
    right = replace(correct(api, subject), credentials=mixed)
    api.send(asked(api, subject, right, VARIANTS[0], probe=True), expect=401)


@pytest.mark.parametrize(
    ("operation_id", "subject"),
    [pytest.param(it.operation_id, it, id=str(it)) for it in SUBJECTS if it.let_in == 200],
)
def test_a_repeat_inside_the_window_is_accepted(
    api: Api, operation_id: str, subject: Subject
) -> None:
    """Two polls in one second have the same signature."""
    assert operation_id == subject.operation_id
    made = asked(api, subject, correct(api, subject), VARIANTS[0], probe=False)
    for _ in range(2):
        api.send(made, expect=200)


@pytest.mark.parametrize(
    ("operation_id", "leniency"),
    [pytest.param(it.operation_id, it, id=f"{it.operation_id}-{it.name}") for it in LENIENCIES],
)
def test_another_body_than_the_signed_one_is_refused_by_a_strict_server(
    api: Api, campaign: Campaign, operation_id: str, leniency: Leniency
) -> None:
    subject = next(
        (it for it in SUBJECTS if it.operation_id == operation_id), Subject(operation_id)
    )
    right = replace(correct(api, subject), body=leniency.signed, sent=leniency.sent)
    made = asked(api, subject, right, Mistake(leniency.name), probe=True)
    api.send(made, expect={401} if campaign.strict else {401, subject.let_in})


@pytest.mark.parametrize(("operation_id", "subject", "mistake"), each(AMBIGUITIES))
def test_a_header_that_stands_twice_is_refused_by_a_strict_server(
    api: Api, campaign: Campaign, operation_id: str, subject: Subject, mistake: Mistake
) -> None:
    assert operation_id == subject.operation_id
    made = asked(api, subject, correct(api, subject), mistake, probe=True)
    api.send(made, expect={401} if campaign.strict else {400, 401, subject.let_in})


@pytest.mark.parametrize(("operation_id", "subject", "mistake"), each(MISTAKES))
def test_a_mistake_in_signing_is_refused(
    api: Api, operation_id: str, subject: Subject, mistake: Mistake
) -> None:
    response = refuse(api, subject, mistake)
    if mistake.code is not None:
        assert member(response, "code") == mistake.code, f"{operation_id}: {mistake.name}"


WITHOUT_EFFECT = ("no header at all", "a secret that is wrong", "time too old", "body not signed")


@pytest.mark.operations("execute", "executeAsync", "run", "runAsync", "listJobs")
def test_a_refused_execution_did_not_happen(api: Api) -> None:
    """Tried again when a job came: others may use the account, though not each time."""
    third = api.as_("third")
    for _ in range(3):
        before = job_ids(third)
        for subject in executions():
            for name in WITHOUT_EFFECT:
                refuse(third, subject, next(it for it in MISTAKES if it.name == name))
        came = job_ids(third) - before
        if not came:
            return
    raise ContractBroken("effect", f"{len(came)} jobs came of executions that were answered 401")


def executions() -> list[Subject]:
    """One for each way to run a program."""
    programs = [it for it in SUBJECTS if it.operation_id in ("execute", "run")]
    later = {"execute": "executeAsync", "run": "runAsync"}
    return programs + [replace(it, operation_id=later[it.operation_id]) for it in programs]


def job_ids(api: Api) -> set[str]:
    jobs = api.call("listJobs", query={"format": "object"}).json["jobs"]
    return {job["job_id"] for job in jobs}


@pytest.mark.operations("cancelJob")
def test_a_refused_cancellation_ends_nothing(api: Api) -> None:
    third = api.as_("third")
    program = {"language": "bash", "code": "sleep 60", "ttl": 60}
    job = member(third.call("executeAsync", json=program), "job_id")
    try:
        for name in WITHOUT_EFFECT[:-1]:
            mistake = next(it for it in MISTAKES if it.name == name)
            refuse(third, Subject("cancelJob", path={"id": job}), mistake)
        status = member(third.call("getJob", {"id": job}), "status")
        assert status in ("pending", "running"), f"the job is {status}"
    finally:
        third.call("cancelJob", {"id": job}, expect={200, 409})


@pytest.mark.each_operation(fits=lambda _spec, it: it.needs_signature)
def test_nobody_is_let_in_without_a_key(campaign: Campaign, api: Api, operation_id: str) -> None:
    """Unsupported operations too: 401 comes before 501, or the surface is told to anybody."""
    operation = campaign.spec.operations[operation_id]
    subject = any_request(operation)
    for name in ("no header at all", "a key that nobody has", "a secret that is wrong"):
        refuse(api, subject, next(it for it in MISTAKES if it.name == name))


def any_request(operation: Operation) -> Subject:
    """A request that the operation would take, for a thing that is not there."""
    path = dict.fromkeys(operation.path_parameters, UNKNOWN_ID)
    example = examples(operation)[0]
    return Subject(operation.id, path, body=example.content or b"", media_type=example.media_type)


@pytest.mark.operations("listJobs")
@pytest.mark.slow_check
def test_a_repeat_is_refused_when_its_time_is_over(api: Api) -> None:
    """A server that remembers a signature as good has to look at the time again."""
    subject = SUBJECTS[0]
    at = int(api.wire.now()) - WINDOW_SECONDS + 5
    right = replace(correct(api, subject), at=str(at))
    made = asked(api, subject, right, VARIANTS[0], probe=False)
    api.send(made, expect=200)
    while api.wire.now() < at + WINDOW_SECONDS + 5:
        time.sleep(0.5)
    api.send(replace(made, probe=True), expect=401)
