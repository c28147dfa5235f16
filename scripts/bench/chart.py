"""Two kinds of chart as SVG, small enough to be written by hand: lines over a count, and bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from scripts.bench.report import short

WIDTH = 760
COLOURS = ("#0b6bcb", "#8a5a00", "#9a9a9a", "#4d4d4d")
_LEFT, _RIGHT, _TOP, _BOTTOM = 130, 24, 44, 52
_HEIGHT, _BAR, _GAP = 320, 15, 16
_TICKS = 5


@dataclass(frozen=True)
class Chart:
    """A part of a picture: its height and its elements, from y = 0 down."""

    height: int
    elements: tuple[str, ...]


def page(charts: Sequence[Chart]) -> str:
    """A picture of `charts` below each other; readable on a light and on a dark page."""
    parts, y = [], 0
    for chart in charts:
        parts.append(f'<g transform="translate(0 {y})">')
        parts += [*chart.elements, "</g>"]
        y += chart.height
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join(
        [head, f'<rect width="{WIDTH}" height="{y}" fill="white"/>', *parts, "</svg>\n"]
    )


def lines(
    title: str, across: str, counts: Sequence[int], series: Mapping[str, Sequence[float]]
) -> Chart:
    """A line for each of `series` over `counts`, which stand at equal distances."""
    bottom, top = _HEIGHT - _BOTTOM, _TOP + 24
    highest = _round_up(max(max(values) for values in series.values()))
    right = WIDTH - _RIGHT
    xs = [_LEFT + n * (right - _LEFT) / max(1, len(counts) - 1) for n in range(len(counts))]
    elements = [_title(title), *_legend(list(series))]
    for tick in range(_TICKS + 1):
        y = bottom - tick / _TICKS * (bottom - top)
        elements.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#dddddd"/>')
        elements.append(_text(_LEFT - 8, y + 4, f"{highest * tick / _TICKS:g}", "end"))
    for x, count in zip(xs, counts, strict=True):
        elements.append(_text(x, bottom + 18, str(count), "middle"))
    elements.append(_text((_LEFT + right) / 2, bottom + 38, across, "middle"))
    for colour, values in zip(COLOURS, series.values(), strict=False):
        ys = [bottom - value / highest * (bottom - top) for value in values]
        elements += _line(colour, list(zip(xs, ys, strict=True)))
    return Chart(_HEIGHT, tuple(elements))


def _line(colour: str, points: Sequence[tuple[float, float]]) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
    ]


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> Chart:
    """A bar for each value of each group, with its figure; lengths are logarithmic."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    values = [value for group in groups.values() for value in group.values()]
    low, high = math.floor(math.log10(min(values))), math.log10(max(values))
    scale = (WIDTH - _LEFT - _RIGHT - 70) / max(1.0, high - low)
    elements = [_title(title), *_legend(names)]
    y = _TOP + 24
    for group, bars_of in groups.items():
        middle = y + len(bars_of) * _BAR / 2 + 4
        elements.append(_text(_LEFT - 8, middle, group, "end"))
        for name, value in bars_of.items():
            length = max(1.0, (math.log10(value) - low) * scale)
            colour = COLOURS[names.index(name) % len(COLOURS)]
            elements.append(
                f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 2}" '
                f'fill="{colour}"/>'
            )
            elements.append(_text(_LEFT + length + 6, y + 11, f"{short(value)} {unit}", "start"))
            y += _BAR
        y += _GAP
    return Chart(y + 8, tuple(elements))


def _round_up(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value)


def _title(text: str) -> str:
    return f'<text x="16" y="22" font-size="15" font-weight="bold">{escape(text)}</text>'


def _legend(names: Sequence[str]) -> list[str]:
    elements, x = [], _LEFT
    for colour, name in zip(COLOURS, names, strict=False):
        elements.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colour}"/>')
        elements.append(_text(x + 16, 43, name, "start"))
        x += 40 + 7 * len(name)
    return elements


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
