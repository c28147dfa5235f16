"""`/execute` and `/run`: a program in, its output and exit code back, now or as a job."""

from emulator.api.call import HUNG_UP, Call, Json, Reply
from emulator.api.programs import check_wasm, detected_runtime, named_runtime, program
from emulator.emulator import Emulator
from emulator.results import shown
from emulator.sandbox.program import Program
from emulator.sandbox.runtimes import Runtime

_TIMES = ("created_at", "started_at", "completed_at")
"""What a job tells, and the answer of a program that was waited for does not."""


async def execute(emulator: Emulator, call: Call) -> Reply:
    """Run `code` in `language` and answer when it has ended."""
    return await _run(emulator, call, *_named(emulator, call))


async def execute_async(emulator: Emulator, call: Call) -> Reply:
    """Accept `code` in `language` as a job."""
    return await _accept(emulator, call, *_named(emulator, call))


async def run(emulator: Emulator, call: Call) -> Reply:
    """Run code that names its own language and answer when it has ended."""
    return await _run(emulator, call, *_detected(emulator, call))


async def run_async(emulator: Emulator, call: Call) -> Reply:
    """Accept code that names its own language as a job."""
    return await _accept(emulator, call, *_detected(emulator, call))


def _named(emulator: Emulator, call: Call) -> tuple[Program, Json]:
    fields = call.fields
    runtime = named_runtime(emulator.catalogue, str(fields["language"]))
    return _program(emulator, call, runtime, str(fields["code"]), fields), {}


def _detected(emulator: Emulator, call: Call) -> tuple[Program, Json]:
    """Fields come as query parameters or in a JSON body."""
    fields = {**call.query, **(call.body if isinstance(call.body, dict) else {})}
    code = call.body if isinstance(call.body, str) else str(fields["code"])
    runtime = detected_runtime(emulator.catalogue, code)
    work = _program(emulator, call, runtime, code, fields)
    return work, {"detected_language": runtime.name}


def _program(emulator: Emulator, call: Call, runtime: Runtime, code: str, fields: Json) -> Program:
    check_wasm(emulator.catalogue, runtime, fields)
    work = program(runtime, code, fields, call.account, call.exchange.engine_fault)
    emulator.executor.check(runtime)
    return work


async def _run(emulator: Emulator, call: Call, work: Program, extra: Json) -> Reply:
    with emulator.slots.hold(call.account):
        emulator.readiness.require()
        job = emulator.jobs.begin(call.account, _known(work, extra), work.bytes)
        call.exchange.job_id = job.id
        async with call.when_sender_hangs_up(lambda: job.stop.request(HUNG_UP)):
            await emulator.runs.carry_out(job, work)
    document = emulator.jobs.document(job.record)
    for name in _TIMES:
        document.pop(name, None)
    return Reply(shown(document))


async def _accept(emulator: Emulator, call: Call, work: Program, extra: Json) -> Reply:
    emulator.readiness.require()
    job = emulator.jobs.begin(call.account, _known(work, extra), work.bytes)
    call.exchange.job_id = job.id
    await emulator.runs.accept(job, call.account, work)
    accepted: Json = {
        "job_id": job.id,
        "status": "pending",
        "message": "Job accepted for execution",
        **extra,
    }
    return Reply(shown(accepted))


def _known(work: Program, extra: Json) -> Json:
    return {"language": work.runtime.name, "network_mode": work.network_mode, **extra}
