"""`POST /execute` of a hello program, against the same commands without an emulator."""

import shlex
import time

from emulator.sandbox.runtimes import INPUT_DIRECTORY, Runtime, RuntimeTest
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import emulator_process
from scripts.bench.plain import plain_container
from scripts.bench.report import Row, Sample, compared

WARM_UP = 3
"""Runs on each side that are not counted: the first ones fill the machine's caches."""
POOL_SIZE = 2
POLL_SECONDS = 0.05

TIMED_RUNS = """\
set -e
mkdir -p {directories}
printf %s {code} >{source}
cd {working_directory}
while read -r; do
  began=$EPOCHREALTIME
  {{
    {commands}
  }} </dev/null >/dev/null
  ended=$EPOCHREALTIME
  echo $((${{ended/./}} - ${{began/./}}))
done
"""
"""For bash: the commands for each line that is read, and the microseconds that they took."""


def hello(bench: Bench, runtime: Runtime) -> list[Row]:
    """Time both sides in turn, so that whatever else the machine does falls on both.

    A container serves one run. Starting the next one would disturb what is timed, so a run begins
    only when the pool is full again.
    """
    test = next(test for test in runtime.tests if test.name == "hello")
    native: list[float] = []
    executed: list[float] = []
    with (
        emulator_process(languages=runtime.name, pool_size=str(POOL_SIZE)) as emulator,
        Connection(emulator.api) as connection,
        plain_container(bench, runtime, ["bash", "-c", _timed_runs(runtime, test)]) as plain,
    ):
        for _ in range(WARM_UP + bench.samples):
            _wait_until_full(connection)
            plain.send(b"\n")
            native.append(int(plain.line()) / 1000)
            _wait_until_full(connection)
            executed.append(_execute(connection, runtime, test))
    return _rows(
        runtime.name,
        Sample("execute", "ms", executed[WARM_UP:]),
        Sample("native", "ms", native[WARM_UP:]),
    )


def _rows(name: str, executed: Sample, native: Sample) -> list[Row]:
    added = executed.p50 - native.p50
    return [
        *compared(name, f"POST /execute, {name} hello / native", executed, native),
        Row(f"{name}-added", "the same, added latency", added, "ms", (executed, native)),
    ]


def _timed_runs(runtime: Runtime, test: RuntimeTest) -> str:
    commands = [it for it in (runtime.compile_command, runtime.run_command) if it]
    source = runtime.source_path
    return TIMED_RUNS.format(
        directories=shlex.join([INPUT_DIRECTORY, source.rpartition("/")[0]]),
        code=shlex.quote(test.code),
        source=shlex.quote(source),
        working_directory=shlex.quote(INPUT_DIRECTORY),
        commands="\n    ".join(map(shlex.join, commands)),
    )


def _wait_until_full(connection: Connection) -> None:
    wanted = {"available": POOL_SIZE, "spawning": 0, "allocated": 0}
    while not wanted.items() <= connection.get("/cluster").document.items():
        time.sleep(POLL_SECONDS)


def _execute(connection: Connection, runtime: Runtime, test: RuntimeTest) -> float:
    """Milliseconds of one execution whose answer is as it should be."""
    answer = connection.post("/execute", {"language": runtime.name, "code": test.code})
    if answer.document["stdout"] != test.stdout:
        raise RuntimeError(f"{runtime.name} hello printed {answer.document['stdout']!r}")
    return answer.seconds * 1000
