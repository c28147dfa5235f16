"""`/execute` and `/run`: a program in, its output and exit code back."""

from emulator.api.artifacts import artifact_fields
from emulator.api.call import Call, Json, Reply
from emulator.api.programs import check_wasm, detected_runtime, named_runtime, program
from emulator.emulator import Emulator
from emulator.errors import ApiError
from emulator.jobs import JobStatus
from emulator.sandbox.program import Ending, Outcome, Program, Stream
from emulator.sandbox.runtimes import Runtime

_STATUS = {
    Ending.EXITED: JobStatus.COMPLETED,
    Ending.OUT_OF_MEMORY: JobStatus.COMPLETED,
    Ending.TIMED_OUT: JobStatus.TIMEOUT,
}


async def execute(emulator: Emulator, call: Call) -> Reply:
    """Run `code` in `language` and answer when it has ended."""
    fields = call.fields
    runtime = named_runtime(emulator.catalogue, str(fields["language"]))
    work = _program(emulator, call, runtime, str(fields["code"]), fields)
    return Reply(await _run(emulator, call, work, {}))


async def run(emulator: Emulator, call: Call) -> Reply:
    """Run code that names its own language; fields come as query parameters or in a JSON body."""
    fields = {**call.query, **(call.body if isinstance(call.body, dict) else {})}
    code = call.body if isinstance(call.body, str) else str(fields["code"])
    runtime = detected_runtime(emulator.catalogue, code)
    work = _program(emulator, call, runtime, code, fields)
    return Reply(await _run(emulator, call, work, {"detected_language": runtime.name}))


def _program(emulator: Emulator, call: Call, runtime: Runtime, code: str, fields: Json) -> Program:
    check_wasm(emulator.catalogue, runtime, fields)
    return program(runtime, code, fields, call.account, call.exchange.engine_fault)


async def _run(emulator: Emulator, call: Call, work: Program, extra: Json) -> Json:
    with emulator.slots.hold(call.account):
        emulator.readiness.require()
        known: Json = {
            "language": work.runtime.name,
            "network_mode": work.network_mode,
            **extra,
        }
        job = emulator.jobs.begin(call.account, known)
        call.exchange.job_id = job.id
        began = emulator.clock.monotonic()
        try:
            outcome = await emulator.executor.run(work)
        except BaseException as error:
            emulator.jobs.finish(job, JobStatus.FAILED, _failure(error))
            raise
        milliseconds = max(1, round((emulator.clock.monotonic() - began) * 1000))
        result = {**_result(outcome, work), **_times(milliseconds)}
        emulator.jobs.finish(job, _STATUS[outcome.ending], result)
        return {"job_id": job.id, "status": job.document["status"], **known, **result}


def _failure(error: BaseException) -> Json:
    reason = error.details if isinstance(error, ApiError) else "The execution was interrupted"
    return {"success": False, "error": reason}


def _times(milliseconds: int) -> Json:
    """One duration under each name that a real client reads."""
    return {
        "total_time_ms": milliseconds,
        "execution_time_ms": milliseconds,
        "execution_time": milliseconds,
    }


def _result(outcome: Outcome, work: Program) -> Json:
    stdout = outcome.stdout.text()
    result: Json = {
        "success": outcome.succeeded,
        "stdout": stdout,
        "output": stdout,
        "stderr": outcome.stderr.text() + _closing_lines(outcome),
        "exit_code": outcome.exit_code,
    }
    if outcome.ending is Ending.TIMED_OUT:
        result["error"] = f"The program was stopped after its ttl of {work.ttl} seconds"
    for name, stream in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if stream.truncated:
            result[f"{name}_truncated"] = True
    return result | artifact_fields(outcome, work)


def _closing_lines(outcome: Outcome) -> str:
    """What the platform has to say about the run, as last lines of stderr."""
    lines = [
        f"[{name} is cut off after {len(stream.data)} bytes]"
        for name, stream in (("stdout", outcome.stdout), ("stderr", outcome.stderr))
        if stream.truncated
    ]
    if outcome.ending is Ending.OUT_OF_MEMORY:
        lines.append("[killed: out of memory]")
    if not lines:
        return ""
    return _fresh_line(outcome.stderr) + "\n".join(lines) + "\n"


def _fresh_line(stderr: Stream) -> str:
    return "\n" if stderr.data and not stderr.data.endswith(b"\n") else ""
