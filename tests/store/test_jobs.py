"""What finished jobs take on disk: little, and within a budget."""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.store.database import Database
from emulator.store.documents import pack, unpack
from emulator.store.jobs import JobRecord, JobStore, fair_share

MIB = 1024 * 1024
OWNER = "unsb-pk-test-0000-0000-0001"
KNOWN: dict[str, object] = {"language": "bash", "network_mode": "zerotrust"}
ARTIFACT = {"type": "base64", "filename": "a", "data": "eA=="}
SLACK = 16 * MIB
"""What a batch may hold in the write-ahead log, and pages that are not full."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path) as made:
        yield made


def ended(number: int, stdout: str = "", owner: str = OWNER) -> JobRecord:
    result: dict[str, object] = {"success": True, "stdout": stdout, "stderr": "", "exit_code": 0}
    return JobRecord(f"job-{number}", owner, KNOWN, number, "completed", number, number, result)


def noise(size: int) -> str:
    """Text that cannot be compressed by much."""
    return random.Random(size).randbytes(size).decode("latin-1")  # noqa: S311 - no secret


def size_of(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def test_a_document_comes_back_as_it_was(database: Database) -> None:
    store = JobStore(database, 64 * MIB)
    record = ended(1, "\0\x1b\ufffd💩\n" * 1000)
    store.save(record).result()
    assert store.get(record.job_id, OWNER, 0) == record
    assert store.get(record.job_id, "unsb-pk-other", 0) is None
    assert store.get(record.job_id, OWNER, 2) is None


def test_nul_bytes_take_next_to_nothing() -> None:
    document: dict[str, object] = {"stdout": "\0" * 16 * MIB}
    packed = pack(document)
    assert len(packed) < 200_000
    assert unpack(packed) == document


def test_results_stay_within_their_budget_and_the_oldest_go_first(
    tmp_path: Path, database: Database
) -> None:
    store = JobStore(database, 16 * MIB)
    for number in range(30):
        store.save(ended(number, noise(MIB))).result()
        assert size_of(tmp_path) < 16 * MIB + SLACK
    kept = [number for number in range(30) if store.get(f"job-{number}", OWNER, 0) is not None]
    assert 5 < len(kept) < 17
    assert kept == list(range(30 - len(kept), 30))


def test_many_small_jobs_stay_within_the_budget_too(tmp_path: Path, database: Database) -> None:
    store = JobStore(database, 2 * MIB)
    for number in range(5000):
        saved = store.save(ended(number, "hi\n"))
    saved.result()
    assert size_of(tmp_path) < 2 * MIB + SLACK
    assert store.get("job-4999", OWNER, 0) is not None
    assert store.get("job-0", OWNER, 0) is None


def test_who_stores_much_loses_its_own_results_and_nobody_else_s(database: Database) -> None:
    store = JobStore(database, 16 * MIB)
    other = "unsb-pk-test-0000-0000-0002"
    for number in range(3):
        store.save(ended(number, noise(MIB), other)).result()
    for number in range(3, 40):
        store.save(ended(number, noise(MIB))).result()
    assert all(store.get(f"job-{number}", other, 0) for number in range(3))
    assert store.get("job-3", OWNER, 0) is None


@pytest.mark.parametrize(
    ("totals", "share"), [([], 12), ([4, 5], 12), ([2, 20, 30], 5), ([20, 2], 10), ([9, 9, 9], 4)]
)
def test_a_share_is_the_largest_that_fits(totals: list[int], share: int) -> None:
    assert fair_share(totals, 12) == share
    assert sum(min(total, share) for total in totals) <= 12


def test_a_result_larger_than_the_whole_budget_keeps_what_is_short(database: Database) -> None:
    store = JobStore(database, MIB)
    store.save(ended(1)).result()
    store.save(ended(2, noise(2 * MIB))).result()
    small, large = store.get("job-1", OWNER, 0), store.get("job-2", OWNER, 0)
    assert small is not None
    assert large is not None
    assert (large.result["stdout"], large.result["exit_code"]) == ("", 0)
    assert "job_store" in str(large.result["message"])


def test_jobs_that_have_not_ended_are_never_dropped(database: Database) -> None:
    store = JobStore(database, MIB)
    waiting = JobRecord("waiting", OWNER, KNOWN, 0, "pending")
    store.save(waiting)
    for number in range(4):
        store.save(ended(number, noise(MIB // 2))).result()
    store.end_unfinished("failed", 5, {"error": "why"})
    record = store.get("waiting", OWNER, 0)
    assert record is not None
    assert (record.status, record.result) == ("failed", {"error": "why"})


def test_space_of_what_has_expired_is_given_back(tmp_path: Path, database: Database) -> None:
    store = JobStore(database, 64 * MIB)
    for number in range(20):
        store.save(ended(number, noise(MIB))).result()
    assert size_of(tmp_path) > 20 * MIB
    store.expire(19)
    while size_of(tmp_path) > 4 * MIB:
        database.submit(lambda _: None).result()
    assert store.get("job-19", OWNER, 0) == ended(19, noise(MIB))


def test_jobs_of_an_older_file_are_taken_over(tmp_path: Path) -> None:
    document = {
        "job_id": "old", "id": "old", "status": "completed", "language": "bash",
        "network_mode": "zerotrust", "created_at": "2025-01-11T12:00:00Z",
        "started_at": "2025-01-11T12:00:00Z", "completed_at": "2025-01-11T12:00:05Z",
        "success": True, "stdout": "kept\n", "output": "kept\n", "stderr": "", "exit_code": 0,
        "total_time_ms": 5, "execution_time_ms": 5, "execution_time": 5,
        "artifacts": [{**ARTIFACT, "content_base64": "eA=="}],
    }  # fmt: skip
    old = sqlite3.connect(tmp_path / "emulator.sqlite3")
    old.executescript(
        "CREATE TABLE jobs (job_id VARCHAR PRIMARY KEY, owner VARCHAR NOT NULL,"
        " completed_at FLOAT NOT NULL, document BLOB NOT NULL);"
        "CREATE INDEX jobs_by_owner ON jobs (owner, completed_at);"
        "PRAGMA user_version = 1"
    )
    row = ("old", OWNER, 1736596805.25, json.dumps(document).encode())
    old.execute("INSERT INTO jobs VALUES (?, ?, ?, ?)", row)
    old.commit()
    old.close()
    with Database(tmp_path) as database:
        record = JobStore(database, 16 * MIB).get("old", OWNER, 0)
    assert record is not None
    assert (record.status, record.known) == ("completed", KNOWN)
    assert record.created_at == 1736596800
    assert record.completed_at == 1736596805.25
    assert record.result == {
        "success": True,
        "stdout": "kept\n",
        "stderr": "",
        "exit_code": 0,
        "total_time_ms": 5,
        "artifacts": [ARTIFACT],
    }
    with sqlite3.connect(tmp_path / "emulator.sqlite3") as after:
        assert after.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    after.close()


def test_the_file_stays_its_owner_s_alone(tmp_path: Path, database: Database) -> None:
    JobStore(database, MIB).save(ended(1, noise(2 * MIB))).result()
    assert len(list(tmp_path.iterdir())) > 1
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
