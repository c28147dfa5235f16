"""`POST /execute` of a hello program, against the same commands without an emulator."""

import time
from collections.abc import Callable, Sequence

from emulator.sandbox.runtimes import Runtime, RuntimeTest
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import emulator_process
from scripts.bench.native import Command, commands_of, docker_exec, docker_run, native, timed
from scripts.bench.report import RATIO, Row, Sample, compared

WARM_UP = 3
"""Runs on each side that are not counted: the first ones fill the machine's caches."""
POOL_SIZE = 2
POLL_SECONDS = 0.05

Code = Callable[[int], str]
"""The program for a turn, by its number."""


def hello_test(runtime: Runtime) -> RuntimeTest:
    """The program that prints a greeting, with what must come of it."""
    return next(test for test in runtime.tests if test.name == "hello")


def hello(bench: Bench, runtime: Runtime) -> list[Row]:
    """A program that was never compiled before, and the same by the engine's own ways."""
    test = hello_test(runtime)
    ours, other = _in_turn(
        bench, runtime, lambda turn: test.code + "\n" * turn, commands_of(runtime)
    )
    name, figure = runtime.name, f"POST /execute, {runtime.name} hello / native"
    return [
        *compared(name, figure, ours, other),
        _added(name, ours, other),
        _times(name, "exec", ours, docker_exec(bench, runtime, test)),
        _times(name, "run", ours, docker_run(bench, runtime, test)),
    ]


def compiled_hello(bench: Bench, runtime: Runtime) -> list[Row]:
    """A program that was compiled before, against running what its compiler made."""
    code = hello_test(runtime).code
    ours, other = _in_turn(bench, runtime, lambda _: code, [runtime.run_command])
    name = f"{runtime.name}-cached"
    figure = f"POST /execute, {runtime.name} hello compiled before / native without compiling"
    return [*compared(name, figure, ours, other), _added(name, ours, other)]


def _in_turn(
    bench: Bench, runtime: Runtime, code: Code, measured: Sequence[Command]
) -> tuple[Sample, Sample]:
    """Time both sides in turn, so that whatever else the machine does falls on both.

    Containers that start or are cleaned would disturb what is timed, so a run begins only when
    the pool is full and at rest.
    """
    test = hello_test(runtime)
    first = [it for it in commands_of(runtime) if it not in measured]
    executed: list[float] = []
    plainly: list[float] = []
    with (
        emulator_process(languages=runtime.name, pool_size=str(POOL_SIZE)) as emulator,
        Connection(emulator.api) as connection,
        native(bench, runtime, timed(runtime, test, first, measured)) as plain,
    ):
        for turn in range(WARM_UP + bench.effort.samples):
            wait_until_at_rest(connection, POOL_SIZE)
            plainly.append(plain.milliseconds())
            wait_until_at_rest(connection, POOL_SIZE)
            executed.append(execute(connection, runtime, code(turn), test.stdout))
    return (
        Sample("execute", "ms", executed[WARM_UP:]),
        Sample("native", "ms", plainly[WARM_UP:]),
    )


def _added(name: str, ours: Sample, other: Sample) -> Row:
    return Row(
        f"{name}-added", "the same, added latency", ours.p50 - other.p50, "ms", (ours, other)
    )


def _times(name: str, way: str, ours: Sample, milliseconds: Sequence[float]) -> Row:
    other = Sample(f"docker {way}", "ms", milliseconds)
    figure = f"docker {way} of the same / POST /execute"
    return Row(f"{name}-docker-{way}", figure, other.p50 / ours.p50, RATIO, (other, ours))


def wait_until_at_rest(connection: Connection, available: int) -> None:
    """Return once so many containers wait and nothing runs, starts or is cleaned."""
    wanted = {"spawning": 0, "allocated": 0}
    while True:
        cluster = connection.get("/cluster").document
        if wanted.items() <= cluster.items() and cluster["available"] >= available:
            return
        time.sleep(POLL_SECONDS)


def execute(
    connection: Connection, runtime: Runtime, code: str, stdout: str, **fields: object
) -> float:
    """Milliseconds of one execution whose answer is as it should be."""
    answer = connection.post("/execute", {"language": runtime.name, "code": code, **fields})
    if answer.document["stdout"] != stdout:
        raise RuntimeError(f"{runtime.name} hello printed {answer.document['stdout']!r}")
    return answer.seconds * 1000
