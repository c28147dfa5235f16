"""A hello program in every language that is built here, in a container that waits for it."""

from emulator.sandbox.runtimes import Runtime
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import emulator_process
from scripts.bench.hello import execute, hello_test
from scripts.bench.report import Bar, Row, Sample

AIM = 0.5
"""Of the bar."""


def row_name(runtime: Runtime) -> str:
    return f"hello-{runtime.name}"


def languages(bench: Bench) -> list[Row]:
    """Rows of those whose images are here: nothing is built while others are timed."""
    built = [
        runtime
        for runtime in bench.catalogue.available()
        if bench.images.image(runtime.name).exists(bench.engine.client)
    ]
    with (
        emulator_process(pool_size="1", compile_cache="0") as emulator,
        Connection(emulator.api) as connection,
    ):
        return [_row(bench, connection, runtime) for runtime in built]


def _row(bench: Bench, connection: Connection, runtime: Runtime) -> Row:
    """The first run starts the container and is not counted."""
    test = hello_test(runtime)
    times = [
        execute(connection, runtime, test.code, test.stdout)
        for _ in range(bench.effort.repeats + 1)
    ]
    sample = Sample("execute", "ms", times[1:])
    bar = None if test.bar_seconds is None else _bar(test.bar_seconds * 1000)
    figure = f"POST /execute, {runtime.name} hello, compiled anew"
    return Row(row_name(runtime), figure, sample.p50, "ms", (sample,), bar)


def _bar(milliseconds: float) -> Bar:
    return Bar(limit=milliseconds, aim=milliseconds * AIM)
