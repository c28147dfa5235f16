"""Jobs: every execution leaves one, whether its sender waited for it or not."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from emulator import ids
from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import JobNotFound
from emulator.store.jobs import Document, JobStore

_MEMORY_BYTES = 64 * 1024 * 1024
_DOCUMENT_BYTES = 1024


class JobStatus(StrEnum):
    """Where a job is; the last three are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"


@dataclass(eq=False, slots=True)
class Job:
    """One execution; `document` is what `GET /jobs/{id}` answers, `bytes` about its size."""

    id: str
    owner: str
    document: Document
    ended: float | None = None
    bytes: int = _DOCUMENT_BYTES


class Jobs:
    """Live jobs in memory, finished ones in the store for `retention` seconds.

    The latest finished jobs stay in memory too, within a bound, so that polling needs no SQL.
    """

    def __init__(self, store: JobStore, clock: Clock, retention: int) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._stored: OrderedDict[str, Job] = OrderedDict()
        self._stored_bytes = 0

    def begin(self, account: Account, known: Document) -> Job:
        """A running job of `account`; `known` are the fields that are certain from the start."""
        now = self._clock.isoformat()
        job_id = ids.job_id()
        document = {
            "job_id": job_id,
            "id": job_id,
            "status": JobStatus.RUNNING,
            "created_at": now,
            "started_at": now,
            **known,
        }
        job = self._jobs[job_id] = Job(job_id, account.public_key, document)
        return job

    def finish(self, job: Job, status: JobStatus, result: Document) -> None:
        """End a job with its result and write it to the store."""
        job.ended = self._clock.time()
        completed_at = self._clock.isoformat(job.ended)
        job.document |= {**result, "status": status, "completed_at": completed_at}
        job.bytes += sum(len(value) for value in result.values() if isinstance(value, str))
        saved = self._store.save(job.id, job.owner, job.ended, job.document)
        loop = asyncio.get_running_loop()
        saved.add_done_callback(lambda _: loop.call_soon_threadsafe(self._saved, job))

    def get(self, job_id: str, account: Account) -> Document:
        """The document of an account's own job; raises JobNotFound."""
        oldest = self._clock.time() - self._retention
        job = self._jobs.get(job_id)
        if job is None:
            document = self._store.get(job_id, account.public_key, oldest)
        elif job.owner == account.public_key and (job.ended is None or job.ended >= oldest):
            document = job.document
        else:
            document = None
        if document is None:
            raise JobNotFound("No job of this key has this id; finished jobs are kept for a while")
        return document

    def running(self, account: Account) -> list[str]:
        """Ids of an account's jobs that have not ended, the oldest first."""
        owner = account.public_key
        return [job.id for job in self._jobs.values() if job.owner == owner and job.ended is None]

    def expire(self) -> None:
        """Forget finished jobs past their retention."""
        self._store.expire(self._clock.time() - self._retention)

    def _saved(self, job: Job) -> None:
        """Of what the store has, memory keeps the newest, up to a bound."""
        self._stored[job.id] = job
        self._stored_bytes += job.bytes
        while self._stored_bytes > _MEMORY_BYTES:
            _, oldest = self._stored.popitem(last=False)
            self._stored_bytes -= oldest.bytes
            del self._jobs[oldest.id]
