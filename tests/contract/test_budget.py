"""What a run may send, use up and create ends; what is left over is not run, and never passed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.api import Api
from contract.campaign import opened
from contract.exchange import Request
from contract.outcomes import ContractBroken, Limited, OutOfBudget
from contract.profiles import PROFILES, Limits
from contract.reins import Reins
from contract.replay import Replay
from contract.spec import Spec
from contract.target import Target, resolve
from contract.usage import USAGE, vcpu_minutes
from tests.contract.hanging import hanging
from tests.contract.standin import running

SPEC = Spec()


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running() as standin:
        yield resolve(None, standin.url)


Act = Callable[[Api], object]


def execute(api: Api) -> None:
    api.call("execute", json={"language": "bash", "code": "echo", "ttl": 30, "vcpu": 2})


def lists(api: Api) -> None:
    api.call("listSessions")


def session(api: Api) -> None:
    made = api.call("createSession", json={}).json["id"]
    api.call("deleteSession", {"id": made})


def refused(api: Api) -> None:
    api.call("createSession", json={"vcpu": 0}, expect=400)


@pytest.mark.parametrize(
    ("limits", "act", "times"),
    [
        (Limits(requests=3), lists, 3),
        (Limits(spend=2.5), execute, 2),
        (Limits(creates=2), session, 2),
        (Limits(creates=0), session, 0),
    ],
)
def test_a_run_goes_as_far_as_its_budget(
    target: Target, limits: Limits, act: Act, times: int
) -> None:
    with opened(target, reins=Reins(limits=limits)) as campaign:
        for _ in range(times):
            act(campaign.api)
        with pytest.raises(OutOfBudget, match="more by --max-"):
            act(campaign.api)


def test_families_in_their_own_processes_share_the_budget(target: Target, tmp_path: Path) -> None:
    reins = Reins(limits=Limits(requests=2), meter=tmp_path / "meter")
    for _ in range(2):
        with opened(target, reins=reins) as campaign:
            lists(campaign.api)
    with opened(target, reins=reins) as campaign, pytest.raises(OutOfBudget):
        lists(campaign.api)


def test_what_was_refused_costs_a_request_and_nothing_else(target: Target) -> None:
    limits = Limits(requests=5, spend=120, creates=1)
    with opened(target, reins=Reins(limits=limits)) as campaign:
        for _ in range(2):
            refused(campaign.api)
        session(campaign.api)
        with pytest.raises(OutOfBudget, match=r"requests|created"):
            session(campaign.api)


def test_a_price_turns_it_into_money(target: Target) -> None:
    priced = replace(target, vcpu_minute_price=0.25)
    with opened(priced, reins=Reins(limits=Limits(spend=0.5))) as campaign:
        execute(campaign.api)
        execute(campaign.api)
        with pytest.raises(OutOfBudget):
            execute(campaign.api)


def test_a_real_service_has_the_limits_of_its_profile(target: Target) -> None:
    real = replace(target, real=True)
    with opened(real, profile="free", reins=Reins(rate=6e5)) as campaign:
        execute(campaign.api)
        with pytest.raises(OutOfBudget, match="--max-creates"):
            execute(campaign.api)


def test_a_real_service_gets_no_malformed_request_that_could_cost(target: Target) -> None:
    real = replace(target, real=True)
    with opened(real, profile="full", reins=Reins(rate=6e5)) as campaign:
        campaign.api.call("getJob", {"id": "none"}, expect=404, probe=True)
        with pytest.raises(Limited, match="no malformed requests"):
            campaign.api.call("execute", json={}, probe=True)


@pytest.mark.parametrize("operation", ["", "getHealth"])
def test_a_replay_on_a_real_service_ends_nothing_under_another_name(
    target: Target, operation: str
) -> None:
    real = replace(target, real=True)
    with opened(real, profile="full", reins=Reins(rate=6e5)) as campaign:
        replay = Replay(campaign, lambda _seconds: None)
        with pytest.raises(Limited, match="what the run created"):
            replay.send("DELETE", "/services/somebody", operation=operation, account="main")


def test_a_server_that_fails_may_have_done_what_it_was_asked_for() -> None:
    headers = b"HTTP/1.1 503 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    limits = Limits(creates=1)
    with (
        hanging(b"/", headers) as (url, _),
        opened(resolve(None, url), reins=Reins(limits=limits)) as campaign,
    ):
        with pytest.raises(ContractBroken):
            session(campaign.api)
        with pytest.raises(OutOfBudget):
            session(campaign.api)


def test_the_free_tier_is_asked_for_nothing_that_it_lacks(target: Target) -> None:
    with (
        opened(target, reins=Reins(tier="free")) as campaign,
        pytest.raises(Limited, match="free tier"),
    ):
        lists(campaign.api)


def test_every_operation_that_costs_is_in_the_table() -> None:
    costly = {it.id for it in SPEC.operations.values() if it.traits.costs}
    assert costly == set(USAGE)


@pytest.mark.parametrize(
    ("operation", "target", "body", "minutes"),
    [
        ("execute", "/execute", b'{"language":"bash","code":"x"}', 1),
        ("execute", "/execute", b'{"ttl":900,"vcpu":8}', 120),
        ("execute", "/execute", b'{"ttl":"no number"}', 1),
        ("execute", "/execute", b"[" * 5000, 1),
        ("run", "/run?ttl=120", b"#!/bin/sh", 2),
        ("createSession", "/sessions", b'{"ttl":0}', 60),
        ("createService", "/services", b'{"vcpu":2}', 120),
        ("listJobs", "/jobs", b"", 0),
    ],
)
def test_a_request_is_charged_for_what_it_could_take(
    operation: str, target: str, body: bytes, minutes: float
) -> None:
    described = SPEC.operations[operation]
    request = Request(described.method, target, (), body, described)
    assert vcpu_minutes(request) == minutes


@pytest.mark.parametrize(
    ("profile", "left_out"),
    [
        ("readonly", {"execute", "cancelJob", "openSessionShell", "lockSession", "validateKey"}),
        ("free", {"listSessions", "createSession"}),
        ("paid", set[str]()),
        ("full", set[str]()),
    ],
)
def test_a_profile_allows_what_the_traits_of_operations_say(
    profile: str, left_out: set[str]
) -> None:
    allowed = {it.id for it in SPEC.operations.values() if not PROFILES[profile].allows(it)}
    assert not allowed & left_out
    assert {"getHealth", "listJobs", "getKeySelf"} <= allowed
    assert profile in ("readonly", "free") or len(allowed) == len(SPEC.operations)
