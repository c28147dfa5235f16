"""The command: measure, show and write what came of it, exit by whether a bar was missed."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.paths import ROOT, RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from scripts.bench import performance_page
from scripts.bench.bench import FULL, QUICK, Bench, opened
from scripts.bench.machine import facts
from scripts.bench.measurements import Measurement, measurements
from scripts.bench.report import Row, missed, table

FILE = ROOT / ".build" / "bench.json"
DOCS = ROOT / "docs"
BAR_MISSED = 3


@dataclass(frozen=True)
class Run:
    """One run of the bench: what it measured, on what, and how long it took."""

    rows: Sequence[Row]
    machine: Mapping[str, str]
    seconds: float

    def document(self) -> dict[str, object]:
        return {
            "machine": dict(self.machine),
            "seconds": round(self.seconds),
            "rows": [row.document() for row in self.rows],
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns 0, or BAR_MISSED when a row does not reach its bar."""
    catalogue = Catalogue.load(RUNTIMES)
    chosen = measurements(catalogue)
    options = _options([name for each in chosen for name in each.rows], arguments)
    if options.only:
        chosen = [each for each in chosen if set(each.rows) & set(options.only)]
    effort = QUICK if options.quick else FULL
    effort = replace(effort, samples=options.samples or effort.samples)
    began = time.monotonic()
    with opened(catalogue, effort) as bench:
        machine = facts(bench.engine)
        rows = [row for each in chosen for row in _measured(bench, each)]
    if options.only:
        rows = [row for row in rows if row.name in options.only]
    run = Run(rows, machine, time.monotonic() - began)
    if options.write:
        write_page(run, DOCS)
    return conclude(run, FILE)


def conclude(run: Run, file: Path) -> int:
    """Show the rows, write them to `file`, name those whose bar was missed; the exit status."""
    print(table(run.rows))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(run.document(), indent=2) + "\n", encoding="utf-8")
    names = missed(run.rows)
    if names:
        print(f"Missed: {', '.join(names)}", file=sys.stderr)
    return BAR_MISSED if names else 0


def write_page(run: Run, folder: Path) -> None:
    """Write the page of performance and its picture."""
    text = performance_page.markdown(run.rows, run.machine, round(run.seconds / 60))
    (folder / "performance.md").write_text(text, encoding="utf-8")
    picture = performance_page.picture(run.rows)
    (folder / performance_page.PICTURE).write_text(picture, encoding="utf-8")


def _options(names: list[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Measure the emulator on this machine, against the bars it is meant to hold.",
        epilog=f"Rows: {', '.join(names)}. Exit status {BAR_MISSED} when a bar is missed.",
    )
    parser.add_argument(
        "--samples", type=_count, metavar="N", help=f"samples of each latency ({FULL.samples})"
    )
    parser.add_argument(
        "--only", action="append", choices=names, metavar="ROW", help="measure this row; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="a short pass, to see that it works")
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md from a whole bench"
    )
    options = parser.parse_args(arguments)
    if options.write and (options.only or options.quick or options.samples):
        parser.error("--write takes a whole bench: no --only, --quick or --samples")
    return options


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _measured(bench: Bench, measurement: Measurement) -> list[Row]:
    print(f"{' '.join(measurement.rows)} ...", end=" ", flush=True)
    began = time.monotonic()
    rows = measurement.measure(bench)
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
