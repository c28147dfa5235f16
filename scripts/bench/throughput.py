"""How much can be done at once: a long load, 1 to 32 clients, a burst; against fork and exec."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from emulator.sandbox.runtimes import Runtime
from scripts.bench.bench import Bench
from scripts.bench.emulator_process import emulator_process
from scripts.bench.hello import hello_test
from scripts.bench.load import Job, Load, burst, sustained
from scripts.bench.native import Native, looping, native
from scripts.bench.report import RATIO, Row, Sample

CLIENTS = (1, 2, 4, 8, 16, 32)
CLIENTS_PER_CORE = 2
"""For the long load: enough that no core waits while an answer is on its way."""
BURST = 100
WARM_UP_SECONDS = 3
"""What is not counted: the pool grows to what the load asks for."""


def throughput(bench: Bench, runtime: Runtime) -> list[Row]:
    """Programs a second on all cores: half of the native runs before the emulator's, half after."""
    cores = os.cpu_count() or 1
    seconds = bench.effort.sustained_seconds
    with _both(bench, runtime) as (plain, job):
        sustained(job, cores * CLIENTS_PER_CORE, WARM_UP_SECONDS)
        before = plain.per_second(cores, seconds / 4)
        load = sustained(job, cores * CLIENTS_PER_CORE, seconds)
        after = plain.per_second(cores, seconds / 4)
    other = Sample("native on all cores", "/s", [(before + after) / 2])
    ratio = load.per_second / other.p50
    figure = f"{runtime.name} hello a second for {seconds} s / native"
    return [Row("throughput", figure, ratio, RATIO, (*_samples(load), other))]


def clients(bench: Bench, runtime: Runtime) -> list[Row]:
    """So many clients, against as many loops of fork and exec."""
    rows = []
    seconds = bench.effort.step_seconds
    with _both(bench, runtime) as (plain, job):
        for count in CLIENTS:
            sustained(job, count, min(seconds, WARM_UP_SECONDS))
            load = sustained(job, count, seconds)
            other = Sample("native", "/s", [plain.per_second(count, seconds)])
            figure = f"{runtime.name} hello a second, clients / native loops: {count}"
            ratio = load.per_second / other.p50
            rows.append(Row(f"clients-{count}", figure, ratio, RATIO, (*_samples(load), other)))
    return rows


def burst_of_runs(bench: Bench, runtime: Runtime) -> list[Row]:
    """From the first request to the last answer, against as many native runs at once.

    Each burst but the first, which is not counted, finds the containers of the one before.
    """
    with _both(bench, runtime) as (plain, job):
        burst(job, BURST)
        loads, seconds = [], []
        for _ in range(bench.effort.repeats):
            seconds.append(plain.burst_seconds(BURST))
            loads.append(burst(job, BURST))
    ours = Sample("to the last answer", "s", [load.seconds for load in loads])
    each = Sample("each answer", "ms", [it for load in loads for it in load.milliseconds])
    other = Sample("native", "s", seconds)
    ratio = median(ours.values) / median(other.values)
    figure = f"{BURST} {runtime.name} hello at once / native"
    return [Row("burst", figure, ratio, RATIO, (ours, each, other))]


@contextmanager
def _both(bench: Bench, runtime: Runtime) -> Iterator[tuple[Native, Job]]:
    test = hello_test(runtime)
    with (
        emulator_process(languages=runtime.name) as emulator,
        native(bench, runtime, looping(runtime, test)) as plain,
    ):
        body = {"language": runtime.name, "code": test.code}
        yield plain, Job(emulator.api, body, test.stdout)


def _samples(load: Load) -> tuple[Sample, ...]:
    return (
        Sample("emulator", "/s", [load.per_second]),
        Sample("each answer", "ms", load.milliseconds),
        Sample("clients' own processor time", "%", [load.own_share]),
    )
