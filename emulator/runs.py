"""Jobs carried out: from their turn to their end, whether a request waits for them or not."""

import asyncio
import logging

from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.jobs import EMULATOR_ENDED, Job, Jobs, JobStatus
from emulator.limits import Slots
from emulator.results import STATUS, result
from emulator.sandbox.execution import Executor
from emulator.sandbox.origin import Origin
from emulator.sandbox.program import NEVER_STARTED, Outcome, Program
from emulator.stop import Stopped
from emulator.store.documents import Document

logger = logging.getLogger(__name__)


class Runs:
    """Takes jobs to their end; `close` ends those that are left."""

    def __init__(self, jobs: Jobs, slots: Slots, executor: Executor, clock: Clock) -> None:
        self._jobs = jobs
        self._slots = slots
        self._executor = executor
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def carry_out(self, job: Job, program: Program, *, patient: bool = False) -> None:
        """Run `program`, whose slot is taken, and end `job` with what comes of it.

        Raises:
            ApiError: the platform failed; the job has.
        """
        try:
            await self._jobs.room()
            outcome = await self._executor.run(
                program,
                origin=Origin(job.id, job.owner),
                stop=job.stop,
                started=lambda: self._jobs.start(job),
                told=job.wait_for,
                patient=patient,
            )
            self._end(job, program, outcome)
        except BaseException as error:
            if not job.ended.is_set():
                self._jobs.finish(job, JobStatus.FAILED, _failure(error))
            raise

    async def accept(self, job: Job, account: Account, program: Program) -> None:
        """Carry `job` out once the account has a slot; returns when the store knows of it."""
        try:
            await asyncio.wrap_future(self._jobs.record(job, urgent=True))
        except BaseException as error:
            self._jobs.finish(job, JobStatus.FAILED, _failure(error))
            raise
        task = asyncio.get_running_loop().create_task(self._later(job, account, program))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every accepted job that has not ended: nobody is left to carry it out."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _later(self, job: Job, account: Account, program: Program) -> None:
        """Never raises but when cancelled: the job tells what went wrong."""
        try:
            async with self._slots.wait(account, job.stop, self._clock):
                await self.carry_out(job, program, patient=True)
        except Stopped:
            self._end(job, program, NEVER_STARTED)
        except ApiError:
            return
        except asyncio.CancelledError:
            if not job.ended.is_set():
                self._jobs.finish(job, JobStatus.FAILED, EMULATOR_ENDED)
            raise
        except Exception:
            logger.exception("job %s failed", job.id, extra={"account": job.owner})

    def _end(self, job: Job, program: Program, outcome: Outcome) -> None:
        document = result(outcome, program)
        status = STATUS[outcome.ending]
        if status is JobStatus.CANCELLED and job.stop.reason is not None:
            document["message"] = job.stop.reason
        started = job.record.started_at
        seconds = 0 if started is None else max(0.001, self._clock.time() - started)
        document["total_time_ms"] = round(seconds * 1000)
        self._jobs.finish(job, status, document)


def _failure(error: BaseException) -> Document:
    if isinstance(error, ApiError):
        return {"success": False, "error": error.details}
    if isinstance(error, asyncio.CancelledError):
        return EMULATOR_ENDED
    return {"success": False, "error": "The emulator failed; its log tells more"}
