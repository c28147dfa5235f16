"""A service's bootstrap script in its container, and the pipe that all it prints goes through.

The pipe is a FIFO that one program copies to its output for as long as the container lives, so
that what the script leaves in the background goes on to be heard. Both programs are kept by the
agent: they outlive the emulator.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emulator.sandbox.agent import AgentLost, Process, SpawnFailed
from emulator.sandbox.machine import ROOT_USER, Machine

SCRIPT = "/tmp/bootstrap.sh"  # noqa: S108 - inside the container, where the contract says
PIPE_KEY, SCRIPT_KEY = "log", "bootstrap"
_STATE = "/run/unsandbox"
_PIPE, _CODE = f"{_STATE}/log", f"{_STATE}/code"
QUICK_SECONDS = 15.0

_PREPARE = (
    f"[ -d {_STATE} ] || rm -rf {_STATE}; mkdir -p {_STATE} && "
    f"{{ [ -p {_PIPE} ] || {{ rm -rf {_PIPE} && mkfifo -m 600 {_PIPE}; }}; }}"
)
_COPY = f"exec cat <> {_PIPE}"
_RUN = (
    f"rm -rf {_CODE}; exec >{_PIPE} 2>&1 </dev/null; "
    f"if head -c 2 {SCRIPT} | grep -q '^#!'; "
    f"then chmod +x {SCRIPT}; {SCRIPT}; else bash {SCRIPT}; fi; "
    f"code=$?; echo $code > {_CODE}; exit $code"
)


async def write_script(machine: Machine, script: str) -> None:
    """Put the script in its place, whatever lies there; raises AgentError."""
    await _done(machine, ("rm", "-rf", SCRIPT))
    await machine.agent.write_file(
        SCRIPT, script.encode(), uid=ROOT_USER, gid=ROOT_USER, mode=0o755
    )


async def open_pipe(machine: Machine) -> Process:
    """Begin to hear what is printed; raises AgentError."""
    await _done(machine, ("sh", "-c", _PREPARE))
    pipe = machine.spawn(("sh", "-c", _COPY), key=PIPE_KEY)
    await _started(pipe)
    return pipe


async def run_script(machine: Machine, environment: dict[str, str]) -> Process:
    """Begin to run the script; what it exits with is the process's end. Raises AgentError."""
    process = machine.spawn(("sh", "-c", _RUN), key=SCRIPT_KEY, env=environment)
    await _started(process)
    return process


async def ended_with(machine: Machine) -> int | None:
    """What the script exited with, when it has; told by a file, as nobody may have listened."""
    process = machine.spawn(("cat", _CODE), output_limit=16)
    async with in_time():
        collected = await process.collect()
    text = collected.stdout.strip()
    return int(text) if collected.exit.status == 0 and text.isdigit() else None


async def exit_code(process: Process) -> int | None:
    """What the script ended with; None where that was while nobody listened. Raises AgentLost."""
    try:
        async for _ in process.output():
            pass
        return (await process.wait()).status
    except SpawnFailed:
        return None


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """What takes no time; raises AgentLost where it does."""
    try:
        async with asyncio.timeout(QUICK_SECONDS):
            yield
    except TimeoutError:
        raise AgentLost(f"no answer of the container for {QUICK_SECONDS:.0f} seconds") from None


async def _done(machine: Machine, words: tuple[str, ...]) -> None:
    async with in_time():
        await machine.spawn(words, output_limit=4096).collect()


async def _started(process: Process) -> None:
    async with in_time():
        await process.started()
