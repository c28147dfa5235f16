"""Which measurements there are, and which rows each of them gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from emulator.sandbox.runtimes import Catalogue, Runtime
from scripts.bench.bench import Bench
from scripts.bench.hello import compiled_hello, hello
from scripts.bench.idle import idle, start
from scripts.bench.languages import languages, row_name
from scripts.bench.many_sessions import many_sessions
from scripts.bench.polling import polling
from scripts.bench.rare import cold, second_vcpu
from scripts.bench.report import Row
from scripts.bench.services import gateway, many_services, waking
from scripts.bench.sessions import echo, first_prompt, freezing, output, pasted
from scripts.bench.streams import stream_in, stream_out
from scripts.bench.throughput import CLIENTS, burst_of_runs, clients, throughput

LOADED = "python"
"""The language of the loads: the one that the bars are for."""


@dataclass(frozen=True)
class Measurement:
    """`measure` gives rows of these names."""

    rows: tuple[str, ...]
    measure: Callable[[Bench], list[Row]]


def measurements(catalogue: Catalogue) -> list[Measurement]:
    """Every measurement, in the order of the table."""
    available = catalogue.usual()
    loaded = next(runtime for runtime in available if runtime.name == LOADED)
    return [
        *map(_hello, available),
        *(_compiled_hello(runtime) for runtime in available if runtime.compile_command),
        Measurement(("throughput",), partial(throughput, runtime=loaded)),
        Measurement(
            tuple(f"clients-{count}" for count in CLIENTS), partial(clients, runtime=loaded)
        ),
        Measurement(("burst",), partial(burst_of_runs, runtime=loaded)),
        Measurement(("cold",), partial(cold, runtime=loaded)),
        Measurement(("vcpu-added",), partial(second_vcpu, runtime=loaded)),
        Measurement(("job-p50", "job-p99"), polling),
        Measurement(("start",), start),
        Measurement(("memory-emulator", "memory-container", "processor-idle"), idle),
        Measurement(("stream-out",), stream_out),
        Measurement(("stream-in",), stream_in),
        Measurement(("session", "session-tmux"), first_prompt),
        Measurement(("echo", "echo-p99"), echo),
        Measurement(("session-out",), output),
        Measurement(("session-in",), pasted),
        Measurement(("freeze",), freezing),
        Measurement(("sessions-50", "memory-session", "memory-session-emulator"), many_sessions),
        Measurement(("gateway", "gateway-p50"), gateway),
        Measurement(("wake",), waking),
        Measurement(("services-30",), many_services),
        Measurement(tuple(map(row_name, catalogue.available())), languages),
    ]


def _hello(runtime: Runtime) -> Measurement:
    figures = ("p50", "p99", "added", "docker-exec", "docker-run")
    return Measurement(_named(runtime.name, figures), partial(hello, runtime=runtime))


def _compiled_hello(runtime: Runtime) -> Measurement:
    names = _named(f"{runtime.name}-cached", ("p50", "p99", "added"))
    return Measurement(names, partial(compiled_hello, runtime=runtime))


def _named(name: str, figures: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}-{figure}" for figure in figures)
