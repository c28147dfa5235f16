"""Sequences of requests, each made of the answers before it by the contract's links."""

from collections.abc import Collection
from typing import Any, cast

import requests
from schemathesis import Response as CaseResponse
from schemathesis.generation.stateful.state_machine import APIStateMachine, StepInput, StepOutput

from contract.api import Api
from contract.exchange import Request, Response
from contract.generated.cases import AnyCase, Generator, economical, request_of
from contract.generated.judged import sent
from contract.outcomes import ContractBroken, Unsupported
from contract.resources import Resources, follow
from contract.spec import Operation
from contract.validity import Judge, Verdict

__all__ = ["sequences"]

Machine = type[APIStateMachine]


def sequences(api: Api, generator: Generator, judge: Judge, without: Collection[str]) -> Machine:
    """The machine that hypothesis drives; `without` are operations that it leaves out."""
    left = generator.schema.exclude(operation_id=sorted(without)) if without else generator.schema
    base: Any = left.as_state_machine()

    class Sequences(base):  # type: ignore[misc]
        def setup(self) -> None:
            self.world = _World(api)
            api.wire.trail.clear()

        def teardown(self) -> None:
            self.world.release()

        def step(self, input: StepInput) -> StepOutput | None:  # noqa: A002 - schemathesis's name
            case = input.case
            operation = api.spec.operations[case.operation.definition.raw["operationId"]]
            request = _prepared(case, operation)
            if request is None:
                return None
            try:
                response = sent(api, judge, operation, request)
            except Unsupported:
                return None
            self.world.saw(operation, request, response)
            answer = _as_schemathesis_has_it(case, response)
            self.after_call(answer, case)
            return StepOutput(answer, case)

    def _prepared(case: AnyCase, operation: Operation) -> Request | None:
        request = request_of(case, operation, api)
        if request is not None and judge.judge(operation, request).verdict is not Verdict.INVALID:
            economical(case, operation)
            request = request_of(case, operation, api)
        return request

    return cast("Machine", Sequences)


def _as_schemathesis_has_it(case: AnyCase, response: Response) -> CaseResponse:
    headers: dict[str, list[str]] = {}
    for name, value in response.headers:
        headers.setdefault(name.lower(), []).append(value)
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://target.invalid"))
    return CaseResponse(
        response.status, headers, response.body, prepared.prepare(), response.seconds, verify=True
    )


class _World:
    """What is there and what is gone, as the answers of one sequence say."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._resources = Resources(api)
        self._created: list[tuple[Operation, Response]] = []
        self._there: set[str] = set()
        self._gone: set[str] = set()

    def saw(self, operation: Operation, request: Request, response: Response) -> None:
        """Take note of an answer.

        Raises:
            ContractBroken: what was created is not there, or what was deleted still is.
        """
        path = request.target.split("?")[0]
        if response.status == 404 and operation.method == "GET" and path in self._there:
            raise ContractBroken("created is there", f"{path}: 404, but it was created")
        deleted = next((it for it in self._gone if f"{path}/".startswith(f"{it}/")), None)
        if deleted is not None and response.status < 400:
            told = f"{operation.id} {path}: {response.status}, but {deleted} was deleted"
            raise ContractBroken("deleted is gone", told)
        if response.status < 300:
            self._note(operation, path, response)

    def _note(self, operation: Operation, path: str, response: Response) -> None:
        if operation.method == "DELETE" and path in self._there and operation.tag != "Jobs":
            self._there.discard(path)
            self._gone.add(path)
        for reference in operation.links(response.status).values():
            link = self._api.spec.resolve(reference)
            target = self._api.spec.operations[link["operationId"]]
            if target.method == "GET" and target.path.endswith("/{id}"):
                named = follow(dict(link["parameters"]), response.json)
                self._there.add(target.target({name: str(it) for name, it in named.items()}))
                self._created.append((operation, response))

    def release(self) -> None:
        for operation, response in reversed(self._created):
            self._resources.release(operation, response)
