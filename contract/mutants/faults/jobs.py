"""Servers that lose jobs, mix them up, or keep time badly."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    delayed,
    document,
    listing,
    on_request,
    on_response,
    request_document,
    using,
)
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed

_MISSING = ("Not found", "NOT_FOUND")
_FINISHED = ("completed", "failed", "timeout", "cancelled")
_READS = ("getJob", "waitJob")
_CREATES = ("execute", "executeAsync", "run", "runAsync")
_EPOCH = "1970-01-01T00:00:00Z"
_FUTURE = "2199-12-31T23:59:59Z"


def _job(answer: Answer) -> str | None:
    body = answer.document
    return body.get("job_id") if isinstance(body, dict) and answer.succeeded else None


def _forgetting() -> Mutator:
    """Every second job is gone once it has been answered."""
    seen, gone = [0], set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.operation is not None and call.operation.id in _READS:
            if gone & set(call.segments):
                return Answer.error(404, *_MISSING)
            return await proceed(call)
        answer = await proceed(call)
        job = _job(answer)
        if job is not None:
            seen[0] += 1
            if seen[0] % 2 == 0:
                gone.add(job)
        return answer

    return mutator


def _previous_id() -> Mutator:
    """A new job is answered with the id of the one before."""
    last = deque[str](maxlen=1)

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        job, body = _job(answer), answer.document
        if job is None:
            return answer
        if last:
            answer.document = {
                **body,
                "job_id": last[0],
                **({"id": last[0]} if "id" in body else {}),
            }
        last.append(job)
        return answer

    return mutator


def _cached() -> Mutator:
    """The same request is answered with what came of it the first time."""
    kept = dict[tuple[str, bytes], Answer]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        key = (call.target, call.body)
        if call.authentic and call.timely and key in kept:
            return replace(kept[key], headers=list(kept[key].headers))
        answer = await proceed(call)
        if answer.succeeded:
            kept[key] = replace(answer, headers=list(answer.headers))
        return answer

    return mutator


def _backwards() -> Mutator:
    """Who reads a job that has ended a second time is told that it runs."""
    ended = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        body = answer.document
        if not answer.succeeded or body.get("status") not in _FINISHED:
            return answer
        job = body["job_id"]
        if job in ended:
            shown = ("job_id", "id", "status", "language", "network_mode", "created_at")
            kept = {name: body[name] for name in shown if name in body}
            answer.document = {**kept, "status": "running"}
        ended.add(job)
        return answer

    return mutator


async def _without_waiting(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call.edited(target=call.target.replace("/wait", "", 1)))


async def _pretended_cancel(call: Call, proceed: Proceed) -> Answer:
    """Says that the job was ended, and lets it run."""
    found = await proceed(call.edited(method="GET", body=b""))
    body = found.document
    if not found.succeeded or body["status"] in _FINISHED:
        return await proceed(call)
    job = body["job_id"]
    return Answer.of(
        {
            "job_id": job,
            "id": job,
            "status": "cancelled",
            "message": "Job cancelled",
            "completed_at": body["created_at"],
            "success": True,
            "stdout": "",
            "artifacts": [],
        }
    )


async def _cancelled_again(call: Call, proceed: Proceed) -> Answer:
    """A job that has ended is cancelled all the same."""
    answer = await proceed(call)
    if answer.status != 409:
        return answer
    body = (await proceed(call.edited(method="GET", body=b""))).document
    return Answer.of(
        {
            "job_id": body["job_id"],
            "status": "cancelled",
            "message": "Job cancelled",
            "completed_at": body.get("completed_at", _EPOCH),
            "success": True,
            "stdout": body.get("stdout", ""),
            "artifacts": [],
        }
    )


async def _after_its_end(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    job = _job(answer)
    if job is not None:
        awaited = replace(call, method="GET", target=f"/jobs/{job}/wait", body=b"")
        credentials = call.credentials
        if credentials is not None:
            await proceed(awaited.signed_by(credentials))
    return answer


def _gone_after_end() -> Mutator:
    """A job that was read at its end is not found afterwards."""
    read = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if read & set(call.segments):
            return Answer.error(404, *_MISSING)
        answer = await proceed(call)
        body = answer.document
        if answer.succeeded and body.get("status") in _FINISHED:
            read.add(body["job_id"])
        return answer

    return mutator


def _whole_list(call: Call) -> dict[str, Any]:
    return {"target": f"{call.path}?format=object"} if "limit=" in call.target else {}


async def _oldest(call: Call, proceed: Proceed) -> Answer:
    limit = re.search(r"limit=([0-9]+)", call.target)
    if limit is None:
        return await proceed(call)
    answer = await proceed(call.edited(**_whole_list(call)))
    body = answer.document
    if answer.succeeded:
        kept = body["jobs"][-int(limit[1]) :]
        answer.document = {**body, "jobs": kept, "count": len(kept)}
    return answer


def _times(**values: str) -> Callable[[Any], object]:
    return lambda body: body.update({key: value for key, value in values.items() if key in body})


def _state(
    name: str, fault: str, operations: tuple[str, ...], build: Build, kind: Kind = Kind.STATE
) -> Mutant:
    return Mutant(name, fault, kind, "semantics", operations, build)


JOBS = (
    _state(
        "job-forgotten",
        "Every second job is not found.",
        (*_READS, *_CREATES),
        _forgetting,
        Kind.DATA_LOSS,
    ),
    _state(
        "job-id-stale",
        "A new job is answered with the id of the one before.",
        ("executeAsync", "runAsync"),
        _previous_id,
    ),
    _state(
        "result-cached",
        "The same program is not run again, its first result comes.",
        ("execute", "run"),
        _cached,
    ),
    _state(
        "status-backwards",
        "A job that has ended runs again when it is read a second time.",
        ("getJob",),
        _backwards,
    ),
    _state(
        "result-read-once",
        "A result can be read once.",
        ("getJob",),
        _gone_after_end,
        Kind.DATA_LOSS,
    ),
    _state(
        "wait-does-not-wait",
        "The wait for a job's end answers at once.",
        ("waitJob",),
        using(_without_waiting),
        Kind.TIME,
    ),
    _state(
        "cancel-pretended",
        "A job that is cancelled runs on.",
        ("cancelJob",),
        using(_pretended_cancel),
    ),
    _state(
        "cancel-of-ended",
        "A job that has ended can be cancelled.",
        ("cancelJob",),
        using(_cancelled_again),
    ),
    _state(
        "newest-job-unlisted",
        "The list of jobs lacks the newest.",
        ("listJobs",),
        listing("jobs", lambda jobs: jobs[1:]),
        Kind.DATA_LOSS,
    ),
    _state(
        "jobs-oldest-first",
        "Jobs are listed the oldest first.",
        ("listJobs",),
        listing("jobs", lambda jobs: jobs[::-1]),
    ),
    _state(
        "jobs-limit-ignored",
        "The limit of the list is ignored.",
        ("listJobs",),
        on_request(_whole_list),
        Kind.LIMITS,
    ),
    _state(
        "jobs-limited-to-oldest",
        "A list with a limit has the oldest jobs.",
        ("listJobs",),
        using(_oldest),
        Kind.DATA_LOSS,
    ),
    _state(
        "jobs-miscounted",
        "count is one more than there are jobs.",
        ("listJobs",),
        document(lambda body: body.update(count=body["count"] + 1)),
        Kind.SCHEMA,
    ),
    _state(
        "jobs-always-object",
        "The list of jobs is an object where the array was asked for.",
        ("listJobs",),
        on_response(
            lambda _call, answer: setattr(
                answer, "document", {"jobs": answer.document, "count": len(answer.document)}
            ),
            lambda answer: isinstance(answer.document, list),
        ),
        Kind.SCHEMA,
    ),
    _state(
        "result-without-output",
        "A job that is read later has lost its output.",
        ("getJob",),
        document(
            lambda body: body.update({name: "" for name in ("stdout", "output") if name in body})
        ),
        Kind.DATA_LOSS,
    ),
    _state(
        "result-of-another-code",
        "A job that is read later has the exit code 0.",
        ("getJob",),
        document(lambda body: body.update({name: 0 for name in ("exit_code",) if name in body})),
        Kind.DATA_LOSS,
    ),
    _state(
        "ended-before-begun",
        "A job has ended before it was made.",
        ("getJob",),
        document(_times(completed_at=_EPOCH)),
        Kind.TIME,
    ),
    _state(
        "made-in-future",
        "A job was made long after today.",
        ("getJob",),
        document(_times(created_at=_FUTURE)),
        Kind.TIME,
    ),
    _state(
        "async-waits",
        "An asynchronous job is answered once it has ended.",
        ("executeAsync",),
        using(_after_its_end),
        Kind.TIME,
    ),
    Mutant(
        "slow-by-half-a-second",
        "Every answer of the key takes half a second more.",
        Kind.TIME,
        "operations",
        ("getKeySelf",),
        delayed(0.5),
        equivalent="The contract gives no time in which an operation has to answer.",
    ),
    _state(
        "ttl-ignored",
        "The ttl is not kept.",
        ("execute", "executeAsync"),
        request_document(lambda body: body.pop("ttl", None)),
        Kind.TIME,
    ),
)
