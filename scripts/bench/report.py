"""What was measured, held against the bars, as a table and as JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What a row must hold, and what it is meant to reach; both in the row's unit.

    Better is the way from the limit to the aim: up for what is done in a second, else down.
    """

    limit: float
    aim: float

    def verdict(self, value: float) -> str:
        """Which mark `value` reaches."""
        if self._reached(value, self.aim):
            return "aim"
        return "bar" if self._reached(value, self.limit) else MISSED

    def _reached(self, value: float, mark: float) -> bool:
        return value >= mark if self.aim > self.limit else value <= mark


RATIO = "x"
MISSED = "MISSED"

BARS = {
    "python-p50": Bar(1.5, 1.15),
    "python-p99": Bar(3, 1.5),
    "bash-added": Bar(5, 1),
    "throughput": Bar(0.5, 0.85),
    "job-p50": Bar(3, 2),
    "start": Bar(2, 0.5),
    "memory-emulator": Bar(120, 80),
    "memory-container": Bar(12, 6),
    "session": Bar(300, 100),
    "echo": Bar(10, 2),
    "freeze": Bar(100, 40),
}
"""By name of the row; others have a bar of their own, or are held against nothing."""


@dataclass(frozen=True)
class Sample:
    """Values of one thing that was measured once or more."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def p50(self) -> float:
        return self._percentile(0.5)

    @property
    def p99(self) -> float:
        return self._percentile(0.99)

    def _percentile(self, share: float) -> float:
        """The least value that `share` of all values do not exceed."""
        return sorted(self.values)[math.ceil(share * len(self.values)) - 1]

    def __str__(self) -> str:
        figures = [self.p50, self.p99] if len(self.values) > 1 else [self.p50]
        return f"{self.name} {' / '.join(map(short, figures))} {self.unit}"


@dataclass(frozen=True)
class Row:
    """A figure with the samples that it comes from."""

    name: str
    figure: str
    value: float
    unit: str
    samples: tuple[Sample, ...]
    own_bar: Bar | None = None

    @property
    def bar(self) -> Bar | None:
        return self.own_bar or BARS.get(self.name)

    def sample(self, name: str) -> Sample:
        return next(sample for sample in self.samples if sample.name == name)

    @property
    def verdict(self) -> str:
        """Which of its marks the row reaches: `aim`, `bar`, neither; empty where it has none."""
        return self.bar.verdict(self.value) if self.bar else ""

    def document(self) -> dict[str, object]:
        """The row for the file: percentiles of its samples, in their units."""
        return {
            "row": self.name,
            "figure": self.figure,
            "value": self.value,
            "unit": self.unit,
            "bar": self.bar.limit if self.bar else None,
            "aim": self.bar.aim if self.bar else None,
            "verdict": self.verdict,
            "measured": [
                {
                    "name": sample.name,
                    "unit": sample.unit,
                    "count": len(sample.values),
                    "p50": sample.p50,
                    "p99": sample.p99,
                }
                for sample in self.samples
            ],
        }


def compared(name: str, figure: str, ours: Sample, other: Sample) -> list[Row]:
    """Rows of the p50 and the p99 of one sample as multiples of another's."""
    both = (ours, other)
    return [
        Row(f"{name}-p50", f"{figure}, p50", ours.p50 / other.p50, RATIO, both),
        Row(f"{name}-p99", f"{figure}, p99", ours.p99 / other.p99, RATIO, both),
    ]


def missed(rows: Iterable[Row]) -> list[str]:
    """Names of the rows whose bar was missed."""
    return [row.name for row in rows if row.verdict == MISSED]


def table(rows: Sequence[Row]) -> str:
    """Lines for a terminal; of a sample with several values the p50 and the p99."""
    head = ("row", "figure", "value", "bar", "aim", "verdict", "measured (p50 / p99)")
    lines = [head, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def shown(row: Row) -> str:
    """A row's value with its unit."""
    return f"{short(row.value)} {row.unit}"


def figures(row: Row) -> str:
    """What a row's value comes from."""
    return ", ".join(map(str, row.samples))


def _cells(row: Row) -> tuple[str, ...]:
    marks = [f"{row.bar.limit:g}", f"{row.bar.aim:g}"] if row.bar else ["", ""]
    return (row.name, row.figure, shown(row), *marks, row.verdict, figures(row))


def short(value: float) -> str:
    """Three digits, as people read them."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
