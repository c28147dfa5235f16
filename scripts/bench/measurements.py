"""Which measurements there are, and which rows each of them gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from emulator.sandbox.runtimes import Catalogue
from scripts.bench.bench import Bench
from scripts.bench.hello import hello
from scripts.bench.idle import memory, start
from scripts.bench.polling import polling
from scripts.bench.report import Row
from scripts.bench.streams import stream_in, stream_out


@dataclass(frozen=True)
class Measurement:
    """`measure` gives rows of these names."""

    rows: tuple[str, ...]
    measure: Callable[[Bench], list[Row]]


def measurements(catalogue: Catalogue) -> list[Measurement]:
    """Every measurement, in the order of the table."""
    return [
        *(
            Measurement(
                tuple(f"{runtime.name}-{figure}" for figure in ("p50", "p99", "added")),
                partial(hello, runtime=runtime),
            )
            for runtime in catalogue.available()
        ),
        Measurement(("job-p50", "job-p99"), polling),
        Measurement(("start",), start),
        Measurement(("memory-emulator", "memory-container"), memory),
        Measurement(("stream-out",), stream_out),
        Measurement(("stream-in",), stream_in),
    ]
