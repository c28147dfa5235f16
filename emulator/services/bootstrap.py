"""A service's bootstrap script in its container, and the pipe that all it prints goes through.

The pipe is a FIFO that one program copies to its output for as long as the container lives, so
that what the script leaves in the background goes on to be heard. Both programs are kept by the
agent: they outlive the emulator. A second FIFO, copied to the errors of the same program, is for
programs that have something to ask (`control.py`).

All that comes of the script bears a mark: a limit on file locks, which Linux keeps and inherits but
never heeds, and which anybody may read. Neither another session nor another user sheds it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emulator.sandbox.agent import AgentLost, Process, SpawnFailed
from emulator.sandbox.machine import ROOT_USER, Machine

SCRIPT = "/tmp/bootstrap.sh"  # noqa: S108 - inside the container, where the contract says
PIPE_KEY, SCRIPT_KEY = "log", "bootstrap"
STATE = "/run/unsandbox"
_PIPE, _CONTROL, _CODE = f"{STATE}/log", f"{STATE}/control", f"{STATE}/code"
QUICK_SECONDS = 15.0
END_SECONDS = 60.0
"""In which all of a script is ended: what heeds no signal but the last takes some seconds."""

GRACE_SECONDS = 5.0
"""In which what a script started may end by itself."""

_RLIMIT_LOCKS = 10
_MARK = 7001

_PREPARE = (
    f"[ -d {STATE} ] || rm -rf {STATE}; mkdir -p {STATE}; for pipe in {_PIPE} {_CONTROL}; "
    "do [ -p $pipe ] || { rm -rf $pipe && mkfifo -m 600 $pipe; }; done"
)
_COPY = f"cat <> {_CONTROL} >&2 & exec cat <> {_PIPE}"
_RUN = (
    f"rm -rf {_CODE}; exec >{_PIPE} 2>&1 </dev/null; "
    f"if head -c 2 {SCRIPT} | grep -q '^#!'; "
    f"then chmod +x {SCRIPT}; {SCRIPT}; else bash {SCRIPT}; fi; "
    f"code=$?; echo $code > {_CODE}; exit $code"
)
_MARKED = f"grep -ls '^Max file locks  *{_MARK} ' /proc/[0-9]*/limits | cut -d/ -f3"
_PROCESSES = f'pids=$(echo $({_MARKED})); [ -z "$pids" ] || ps -ww -o pid=,args= -p "$pids"'
_END = (
    f"pids() {{ {_MARKED}; }}; kill -s TERM $(pids) 2>/dev/null; "
    'for at in $(seq $0); do [ -n "$(pids)" ] || exit 0; sleep 0.05; done; '
    "for at in $(seq 100); do kill -s KILL $(pids) 2>/dev/null; "
    'sleep 0.05; [ -n "$(pids)" ] || exit 0; done; exit 1'
)
"""The last one has a number: twentieths of a second in which they may end by themselves."""


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
    process = machine.spawn(
        ("sh", "-c", _RUN), key=SCRIPT_KEY, env=environment, rlimits={_RLIMIT_LOCKS: (_MARK, _MARK)}
    )
    await _started(process)
    return process


async def end_script(machine: Machine) -> None:
    """End all that came of the script, and nothing else.

    Raises:
        AgentError: the container does not answer.
        TimeoutError: some of it does not end, even when it is killed.
    """
    words = ("sh", "-c", _END, f"{GRACE_SECONDS * 20:.0f}")
    async with in_time(END_SECONDS):
        ended = await machine.spawn(words, output_limit=4096).collect()
    if ended.exit.status != 0:
        raise TimeoutError


async def processes(machine: Machine) -> list[str]:
    """What lives of the script, as process ids and command lines; raises AgentError."""
    async with in_time():
        listed = await machine.spawn(("sh", "-c", _PROCESSES), output_limit=65_536).collect()
    lines = listed.stdout.decode("utf-8", "replace").splitlines()
    ours = [line.strip().partition(" ")[0] for line in lines if _RUN in line]
    others = [line.strip() for line in lines if _RUN not in line]
    return others or [f"{pid} {SCRIPT}" for pid in ours]


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
async def in_time(seconds: float | None = None) -> AsyncIterator[None]:
    """What takes no time (QUICK_SECONDS, if nothing else is said); raises AgentLost if it does."""
    seconds = QUICK_SECONDS if seconds is None else seconds
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise AgentLost(f"no answer of the container for {seconds:.0f} seconds") from None


async def _done(machine: Machine, words: tuple[str, ...]) -> None:
    async with in_time():
        await machine.spawn(words, output_limit=4096).collect()


async def _started(process: Process) -> None:
    async with in_time():
        await process.started()
