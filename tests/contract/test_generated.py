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
from contract.mutants.mutators import (
    answering,
    document,
    for_operations,
    on_response,
    refusing,
    status,
)
from contract.mutants.table import MUTANTS
from contract.mutants.traffic import Answer, Build, Call
from contract.outcomes import ContractBroken
from contract.resources import Resources
from contract.target import resolve
from contract.validity import Judge
from tests.contract import standin
from tests.contract.runs import faulty
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


def not_found() -> Answer:
    return Answer.error(404, "no", "NOT_FOUND")


def accept(_call: Call, answer: Answer) -> None:
    answer.status = 200
    answer.document = {
        "success": True,
        "stdout": "",
        "stderr": "",
        "exit_code": 0,
        "language": "bash",
        "job_id": "j",
        "network_mode": "zerotrust",
        "total_time_ms": 1,
    }


def unroute(_call: Call, answer: Answer) -> None:
    answer.status = 404


def is_not_ascii(call: Call) -> bool:
    return not json.dumps(call.document, ensure_ascii=False).isascii()


FAULTS: dict[str, tuple[Build, str, Check, str]] = {
    "a job without its status": (
        document(lambda job: job.pop("status", None)),
        "getJob",
        examples("getJob"),
        "status",
    ),
    "what is invalid is accepted": (
        on_response(accept, status(400)),
        "execute",
        bounds("execute"),
        "invalid",
    ),
    "what is valid is refused": (
        refusing(lambda call: not call.body, lambda: Answer.error(400, "no", "INVALID")),
        "listJobs",
        bounds("listJobs"),
        "valid",
    ),
    "text that is not ASCII": (
        refusing(is_not_ascii, lambda: Answer.error(500, "crash", "INTERNAL_ERROR")),
        "execute",
        bounds("execute"),
        "500",
    ),
    "a method that a path lacks is not found": (
        on_response(unroute, status(405)),
        "",
        methods("getJob"),
        "404",
    ),
    "a method that a path lacks is said to be allowed": (
        MUTANTS["all-allowed"].mutator,
        "",
        methods("getJob"),
        "Allow: ",
    ),
    "what was created is not there": (answering(not_found), "getJob", there("run"), "404"),
}
"""What is wrong, with which operation, and with which check it has to be told in which words."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(emulator: str, name: str) -> None:
    fault, operation, check, told = FAULTS[name]
    with (
        faulty(emulator, for_operations(fault, frozenset(filter(None, [operation])))) as url,
        quick(url) as (campaign, resources),
        pytest.raises(AssertionError, match=told),
    ):
        check(campaign, resources)


CHECKS: dict[str, Check] = {
    "deleted stays": gone("createSession"),
    "listed nowhere": there("createService"),
}


@pytest.mark.parametrize("fault", CHECKS)
@pytest.mark.parametrize("broken", [False, True], ids=["sound", "faulty"])
def test_a_fault_of_what_lives_longer_is_found(fault: str, broken: bool) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(standin.running(*([fault] if broken else [])))
        campaign, resources = stack.enter_context(quick(server.url))
        with pytest.raises(AssertionError) if broken else nullcontext():
            CHECKS[fault](campaign, resources)


def test_what_fails_once_is_told_as_it_was_seen() -> None:
    seen: list[int] = []

    def fail_once(number: int) -> None:
        seen.append(number)
        if len(seen) == 2:
            raise ContractBroken("status", "seen once")

    with pytest.raises(ContractBroken, match="seen once"):
        each(st.integers(), 10, fail_once)
