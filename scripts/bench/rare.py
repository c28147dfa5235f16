"""What a run costs that finds no warm container, or wants more than one processor."""

from emulator.sandbox.runtimes import Runtime
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import emulator_process
from scripts.bench.hello import execute, hello_test, wait_until_at_rest
from scripts.bench.native import docker_run
from scripts.bench.report import RATIO, Row, Sample


def cold(bench: Bench, runtime: Runtime) -> list[Row]:
    """The first run of a language that no container waits for, each with a new emulator."""
    test = hello_test(runtime)
    warm = next(it for it in bench.catalogue.usual() if it is not runtime)
    executed = []
    for _ in range(bench.effort.repeats):
        with (
            emulator_process(languages=warm.name) as emulator,
            Connection(emulator.api) as connection,
        ):
            wait_until_at_rest(connection, 1)
            executed.append(execute(connection, runtime, test.code, test.stdout))
    ours = Sample("first run", "ms", executed)
    other = Sample("docker run", "ms", docker_run(bench, runtime, test))
    figure = f"first {runtime.name} hello, none warm / docker run"
    return [Row("cold", figure, ours.p50 / other.p50, RATIO, (ours, other))]


def second_vcpu(bench: Bench, runtime: Runtime) -> list[Row]:
    """What a run of two processors costs more than one of one: a container is resized for it."""
    test = hello_test(runtime)
    milliseconds: dict[int, list[float]] = {1: [], 2: []}
    with (
        emulator_process(languages=runtime.name) as emulator,
        Connection(emulator.api) as connection,
    ):
        for _ in range(bench.effort.samples):
            for vcpu, values in milliseconds.items():
                wait_until_at_rest(connection, 1)
                values.append(execute(connection, runtime, test.code, test.stdout, vcpu=vcpu))
    one, two = (Sample(f"{vcpu} vCPU", "ms", values) for vcpu, values in milliseconds.items())
    figure = f"{runtime.name} hello, cost of another vCPU"
    return [Row("vcpu-added", figure, two.p50 - one.p50, "ms", (two, one))]
