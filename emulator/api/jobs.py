"""`/jobs`: what became of executions, and their end by request."""

from contextlib import suppress

from emulator import compat
from emulator.api.call import HUNG_UP, Call, Json, Reply
from emulator.emulator import Emulator
from emulator.errors import JobEnded
from emulator.jobs import JobStatus
from emulator.results import shown
from emulator.stop import Stop, Stopped

JOBS_OBJECT = "application/vnd.unsandbox.jobs+json"
"""Media type whose acceptance asks for the object form of a list."""

CANCELLED = "Job cancelled"
_CANCEL_ANSWER = (
    "job_id", "status", "completed_at", "stdout", "stderr", "stdout_truncated", "stderr_truncated",
    "exit_code", "artifacts", "artifacts_skipped", "artifact", "wasm_artifact",
)  # fmt: skip


async def list_jobs(emulator: Emulator, call: Call) -> Reply:
    """The sender's jobs, the newest first: an array, or an object where that is asked for."""
    limit = call.query.get("limit")
    jobs = await emulator.jobs.listing(call.account, limit if isinstance(limit, int) else None)
    listed = [shown(job) for job in jobs]
    if not _as_object(emulator, call):
        return Reply(listed)
    return Reply({"jobs": listed, "count": len(listed)})


def _as_object(emulator: Emulator, call: Call) -> bool:
    form = call.query.get("format")
    if form is not None:
        return form == "object"
    if "limit" in call.query or JOBS_OBJECT in call.headers.get("accept", ""):
        return True
    return not emulator.settings.strict and compat.wants_jobs_object(call.headers, call.exchange)


async def get_job(emulator: Emulator, call: Call) -> Reply:
    """The sender's own job; another account's does not exist for it."""
    return Reply(shown(await emulator.jobs.get(call.path["id"], call.account)))


async def wait_job(emulator: Emulator, call: Call) -> Reply:
    """The job once it has ended."""
    job = emulator.jobs.live(call.path["id"], call.account)
    if job is not None:
        waiting = Stop()
        with suppress(Stopped):
            async with (
                call.when_sender_hangs_up(lambda: waiting.request(HUNG_UP)),
                waiting.heeded(emulator.clock, None),
            ):
                await job.ended.wait()
    return await get_job(emulator, call)


async def cancel_job(emulator: Emulator, call: Call) -> Reply:
    """End a job and answer with what it made; a second time too, so that it can be sent again.

    Raises:
        JobEnded: it ended by itself.
    """
    job = emulator.jobs.live(call.path["id"], call.account)
    if job is not None:
        job.stop.request(CANCELLED)
        await job.ended.wait()
    document = await emulator.jobs.get(call.path["id"], call.account)
    if document["status"] != JobStatus.CANCELLED:
        raise JobEnded(f"The job is {document['status']}; GET /jobs/{{id}} has its result")
    answer: Json = {name: document[name] for name in _CANCEL_ANSWER if name in document}
    answer |= {"message": document["message"], "success": True}
    return Reply(shown({"artifacts": [], **answer}))
