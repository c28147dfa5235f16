"""A job goes forward only, has one result, and ends at once when it is cancelled."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pytest

from contract.api import Api, member
from contract.creation import ENDED
from contract.execution import EXECUTIONS, accept, begun, ended, polled, run, submit
from contract.families.semantics.cases import decoded, every_execution
from contract.outcomes import NotRun
from contract.programs import Programs

LONG = "300"
CANCELLED = 137
"""The exit code of a program that was ended by request."""

CANCELS = ["cancelJob", "cancelJobAlias"]
ORDER = {"pending": 0, "running": 1, **dict.fromkeys(ENDED, 2)}
ONCE_KNOWN = ("job_id", "language", "network_mode", "created_at", "started_at", "completed_at")
"""Members of a job that never change again."""

Job = Mapping[str, Any]


def assert_forward(seen: Iterable[Job]) -> None:
    """Readings of one job, the oldest first, contradict each other nowhere."""
    before: dict[str, Any] = {}
    for job in seen:
        was, now = before.get("status", "pending"), job["status"]
        assert ORDER[now] >= ORDER[was], f"{now} came after {was}"
        assert was not in ENDED or now == was, f"{now} came after {was}, which is an end"
        for name in ONCE_KNOWN:
            kept = before.get(name, job.get(name))
            assert job.get(name) == kept, f"{name} was {kept}, then {job.get(name)}"
        before |= job


@pytest.mark.parametrize("operation_id", ["executeAsync", "runAsync"])
def test_a_job_is_accepted_before_it_has_ended(
    api: Api, programs: Programs, operation_id: str
) -> None:
    """Its program takes many times as long as an answer and a reading ever should."""
    program, pause = programs.some("pause"), {"PAUSE": "10"}
    accepted = accept(api, operation_id, program, env=pause)
    job = api.call("getJob", {"id": member(accepted, "job_id")}).json
    assert job["status"] in ("pending", "running")
    api.call("cancelJob", {"id": job["job_id"]})


@pytest.mark.operations("executeAsync", "getJob")
def test_a_job_goes_forward_only(api: Api, programs: Programs) -> None:
    job_id = submit(api, programs.some("pause"), env={"PAUSE": "0.5"})
    seen = list(polled(api, job_id))
    seen += [api.call("getJob", {"id": job_id}).json for _ in range(3)]
    assert_forward(seen)
    assert all(job == seen[-1] for job in seen[-4:]), "a finished job changed"
    assert (seen[-1]["status"], seen[-1]["stdout"]) == ("completed", "before\nafter\n")


@every_execution
@pytest.mark.operations("getJob", "waitJob")
def test_a_result_is_the_same_wherever_it_is_read(
    api: Api, programs: Programs, operation_id: str
) -> None:
    for name, env in (("pause", {"PAUSE": "0"}), ("exit", {"CODE": "3"})):
        result = run(api, operation_id, programs.some(name), env=env)
        path = {"id": result["job_id"]}
        read, waited = api.call("getJob", path).json, api.call("waitJob", path).json
        assert read == waited
        assert {name: read.get(name) for name in result} == dict(result)


@pytest.mark.operations("waitJob", "executeAsync")
def test_waiting_answers_when_the_job_has_ended(api: Api, programs: Programs) -> None:
    program = programs.some("pause")
    path = {"id": submit(api, program, env={"PAUSE": "0.5"})}
    job = api.call("waitJob", path).json
    assert (job["status"], job["stdout"]) == ("completed", "before\nafter\n")
    assert api.call("waitJob", path).json == job


@pytest.mark.parametrize("operation_id", CANCELS)
@pytest.mark.operations("executeAsync", "getJob")
def test_a_cancelled_job_keeps_what_it_made(
    api: Api, programs: Programs, operation_id: str
) -> None:
    program = programs.some("pause")
    for job_id in begun(api, program, {"PAUSE": LONG}, return_artifact=True):
        began = time.monotonic()
        answer = api.call(operation_id, {"id": job_id}).json
        assert time.monotonic() - began < float(LONG) / 5, "the program was waited for"
        told = (answer["job_id"], answer["status"], answer["success"])
        assert told == (job_id, "cancelled", True)
        assert_same_again(api, job_id, answer)
        if answer["stdout"]:
            break
    assert answer["stdout"] == "before\n"
    assert answer.get("stderr", "told\n") == "told\n"
    kept = [(it["filename"], decoded(it["data"])) for it in answer["artifacts"]]
    assert kept == [("kept", b"before\n")]


def assert_same_again(api: Api, job_id: str, answer: Job) -> None:
    """A job that was cancelled stays so, and cancelling it again is answered as before."""
    for operation_id in CANCELS:
        assert api.call(operation_id, {"id": job_id}).json == answer
    job = ended(api, job_id)
    assert (job["status"], job["success"]) == ("cancelled", False)
    assert job.get("exit_code", CANCELLED) == CANCELLED
    for name in ("stdout", "completed_at"):
        assert job[name] == answer[name]


@pytest.mark.parametrize("operation_id", CANCELS)
def test_a_job_that_ended_by_itself_is_not_cancelled(
    api: Api, programs: Programs, operation_id: str
) -> None:
    result = run(api, "execute", programs.some("nothing"))
    path = {"id": result["job_id"]}
    api.call(operation_id, path, expect=409, probe=True)
    assert api.call("getJob", path).json["status"] == "completed"


@pytest.mark.operations("cancelJob", "executeAsync")
def test_a_job_that_is_cancelled_while_it_waits_never_starts(api: Api, programs: Programs) -> None:
    one_slot, program = api.as_("slot"), programs.some("pause")
    first = submit(one_slot, program, env={"PAUSE": LONG}, ttl=int(LONG))
    try:
        second = submit(one_slot, program, env={"PAUSE": "0"})
        if one_slot.call("getJob", {"id": second}).json["status"] != "pending":
            raise NotRun("the account has more than one slot")
        answer = one_slot.call("cancelJob", {"id": second}).json
        assert (answer["status"], answer["stdout"]) == ("cancelled", "")
    finally:
        one_slot.call("cancelJob", {"id": first})
    job = ended(one_slot, second)
    assert (job["status"], job.get("stdout", "")) == ("cancelled", "")
    assert "started_at" not in job


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.operations("listJobs", "executeAsync")
def test_jobs_are_listed_with_ids_of_their_own(api: Api, programs: Programs) -> None:
    before = {job["job_id"] for job in listed(api)}
    program = programs.some("nothing")
    made = [submit(api, program) for _ in range(3)]
    made += [run(api, way, program)["job_id"] for way in EXECUTIONS]
    assert len(set(made)) == len(made), "an id was given twice"
    assert before.isdisjoint(made), "an id was used again"
    jobs = listed(api)
    ids = [job["job_id"] for job in jobs]
    assert len(set(ids)) == len(ids), "a job is listed twice"
    assert set(made) <= set(ids), "a job is not listed"
    created = [_created(job) for job in jobs]
    assert created == sorted(created, reverse=True), "the newest are not first"


@pytest.mark.operations("listJobs", "getJob")
def test_a_list_says_what_the_job_says(api: Api, programs: Programs) -> None:
    job = ended(api, submit(api, programs.some("nothing")))
    summary = next(it for it in listed(api) if it["job_id"] == job["job_id"])
    assert summary == {name: job.get(name) for name in summary}


@pytest.mark.operations("listJobs")
def test_jobs_are_listed_in_every_form(api: Api, programs: Programs) -> None:
    """The newest ones where there are more than asked for, whoever made them."""
    made = {submit(api, programs.some("nothing")) for _ in range(3)}
    created = {job_id: ended(api, job_id)["created_at"] for job_id in made}
    assert isinstance(api.call("listJobs", query={"format": "array"}).json, list)
    forms: tuple[dict[str, str | int], ...] = ({"format": "object"}, {"limit": 1000}, {"limit": 2})
    for query in forms:
        answer = api.call("listJobs", query=query)
        jobs, most = member(answer, "jobs"), int(query.get("limit", 1000))
        assert len(jobs) == member(answer, "count")
        assert min(len(made), most) <= len(jobs)
        assert len(jobs) <= most or "limit" not in query
        oldest = min(map(_created, jobs))
        newer = {it for it, at in created.items() if datetime.fromisoformat(at) > oldest}
        assert newer <= {job["job_id"] for job in jobs}, f"{query}: older jobs are listed instead"


def _created(job: Job) -> datetime:
    return datetime.fromisoformat(job["created_at"])


def listed(api: Api) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = api.call("listJobs", query={"format": "array"}).json
    return jobs
