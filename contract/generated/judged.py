"""Sends a generated request and says whether its answer is one that the contract lets it have."""

from collections.abc import Callable
from dataclasses import replace

from contract.api import Api
from contract.exchange import Request, Response
from contract.outcomes import ContractBroken
from contract.spec import Operation
from contract.validity import Judge, Judgement, Verdict

__all__ = ["sent"]

_BUSY = {429, 503}
"""A server may say that it cannot now; that the operation never succeeds is told elsewhere."""

_CIRCUMSTANCES = {404, 409, 428}
"""Something that a request names is not there, not in the right state, or guarded by a code."""

_REFUSALS = {400, 413, 415}

_UNFIT = {"freezeSession": {400}, "sleepSession": {400}, "redeployService": {400}}
"""A valid request for a thing that cannot do it: it has no multiplexer, or no bootstrap script."""

_CRASH = 500

_OPERATORS = "Logs"
"""The tag of what is for operators: others get 403."""


def sent(api: Api, judge: Judge, operation: Operation, request: Request) -> Response:
    """The answer to a request, which is right for it.

    Raises:
        ContractBroken: a valid request is refused, an invalid one accepted, or the server crashed.
        Unsupported: 501.
        NotRun: a gate refused.
    """
    judgement = judge.judge(operation, request)
    response = api.wire.send(replace(request, probe=judgement.verdict is not Verdict.VALID))
    if not _EXPECTED[judgement.verdict](operation, response.status):
        check, told = _complaint(operation, judgement, response)
        raise ContractBroken(check, told)
    return response


def _taken(operation: Operation, status: int) -> bool:
    unfit = _UNFIT.get(operation.id, set())
    return 200 <= status < 300 or status in _BUSY | _CIRCUMSTANCES | unfit | _reserved(operation)


def _refused(operation: Operation, status: int) -> bool:
    named = _CIRCUMSTANCES if operation.path_parameters else set()
    return status in _BUSY | _REFUSALS | named | _reserved(operation)


def _survived(_operation: Operation, status: int) -> bool:
    return status != _CRASH


_EXPECTED: dict[Verdict, Callable[[Operation, int], bool]] = {
    Verdict.VALID: _taken,
    Verdict.INVALID: _refused,
    Verdict.OPEN: _survived,
}


def _reserved(operation: Operation) -> set[int]:
    """What others than operators get, and who opens no WebSocket where there is one."""
    refused = {403} if operation.tag == _OPERATORS else set()
    return refused | ({426} if 101 in operation.statuses else set())


def _complaint(operation: Operation, judgement: Judgement, response: Response) -> tuple[str, str]:
    answer = f"{operation.id} answered {response.status}"
    if response.status == _CRASH:
        return "no crash", f"{answer}: {response.text[:500]}"
    if judgement.verdict is Verdict.VALID:
        return "valid is taken", f"{answer} to a valid request: {response.text[:500]}"
    return "invalid is refused", f"{answer} to an invalid request: {'; '.join(judgement.faults)}"
