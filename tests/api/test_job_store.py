"""What hostile programs print cannot fill the host's disk."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_jobs import submit
from tests.client import Client
from tests.server import running, settings

MIB = 1024 * 1024
BUDGET_MIB = 64
SLACK = 40 * MIB
"""The write-ahead log holds one large result or a batch of small ones beside the file."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def own_client(directory: Path) -> Iterator[Client]:
    flags = {"languages": "bash", "pool_size": "1", "job_store": str(BUDGET_MIB)}
    with running(settings(directory, **flags)) as server:
        made = Client(server.api)
        yield made
        made.close()


def size_of(directory: Path) -> int:
    return sum(file.stat().st_size for file in (directory / "data").rglob("*") if file.is_file())


def largest_while_running(client: Client, directory: Path, job_id: str) -> int:
    """The most bytes that the data directory had before the job's end was listed."""
    largest = 0
    end = time.monotonic() + 120
    while client.get("/jobs?limit=1").json()["jobs"][0]["status"] in ("pending", "running"):
        largest = max(largest, size_of(directory))
        assert time.monotonic() < end, job_id
        time.sleep(0.05)
    return max(largest, size_of(directory))


HOSTILE = {
    "NUL bytes": "head -c 16777216 /dev/zero; head -c 16777216 /dev/zero >&2",
    "noise": "head -c 16777216 /dev/urandom; head -c 16777216 /dev/urandom >&2",
    "noise as artifacts": "head -c 16777216 /dev/urandom > /tmp/artifacts/noise",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_output_does_not_fill_the_host_s_disk(
    own_client: Client, directory: Path, name: str
) -> None:
    for _ in range(4):
        job_id = submit(own_client, HOSTILE[name], return_artifact=True)
        largest = largest_while_running(own_client, directory, job_id)
        assert largest < BUDGET_MIB * MIB + SLACK
    assert own_client.get(f"/jobs/{job_id}").json()["status"] == "completed"


def test_the_latest_result_is_whole_in_spite_of_the_budget(own_client: Client) -> None:
    job_id = submit(own_client, HOSTILE["NUL bytes"])
    job = own_client.get(f"/jobs/{job_id}/wait").json()
    assert job["stdout"] == job["stderr"] == "\0" * 16 * MIB
