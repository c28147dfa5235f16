"""The command: measure, print the table, write the file, say by the exit status what was missed."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from emulator.paths import ROOT, RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from scripts.bench.bench import Bench, opened
from scripts.bench.measurements import Measurement, measurements
from scripts.bench.report import Row, missed, table

FILE = ROOT / ".build" / "bench.json"
BAR_MISSED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns 0, or BAR_MISSED when a row does not reach its bar."""
    catalogue = Catalogue.load(RUNTIMES)
    chosen = measurements(catalogue)
    options = _parser([name for each in chosen for name in each.rows]).parse_args(arguments)
    if options.only:
        chosen = [each for each in chosen if set(each.rows) & set(options.only)]
    with opened(catalogue, options.samples) as bench:
        rows = [row for each in chosen for row in _measured(bench, each)]
    return conclude([row for row in rows if not options.only or row.name in options.only], FILE)


def conclude(rows: Sequence[Row], file: Path) -> int:
    """Show `rows`, write them to `file`, name those whose bar was missed; the exit status."""
    print(table(rows))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_document(rows), indent=2) + "\n", encoding="utf-8")
    names = missed(rows)
    if names:
        print(f"Missed: {', '.join(names)}", file=sys.stderr)
    return BAR_MISSED if names else 0


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Measure the emulator on this machine, against the bars it is meant to hold.",
        epilog=f"Rows: {', '.join(names)}. Exit status {BAR_MISSED} when a bar is missed.",
    )
    parser.add_argument(
        "--samples", type=_count, default=100, metavar="N", help="hello runs of a language (100)"
    )
    parser.add_argument(
        "--only", action="append", choices=names, metavar="ROW", help="measure this row; repeatable"
    )
    return parser


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


def _document(rows: Sequence[Row]) -> dict[str, object]:
    machine = {"system": platform.platform(), "processors": os.cpu_count()}
    return {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine,
        "rows": [row.document() for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
