"""Who waits for what and in which order: accounts are served in turn; what waits is bounded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.store.database import Database
from emulator.store.jobs import JobRecord, JobStore
from tests.api.test_jobs import ended, job_in, job_of, submit
from tests.client import Client, test_account
from tests.server import Server, running, settings

MANY = 500
ONE_AT_A_TIME = {"languages": "bash", "pool_size": "1", "memory_budget": "2048"}


def submit_many(server: Server, count: int) -> list[str]:
    """Jobs of the default account that each run for a moment, in order."""
    client = Client(server.api)
    job_ids = [submit(client, "sleep 0.3") for _ in range(count)]
    client.close()
    return job_ids


def starts(server: Server, client: Client, job_ids: list[str]) -> list[float]:
    """When those of the account's jobs that have started did."""

    async def read() -> list[float | None]:
        jobs = [server.emulator.jobs.live(job_id, client.account) for job_id in job_ids]
        return [job.record.started_at for job in jobs if job is not None]

    return [at for at in server.call(read()) if at is not None]


def test_with_500_jobs_waiting_the_first_of_another_account_starts_in_the_next_round(
    tmp_path: Path,
) -> None:
    chosen = settings(tmp_path, **ONE_AT_A_TIME)
    with running(chosen) as server:
        client, other = Client(server.api), Client(server.api, test_account("free"))
        waiting = submit_many(server, MANY)
        first = submit(other, "echo mine")
        accepted = server.emulator.clock.time()
        job = server.emulator.jobs.live(first, other.account)
        assert job is not None
        assert ended(other, first)["stdout"] == "mine\n"
        assert job.record.started_at is not None
        between = [
            at for at in starts(server, client, waiting) if accepted < at < job.record.started_at
        ]
        assert len(between) <= 2  # the one that waited for its container already, and one turn
        unfinished = [id_ for id_ in waiting if job_of(client, id_)["status"] == "pending"]
        assert len(unfinished) > MANY // 2
        client.close()
        other.close()
    with Database(chosen.data_dir) as database:
        kept = [read(database, job_id, client.account.public_key) for job_id in waiting]
    assert {record.status for record in kept} == {"completed", "failed"}
    assert all(record.status == "failed" for record in kept[-len(unfinished) // 2 :])


def read(database: Database, job_id: str, owner: str) -> JobRecord:
    record = JobStore(database, 1 << 30).get(job_id, owner, 0)
    assert record is not None
    return record


def test_a_large_job_starts_in_spite_of_many_small_ones(tmp_path: Path) -> None:
    flags = {**ONE_AT_A_TIME, "memory_budget": "4096"}
    with running(settings(tmp_path, **flags)) as server:
        client, other = Client(server.api), Client(server.api, test_account("free"))
        waiting = submit_many(server, 100)
        large = submit(other, "echo large", vcpu=2)
        assert ended(other, large)["stdout"] == "large\n"
        assert job_of(client, waiting[-1])["status"] == "pending"
        client.close()
        other.close()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A machine on which one program runs at a time, and little may wait."""
    flags = {**ONE_AT_A_TIME, "pending_jobs": "3", "pending_memory": "32"}
    with running(settings(tmp_path_factory.mktemp("fairness"), **flags)) as made:
        yield made


@pytest.fixture
def held(own_server: Server) -> Iterator[Client]:
    """The default account's client, while a job of another account holds the machine."""
    client, holder = Client(own_server.api), Client(own_server.api, test_account("free"))
    job_id = submit(holder, "sleep 4721", ttl=900)
    job_in(holder, job_id, "running")
    yield client
    for job in client.get("/jobs").json():
        client.send("DELETE", f"/jobs/{job['job_id']}")
    holder.send("DELETE", f"/jobs/{job_id}")
    client.close()
    holder.close()


def test_more_jobs_than_may_wait_are_a_429_that_says_so(held: Client) -> None:
    for _ in range(3):
        submit(held, "true")
    for path in ("/execute/async", "/execute"):
        response = held.post(path, {"language": "bash", "code": "true"})
        assert (response.status_code, response.json()["code"]) == (429, "PENDING_LIMIT")
        assert response.json()["error"] == "concurrency_limit_reached"
        assert "pending_jobs" in response.json()["details"]


def test_what_waiting_jobs_hold_is_bounded(held: Client) -> None:
    code = "#" * 15_000_000
    assert len([submit(held, code), submit(held, code)]) == 2
    response = held.post("/execute/async", {"language": "bash", "code": code})
    assert (response.status_code, response.json()["code"]) == (429, "PENDING_LIMIT")
    assert "pending_memory" in response.json()["details"]
    submit(held, "true")


def test_beyond_the_slots_a_call_is_refused_at_once_and_a_job_waits(server: Server) -> None:
    client = Client(server.api, test_account("one slot"))
    first = submit(client, "sleep 30; echo first")
    job_in(client, first, "running")
    second = submit(client, "echo second")
    response = client.post("/execute", {"language": "bash", "code": "true"})
    assert (response.status_code, response.json()["code"]) == (429, "CONCURRENCY_LIMIT")
    assert job_of(client, second)["status"] == "pending"
    client.send("DELETE", f"/jobs/{first}")
    assert ended(client, second)["stdout"] == "second\n"
    client.close()


def test_jobs_of_one_account_start_in_the_order_of_their_coming(own_server: Server) -> None:
    client = Client(own_server.api, test_account("one slot"))
    with ThreadPoolExecutor(1) as threads:
        job_ids = list(threads.map(lambda _: submit(client, "true"), range(3)))
    for job_id in job_ids:
        ended(client, job_id)
    times = starts(own_server, client, job_ids)
    assert times == sorted(times)
    client.close()
