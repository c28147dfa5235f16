"""The life of a job in memory and on disk: where it can go, what waits, what is forgotten."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from emulator.accounts import DEFAULT_ACCOUNT
from emulator.clock import Clock
from emulator.errors import JobNotFound, PendingLimited
from emulator.jobs import TRANSITIONS, IllegalTransition, Job, Jobs, JobStatus
from emulator.store.database import Database
from emulator.store.jobs import JobStore
from tests.client import test_account

MIB = 1024 * 1024
OTHER = test_account("free")
KNOWN: dict[str, object] = {"language": "bash", "network_mode": "zerotrust"}
ENDS = {status for status, following in TRANSITIONS.items() if not following}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path) as made:
        yield made


def jobs_of(database: Database, clock: Clock | None = None, **limits: int) -> Jobs:
    chosen = {"retention": 3600, "pending_jobs": 10, "pending_bytes": 1000, **limits}
    return Jobs(JobStore(database, 64 * MIB), clock or Clock(), **chosen)


def begun(jobs: Jobs) -> Job:
    return jobs.begin(DEFAULT_ACCOUNT, KNOWN, 0)


def move(jobs: Jobs, job: Job, status: JobStatus) -> None:
    if status is JobStatus.RUNNING:
        jobs.start(job)
    else:
        jobs.finish(job, status, {"success": False})


def in_a_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def test_the_table_of_transitions_is_whole_and_goes_forwards_only() -> None:
    assert TRANSITIONS.keys() == set(JobStatus)
    assert {JobStatus.PENDING, JobStatus.RUNNING} | ENDS == set(JobStatus)
    assert all(JobStatus.PENDING not in following for following in TRANSITIONS.values())


@pytest.mark.parametrize(
    ("before", "after"),
    list(product([JobStatus.RUNNING, *sorted(ENDS)], [JobStatus.RUNNING, *sorted(ENDS)])),
)
def test_a_job_moves_as_the_table_says_and_no_other_way(
    database: Database, before: JobStatus, after: JobStatus
) -> None:
    async def work() -> None:
        jobs = jobs_of(database)
        job = begun(jobs)
        if before in ENDS - TRANSITIONS[JobStatus.PENDING]:
            move(jobs, job, JobStatus.RUNNING)
        move(jobs, job, before)
        if after in TRANSITIONS[before]:
            move(jobs, job, after)
            assert job.status is after
        else:
            with pytest.raises(IllegalTransition):
                move(jobs, job, after)
            assert job.status is before

    in_a_loop(work)


def test_the_times_of_a_job_follow_its_moves(database: Database) -> None:
    async def work() -> None:
        clock = Clock()
        jobs = jobs_of(database, clock)
        job = begun(jobs)
        assert jobs.document(job.record).keys() == {"job_id", "status", "created_at", *KNOWN}
        clock.advance(10)
        jobs.start(job)
        clock.advance(20)
        jobs.finish(job, JobStatus.COMPLETED, {"stdout": "x"})
        document = await jobs.get(job.id, DEFAULT_ACCOUNT)
        assert document["created_at"] < document["started_at"] < document["completed_at"]  # type: ignore[operator]
        assert document["stdout"] == "x"

    in_a_loop(work)


def test_only_so_many_jobs_of_an_account_wait(database: Database) -> None:
    async def work() -> None:
        jobs = jobs_of(database, pending_jobs=2)
        first, second = begun(jobs), begun(jobs)
        with pytest.raises(PendingLimited, match="pending_jobs") as refusal:
            begun(jobs)
        assert refusal.value.status == 429
        jobs.begin(OTHER, KNOWN, 0)
        jobs.start(first)
        begun(jobs)
        jobs.finish(second, JobStatus.CANCELLED, {})
        begun(jobs)
        with pytest.raises(PendingLimited):
            begun(jobs)

    in_a_loop(work)


def test_what_the_waiting_jobs_of_an_account_hold_is_bounded(database: Database) -> None:
    async def work() -> None:
        jobs = jobs_of(database, pending_bytes=1000)
        first = jobs.begin(DEFAULT_ACCOUNT, KNOWN, 600)
        with pytest.raises(PendingLimited, match="600 bytes"):
            jobs.begin(DEFAULT_ACCOUNT, KNOWN, 401)
        jobs.begin(OTHER, KNOWN, 1000)
        jobs.start(first)
        jobs.begin(DEFAULT_ACCOUNT, KNOWN, 1000)

    in_a_loop(work)


def test_a_job_can_be_read_until_its_retention_is_over_and_by_its_account_alone(
    database: Database,
) -> None:
    async def work() -> None:
        clock = Clock()
        jobs = jobs_of(database, clock, retention=60)
        job = begun(jobs)
        jobs.finish(job, JobStatus.FAILED, {})
        clock.advance(30)
        await jobs.get(job.id, DEFAULT_ACCOUNT)
        with pytest.raises(JobNotFound):
            await jobs.get(job.id, OTHER)
        assert await jobs.listing(OTHER, None) == []
        clock.advance(40)
        with pytest.raises(JobNotFound):
            await jobs.get(job.id, DEFAULT_ACCOUNT)

    in_a_loop(work)


def test_what_memory_has_no_room_for_is_read_from_the_store(database: Database) -> None:
    async def work() -> None:
        jobs = jobs_of(database)
        ended = []
        for number in range(9):
            job = begun(jobs)
            jobs.finish(job, JobStatus.FAILED, {"stdout": str(number) * 10 * MIB})
            ended.append(job.id)
        await asyncio.wrap_future(database.submit(lambda _: None))
        await asyncio.sleep(0)
        in_memory = [job_id for job_id in ended if jobs.live(job_id, DEFAULT_ACCOUNT) is not None]
        assert 0 < len(in_memory) < 9
        for number, job_id in enumerate(ended):
            document = await jobs.get(job_id, DEFAULT_ACCOUNT)
            assert document["stdout"] == str(number) * 10 * MIB
        assert len(await jobs.listing(DEFAULT_ACCOUNT, None)) == 9

    in_a_loop(work)


def test_results_that_outrun_the_disk_hold_up_what_comes_next(database: Database) -> None:
    async def work() -> None:
        jobs = jobs_of(database)
        blocked = threading.Event()

        def write(_: Connection) -> None:
            blocked.wait(30)

        database.submit(write)
        await jobs.room()
        text = "x" * 100 * MIB
        for _ in range(3):
            jobs.finish(begun(jobs), JobStatus.FAILED, {"stdout": text})
        waiting = asyncio.create_task(jobs.room())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        blocked.set()
        await waiting

    in_a_loop(work)


def test_the_list_has_the_newest_first_and_forgets_what_ended_long_ago(database: Database) -> None:
    async def work() -> None:
        clock = Clock()
        jobs = jobs_of(database, clock, retention=86_400)
        old = begun(jobs)
        jobs.finish(old, JobStatus.FAILED, {"stdout": "never in a list"})
        waiting = begun(jobs)
        clock.advance(3000)
        late = begun(jobs)
        jobs.finish(late, JobStatus.FAILED, {})
        listed = await jobs.listing(DEFAULT_ACCOUNT, None)
        assert [job["job_id"] for job in listed] == [late.id, waiting.id, old.id]
        assert listed[0].keys() == {"job_id", "status", "created_at", *KNOWN}
        clock.advance(1000)
        listed = await jobs.listing(DEFAULT_ACCOUNT, None)
        assert [job["job_id"] for job in listed] == [late.id, waiting.id]
        assert len(await jobs.listing(DEFAULT_ACCOUNT, 1)) == 1

    in_a_loop(work)


def test_what_did_not_end_before_the_emulator_has_failed_and_says_why(database: Database) -> None:
    async def work() -> None:
        before = jobs_of(database)
        waiting, running, ended = begun(before), begun(before), begun(before)
        before.start(running)
        before.finish(ended, JobStatus.CANCELLED, {"stdout": "kept"})
        await asyncio.gather(
            *(asyncio.wrap_future(before.record(job)) for job in (waiting, running))
        )
        after = jobs_of(database)
        for job in (waiting, running):
            document = await after.get(job.id, DEFAULT_ACCOUNT)
            assert (document["status"], document["success"]) == ("failed", False)
            assert "ended before the job did" in str(document["error"])
            assert document["completed_at"] >= document["created_at"]  # type: ignore[operator]
        assert (await after.get(ended.id, DEFAULT_ACCOUNT))["stdout"] == "kept"

    in_a_loop(work)
