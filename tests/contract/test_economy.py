"""What the suite makes up costs a server little: nothing has to be built, nothing comes twice."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import pytest

from contract.campaign import Campaign, opened
from contract.exchange import Exchange, Request
from contract.families import test_operations as operations
from contract.generated.cases import AnyCase, Generator
from contract.generated.driven import each
from contract.outcomes import NotRun
from contract.resources import Resources
from contract.target import resolve
from contract.validity import Judge, Verdict

CHOOSING = ("execute", "run", "createSession")
"""Operations of whose requests it depends what a server has to make ready."""

MOST, RANDOM = 250, 10
CHEAP = {"language": "bash", "shell": "bash"}
SHEBANG = b"#!/bin/bash\n"


class Recorder:
    """Keeps what would be sent, and lets nothing out."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def before(self, request: Request) -> None:
        self.requests.append(request)
        raise NotRun("nothing is sent")

    def after(self, exchange: Exchange) -> None:
        raise AssertionError(exchange)


@contextmanager
def recording() -> Iterator[tuple[Campaign, Recorder]]:
    recorder = Recorder()
    with opened(resolve(None, "http://127.0.0.1:1"), gates=[recorder]) as campaign:
        yield campaign, recorder


def kept(trial: operations.Trial) -> Callable[[AnyCase], None]:
    def of(case: AnyCase) -> None:
        with suppress(NotRun):
            trial.of(case)

    return of


@cache
def made_up(name: str) -> tuple[Campaign, list[Request]]:
    """Requests at the bounds of an operation's schemas, and random ones."""
    with recording() as (campaign, recorder):
        operation, generator = campaign.spec.operations[name], Generator(campaign.spec)
        resources = Resources(campaign.api)
        trial = operations.Trial(campaign.api, operation, resources, Judge(campaign.spec))
        for case in generator.coverage(operation, MOST):
            kept(trial)(case)
        each(generator.random(operation), RANDOM, kept(trial))
        return campaign, recorder.requests


@pytest.mark.parametrize("name", CHOOSING)
def test_nothing_has_to_be_built_for_what_a_server_may_take(name: str) -> None:
    campaign, requests = made_up(name)
    judge, operation = Judge(campaign.spec), campaign.spec.operations[name]
    verdicts = {judge.judge(operation, it).verdict for it in requests}
    assert verdicts == set(Verdict)
    for request in requests:
        if judge.judge(operation, request).verdict is not Verdict.INVALID:
            assert is_cheap(request), request


def is_cheap(request: Request) -> bool:
    if request.body.startswith(b"#!"):
        return request.body.startswith(SHEBANG)
    try:
        document = json.loads(request.body or b"{}")
    except ValueError:
        return True  # text that names no language
    found = document if isinstance(document, dict) else {}
    return all(found.get(name) in (None, cheap) for name, cheap in CHEAP.items())


def test_no_request_is_sent_twice() -> None:
    _, requests = made_up("createSession")
    sent = [(it.target, it.header("Content-Type"), it.body) for it in requests]
    assert len(set(sent)) == len(sent) > 20
