"""Time limits end what exceeds them and nothing else; times are in order, of now, and in UTC."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from contract.api import Api
from contract.execution import ended, run
from contract.families.semantics.cases import every_execution, with_files
from contract.programs import Programs
from contract.signing import WINDOW_SECONDS

LONG_SECONDS = 20
"""How long a program would go on that its ttl of a second should end."""


@every_execution
@pytest.mark.operations("getJob")
def test_the_ttl_ends_a_program_and_keeps_its_output(
    api: Api, programs: Programs, operation_id: str
) -> None:
    program, began = programs.some("pause"), time.monotonic()
    result = run(api, operation_id, program, env={"PAUSE": str(LONG_SECONDS)}, ttl=2)
    took = time.monotonic() - began
    assert (result["stdout"], result["stderr"]) == ("before\n", "told\n")
    assert result["success"] is False
    job = ended(api, result["job_id"])
    assert (job["status"], job["stdout"]) == ("timeout", "before\n")
    assert took >= 2, f"it was ended after {took:.1f} s"


@pytest.mark.operations("execute")
def test_a_program_within_its_ttl_is_not_ended(api: Api, programs: Programs) -> None:
    result = run(api, "execute", programs.some("pause"), env={"PAUSE": "1.2"}, ttl=20)
    assert (result["stdout"], result["success"]) == ("before\nafter\n", True)
    assert ended(api, result["job_id"])["status"] == "completed"


@pytest.mark.slow_check
@pytest.mark.operations("executeAsync")
def test_the_ttl_is_in_seconds_and_may_be_long(api: Api, programs: Programs) -> None:
    result = run(api, "executeAsync", programs.some("pause"), env={"PAUSE": "8"}, ttl=900)
    assert (result["stdout"], result["success"]) == ("before\nafter\n", True)


@every_execution
@pytest.mark.operations("getJob")
def test_times_are_in_order_of_now_and_in_utc(
    api: Api, programs: Programs, operation_id: str
) -> None:
    before = api.wire.now()
    result = run(api, operation_id, programs.some("pause"), env={"PAUSE": "0"})
    after = api.wire.now()
    job = ended(api, result["job_id"])
    times = [moment(job, name) for name in ("created_at", "started_at", "completed_at")]
    known = [at.timestamp() for at in times if at is not None]
    assert times[0] is not None, "created_at is missing"
    assert known == sorted(known), "created, started, completed are not in this order"
    # A server accepts signatures of clocks that are so far from its own, and ours was.
    assert before - WINDOW_SECONDS <= known[0]
    assert known[-1] <= after + WINDOW_SECONDS


def moment(job: Mapping[str, Any], name: str) -> datetime | None:
    if name not in job:
        return None
    at = datetime.fromisoformat(job[name])
    assert at.utcoffset() == timedelta(0), f"{name} is not in UTC: {job[name]}"
    return at


@with_files
def test_the_total_time_is_that_of_the_program_at_least_and_of_the_request_at_most(
    api: Api, programs: Programs, operation_id: str
) -> None:
    began = time.monotonic()
    result = run(api, operation_id, programs.some("pause"), env={"PAUSE": "0.5"})
    took_ms = (time.monotonic() - began) * 1000
    assert 500 <= ended(api, result["job_id"])["total_time_ms"] <= took_ms + 1000
