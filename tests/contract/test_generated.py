"""The families made of the contract tell a server with a fault from one without."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import pytest
from hypothesis import strategies as st

from contract.campaign import Campaign, opened
from contract.families import test_operations as operations
from contract.families import test_workflows as workflows
from contract.generated.cases import Generator
from contract.generated.driven import each
from contract.outcomes import ContractBroken
from contract.resources import Resources
from contract.target import resolve
from contract.validity import Judge
from tests.contract import standin
from tests.contract.faulty_answers import Fault, Passing, in_front_of
from tests.server import running, settings

Check = Callable[[Campaign, Resources], None]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    chosen = settings(tmp_path_factory.mktemp("emulator"), languages="bash,python")
    with running(chosen) as server:
        yield server.api


@contextmanager
def quick(url: str) -> Iterator[tuple[Campaign, Resources]]:
    with opened(resolve(None, url), quick=True) as campaign, Resources(campaign.api) as resources:
        yield campaign, resources


def examples(name: str) -> Check:
    def check(campaign: Campaign, resources: Resources) -> None:
        operation = campaign.spec.operations[name]
        operations.test_its_examples_succeed(campaign.api, campaign, operation, resources, set())

    return check


def bounds(name: str) -> Check:
    def check(campaign: Campaign, resources: Resources) -> None:
        operation = campaign.spec.operations[name]
        trial = operations.Trial(campaign.api, operation, resources, Judge(campaign.spec))
        operations.test_bounds_hold(campaign, operation, Generator(campaign.spec), trial)

    return check


def methods(name: str) -> Check:
    return lambda campaign, _: operations.test_other_methods_are_refused(
        campaign.api, campaign, name
    )


def there(name: str) -> Check:
    return lambda campaign, _: workflows.test_what_is_created_is_there(campaign.api, campaign, name)


def gone(name: str) -> Check:
    return lambda campaign, _: workflows.test_what_is_deleted_is_gone(campaign.api, campaign, name)


def reads_a_job(passing: Passing) -> bool:
    return passing.method == "GET" and passing.path.startswith("/jobs/")


def without_status(passing: Passing) -> Passing:
    if not reads_a_job(passing) or passing.status != 200:
        return passing
    job = json.loads(passing.body)
    job.pop("status", None)
    return passing.with_body(200, json.dumps(job, separators=(",", ":")))


def accepting(passing: Passing) -> Passing:
    if passing.path != "/execute" or passing.status != 400:
        return passing
    return passing.with_body(
        200,
        '{"success":true,"stdout":"","stderr":"","exit_code":0,"language":"bash",'
        '"job_id":"j","network_mode":"zerotrust","total_time_ms":1}',
    )


def crashing(passing: Passing) -> Passing:
    if passing.path != "/execute" or all(ord(it) < 0x80 for it in text(passing.sent)):
        return passing
    return passing.with_body(500, '{"error":"crash","code":"INTERNAL_ERROR","details":"crash"}')


def text(body: bytes) -> str:
    """A body with its characters written out."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        return ""


def refused(status: int, when: Callable[[Passing], bool]) -> Fault:
    body = '{"error":"no","code":"NOT_FOUND","details":"no"}'
    return lambda passing: passing.with_body(status, body) if when(passing) else passing


FAULTS: dict[str, tuple[Fault, Check, str]] = {
    "a job without its status": (without_status, examples("getJob"), "status"),
    "what is invalid is accepted": (accepting, bounds("execute"), "invalid"),
    "what is valid is refused": (
        refused(400, lambda it: it.path == "/jobs" and it.sent == b""),
        bounds("listJobs"),
        "valid",
    ),
    "text that is not ASCII": (crashing, bounds("execute"), "500"),
    "a method that a path lacks is not found": (
        refused(404, lambda it: it.status == 405),
        methods("getJob"),
        "404",
    ),
    "what was created is not there": (refused(404, reads_a_job), there("run"), "404"),
}
"""What is wrong, and with which check it has to be told in which words."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(emulator: str, name: str) -> None:
    fault, check, told = FAULTS[name]
    with (
        in_front_of(emulator, fault) as url,
        quick(url) as (campaign, resources),
        pytest.raises(AssertionError, match=told),
    ):
        check(campaign, resources)


CHECKS: dict[str, Check] = {
    "deleted stays": gone("createSession"),
    "listed nowhere": there("createService"),
}


@pytest.mark.parametrize("fault", CHECKS)
@pytest.mark.parametrize("faulty", [False, True], ids=["sound", "faulty"])
def test_a_fault_of_what_lives_longer_is_found(fault: str, faulty: bool) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(standin.running(*([fault] if faulty else [])))
        campaign, resources = stack.enter_context(quick(server.url))
        with pytest.raises(AssertionError) if faulty else nullcontext():
            CHECKS[fault](campaign, resources)


def test_what_fails_once_is_told_as_it_was_seen() -> None:
    seen: list[int] = []

    def fail_once(number: int) -> None:
        seen.append(number)
        if len(seen) == 2:
            raise ContractBroken("status", "seen once")

    with pytest.raises(ContractBroken, match="seen once"):
        each(st.integers(), 10, fail_once)
