"""Programs run by any of the operations that run one, and what holds of every result."""

import base64
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from contract.api import Api, member
from contract.creation import ENDED
from contract.exchange import Response
from contract.outcomes import ContractBroken
from contract.programs import Program

__all__ = [
    "EXECUTIONS",
    "accept",
    "begun",
    "ended",
    "files",
    "found",
    "outcome",
    "polled",
    "run",
    "submit",
    "watched",
]

Result = Mapping[str, Any]

_PATIENCE_SECONDS = 120
_PATIENCE_TO_BEGIN = (1, 4, 15)
_LONG_TTL = 600
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0
_SAME = (("output", "stdout"), ("id", "job_id"))
"""Members that say the same as another one, wherever both are."""


def run(api: Api, operation_id: str, program: Program, **fields: object) -> Result:
    """The result of a program, run by one of EXECUTIONS; `fields` are further ones of its request.

    Raises:
        ContractBroken: it is refused, or the result contradicts itself.
    """
    return outcome(api, accept(api, operation_id, program, **fields))


def outcome(api: Api, accepted: Response) -> Result:
    """The result of a program that one of EXECUTIONS has accepted; raised is what `run` raises."""
    document: Result = accepted.json
    return _sound(document) if "exit_code" in document else ended(api, document["job_id"])


def accept(api: Api, operation_id: str, program: Program, **fields: object) -> Response:
    """What one of EXECUTIONS answers to a program."""
    return EXECUTIONS[operation_id](api, operation_id, program, fields, None)


def submit(api: Api, program: Program, **fields: object) -> str:
    """The id of a job that has been accepted."""
    return str(member(accept(api, "executeAsync", program, **fields), "job_id"))


def begun(api: Api, program: Program, env: Mapping[str, str], **fields: object) -> Iterator[str]:
    """Jobs of a program that goes on for minutes, each given longer to have begun its work.

    A job says nothing of what it printed before its end: who finds that one has done nothing yet
    cancels it and takes the next. With the first that has, the loop is to be left.
    """
    for patience in _PATIENCE_TO_BEGIN:
        job_id = submit(api, program, env=dict(env), ttl=_LONG_TTL, **fields)
        job = list(polled(api, job_id, ENDED | {"running"}))[-1]
        if job["status"] != "running":
            raise ContractBroken("result", f"a job that should run for minutes is {job['status']}")
        time.sleep(patience)
        yield job_id


def ended(api: Api, job_id: str) -> Result:
    """A job, once it has ended; raises ContractBroken when it contradicts itself."""
    return _sound(list(polled(api, job_id))[-1])


def polled(api: Api, job_id: str, until: frozenset[str] = ENDED) -> Iterator[Result]:
    """A job again and again, until its status is one of `until`; raises ContractBroken if never."""
    for job in watched(api, job_id, until, _PATIENCE_SECONDS):
        yield job
    if job["status"] not in until:
        told = f"job {job_id} was {job['status']} for {_PATIENCE_SECONDS} s"
        raise ContractBroken("result", told)


def watched(api: Api, job_id: str, until: frozenset[str], seconds: float) -> Iterator[Result]:
    """A job again and again, at least once, until its status is one of `until` or time is up."""
    pause, deadline = _FIRST_PAUSE, time.monotonic() + seconds
    while True:
        job = api.call("getJob", {"id": job_id}).json
        yield job
        if job["status"] in until or time.monotonic() >= deadline:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def found(api: Api, program: Program, mark: str) -> str:
    """What a program that looks for traces has found; raises ContractBroken when it could not."""
    result = run(api, "execute", program, env={"MARK": mark})
    if not result["success"]:
        raise ContractBroken("result", f"a program cannot look for files: {str(result)[:500]}")
    return str(result["stdout"])


def files(contents: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Input files as requests have them."""
    return [
        {"filename": name, "content": base64.b64encode(content).decode()}
        for name, content in contents.items()
    ]


def _sound(result: Result) -> Result:
    for fault in _contradictions(result):
        raise ContractBroken("result", f"{fault}: {str(result)[:500]}")
    return result


def _contradictions(result: Result) -> Iterator[str]:
    if "exit_code" in result:
        # A server need not say the status in the answer of a program that has run to its end.
        well = result["exit_code"] == 0 and result.get("status", "completed") == "completed"
        if result.get("success") != well:
            yield f"success is {result.get('success')}"
    for name, other in _SAME:
        if name in result and other in result and result[name] != result[other]:
            yield f"{name} differs from {other}"
    for artifact in result.get("artifacts", ()):
        if artifact.get("content_base64", artifact["data"]) != artifact["data"]:
            yield f"the artifact {artifact['filename']} has two contents"


Statuses = Collection[int] | None


def _with_members(
    api: Api, operation_id: str, program: Program, fields: Result, expect: Statuses
) -> Response:
    body = {"language": program.language, "code": program.code, **fields}
    return api.call(operation_id, json=body, expect=expect)


def _as_text(
    api: Api, operation_id: str, program: Program, fields: Result, expect: Statuses
) -> Response:
    query = {name: _in_a_query(value) for name, value in fields.items()}
    content = program.script.encode()
    return api.call(
        operation_id, query=query, content=content, media_type="text/plain", expect=expect
    )


EXECUTIONS: Mapping[str, Callable[[Api, str, Program, Result, Statuses], Response]] = {
    "execute": _with_members,
    "executeAsync": _with_members,
    "run": _as_text,
    "runAsync": _as_text,
}
"""The operations that run a program; the last argument is `expect` of `Api.call`.

Those that take text have no input files.
"""


def _in_a_query(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
