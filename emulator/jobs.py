"""Jobs: every execution leaves one, whether its sender waited for it or not."""

import asyncio
import logging
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum

from emulator import ids
from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import JobNotFound, PendingLimited
from emulator.stop import Stop
from emulator.store.documents import Document
from emulator.store.jobs import JobRecord, JobStore, weight_of

logger = logging.getLogger(__name__)

LISTED_SECONDS = 3600
"""How long after its end a job is listed: the documentation lists "active" ones, one of them ended.

It can be read for as long as it is kept."""

LISTED_JOBS = 1000
"""Ended jobs that a list holds at most; those that have not ended are bounded by settings."""

_MEMORY_BYTES = 64 * 1024 * 1024
_JOB_BYTES = 2048
_QUEUED_BYTES = 256 * 1024 * 1024
"""Results that are not on disk yet; with more, no further program is started."""

_RECORD_AFTER_SECONDS = 1


class JobStatus(StrEnum):
    """Where a job is; the last four are final."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


_ENDS = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TIMEOUT, JobStatus.CANCELLED})
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.RUNNING: _ENDS,
    **dict.fromkeys(_ENDS, frozenset()),
}
"""What each status may be followed by; nothing goes backwards, and an end stays one."""

EMULATOR_ENDED: Document = {
    "success": False,
    "error": "The emulator ended before the job did; run the program again",
}
"""The result of a job that nobody carries out any more."""


class IllegalTransition(RuntimeError):
    """A job was about to become what it cannot be any more: a fault of the emulator."""


class Job:
    """One execution, live. `bytes` is about what its program takes while it waits."""

    def __init__(self, record: JobRecord, bytes_: int) -> None:
        self.record = record
        self.bytes = bytes_
        self.result_bytes = 0
        self.stop = Stop()
        self.ended = asyncio.Event()
        self.recording: asyncio.TimerHandle | None = None
        self.waits_for: str | None = None

    def wait_for(self, told: str) -> None:
        """Have it told, until the job starts, what that takes so long."""
        self.waits_for = told

    @property
    def id(self) -> str:
        return self.record.job_id

    @property
    def owner(self) -> str:
        return self.record.owner

    @property
    def status(self) -> JobStatus:
        return JobStatus(self.record.status)


@dataclass(slots=True)
class _Backlog:
    """What waits of one account."""

    jobs: int = 0
    bytes: int = 0


class Jobs:
    """Live jobs in memory, finished ones in the store for `retention` seconds.

    The latest finished jobs stay in memory too, within a bound, so that polling needs no SQL.
    """

    def __init__(
        self,
        store: JobStore,
        clock: Clock,
        *,
        retention: int,
        pending_jobs: int,
        pending_bytes: int,
    ) -> None:
        """Take over what the store has; what had not ended has failed.

        Args:
            store: where jobs are kept.
            clock: tells their times.
            retention: seconds after its end that a job can be read.
            pending_jobs: how many of an account may wait for their start.
            pending_bytes: how much memory their programs may take together.
        """
        self._store = store
        self._clock = clock
        self._retention = retention
        self._pending_jobs = pending_jobs
        self._pending_bytes = pending_bytes
        self._jobs: dict[str, Job] = {}
        self._unsaved: dict[str, dict[str, Job]] = {}
        """By account, the jobs whose end the store does not have yet, the oldest first."""
        self._backlogs: dict[str, _Backlog] = {}
        self._saved: OrderedDict[str, int] = OrderedDict()
        """The other jobs, and about how many bytes of memory each takes."""
        self._saved_bytes = 0
        self._queued_bytes = 0
        self._disk_keeps_up = asyncio.Event()
        store.end_unfinished(JobStatus.FAILED, clock.time(), EMULATOR_ENDED)

    # --- from begin to end -----------------------------------------------------------------

    def begin(self, account: Account, known: Document, bytes_: int) -> Job:
        """A pending job of `account`; `known` are the fields that are certain from the start.

        Raises:
            PendingLimited: as many jobs of the account, or as large ones, wait as may.
        """
        owner = account.public_key
        self._wait_in_line(account, bytes_)
        record = JobRecord(ids.job_id(), owner, known, self._clock.time(), JobStatus.PENDING)
        job = self._jobs[record.job_id] = Job(record, bytes_)
        self._unsaved.setdefault(owner, {})[record.job_id] = job
        loop = asyncio.get_running_loop()
        job.recording = loop.call_later(_RECORD_AFTER_SECONDS, self.record, job)
        return job

    def record(self, job: Job, *, urgent: bool = False) -> "Future[None]":
        """Queue a job that has not ended for the store: after a crash it will know of it.

        Done by itself for a job that takes longer than a moment.
        """
        _cancel(job.recording)
        return self._store.save(job.record, urgent=urgent)

    async def room(self) -> None:
        """Return when a further result can be kept: what programs print may outrun the disk."""
        while self._queued_bytes > _QUEUED_BYTES:
            self._disk_keeps_up.clear()
            await self._disk_keeps_up.wait()

    def start(self, job: Job) -> None:
        """The job has its container, and its ttl begins."""
        self._move(job, JobStatus.RUNNING)
        job.record.started_at = self._clock.time()

    def finish(self, job: Job, status: JobStatus, result: Document) -> None:
        """End a job with its result and queue it for the store."""
        self._move(job, status)
        job.record.completed_at = self._clock.time()
        job.record.result = result
        job.result_bytes = _JOB_BYTES + weight_of(result)
        self._queued_bytes += job.result_bytes
        job.ended.set()
        saved = self.record(job)
        loop = asyncio.get_running_loop()
        saved.add_done_callback(lambda it: loop.call_soon_threadsafe(self._keep, job, it))

    def _move(self, job: Job, status: JobStatus) -> None:
        before = job.status
        if status not in TRANSITIONS[before]:
            raise IllegalTransition(f"job {job.id} is {before} and cannot become {status}")
        job.record.status = status
        if before is JobStatus.PENDING:
            backlog = self._backlogs[job.owner]
            backlog.jobs -= 1
            backlog.bytes -= job.bytes
            if backlog.jobs == 0:
                del self._backlogs[job.owner]

    def _wait_in_line(self, account: Account, bytes_: int) -> None:
        backlog = self._backlogs.get(account.public_key) or _Backlog()
        if backlog.jobs >= self._pending_jobs:
            reason = f"{self._pending_jobs} jobs of this key wait already (setting pending_jobs)"
        elif backlog.bytes + bytes_ > self._pending_bytes:
            reason = (
                f"The jobs of this key that wait hold {backlog.bytes} bytes of code and files, "
                f"with this one more than {self._pending_bytes} (setting pending_memory)"
            )
        else:
            backlog.jobs += 1
            backlog.bytes += bytes_
            self._backlogs[account.public_key] = backlog
            return
        raise PendingLimited(f"{reason}; wait until some have started, or cancel some")

    def _keep(self, job: Job, saved: "Future[None]") -> None:
        """Of what the store has, memory keeps the newest, up to a bound."""
        error = saved.exception()
        if error is not None:
            told = "job %s cannot be stored and is lost soon: %s"
            logger.error(told, job.id, error, extra={"account": job.owner})
        unsaved = self._unsaved[job.owner]
        del unsaved[job.id]
        if not unsaved:
            del self._unsaved[job.owner]
        self._queued_bytes -= job.result_bytes
        self._disk_keeps_up.set()
        self._saved[job.id] = job.result_bytes
        self._saved_bytes += job.result_bytes
        while self._saved_bytes > _MEMORY_BYTES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        job_id, weight = self._saved.popitem(last=False)
        self._saved_bytes -= weight
        del self._jobs[job_id]

    # --- reading ---------------------------------------------------------------------------

    def live(self, job_id: str, account: Account) -> Job | None:
        """An account's own job, if it has not ended or not long ago."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.owner == account.public_key else None

    async def get(self, job_id: str, account: Account) -> Document:
        """The document of an account's own job; raises JobNotFound."""
        since = self._clock.time() - self._retention
        job = self._jobs.get(job_id)
        record = job.record if job is not None else None
        if record is None:
            read = self._store.get
            record = await asyncio.to_thread(read, job_id, account.public_key, since)
        if record is None or record.owner != account.public_key or not _ended_since(record, since):
            raise JobNotFound("No job of this key has this id; finished jobs are kept for a while")
        document = self.document(record)
        if job is not None and job.waits_for and job.status is JobStatus.PENDING:
            document["message"] = job.waits_for
        return document

    async def listing(self, account: Account, limit: int | None) -> list[Document]:
        """An account's jobs that have not ended or ended lately, the newest first, no results."""
        owner = account.public_key
        records = {id_: job.record for id_, job in self._unsaved.get(owner, {}).items()}
        since = self._clock.time() - min(self._retention, LISTED_SECONDS)
        for record in await asyncio.to_thread(self._store.ended, owner, since, LISTED_JOBS):
            records.setdefault(record.job_id, record)
        listed = [record for record in records.values() if _ended_since(record, since)]
        listed.sort(key=lambda record: record.created_at, reverse=True)
        return [self._summary(record) for record in listed[:limit]]

    def running(self, account: Account) -> list[str]:
        """Ids of an account's jobs whose program runs, the oldest first."""
        jobs = self._unsaved.get(account.public_key, {})
        return [job.id for job in jobs.values() if job.status is JobStatus.RUNNING]

    def document(self, record: JobRecord) -> Document:
        """What is known of a job now."""
        times = {
            name: self._clock.isoformat(at)
            for name in ("started_at", "completed_at")
            if (at := getattr(record, name)) is not None
        }
        return {**self._summary(record), **times, **record.result}

    def _summary(self, record: JobRecord) -> Document:
        return {
            "job_id": record.job_id,
            "status": record.status,
            **record.known,
            "created_at": self._clock.isoformat(record.created_at),
        }

    def expire(self) -> None:
        """Forget finished jobs past their retention."""
        before = self._clock.time() - self._retention
        while self._saved:
            ended = self._jobs[next(iter(self._saved))].record.completed_at
            if ended is None or ended >= before:
                break
            self._forget_oldest()
        self._store.expire(before)


def _ended_since(record: JobRecord, since: float) -> bool:
    """Whether a job has not ended, or did at `since` or later."""
    return record.completed_at is None or record.completed_at >= since


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
