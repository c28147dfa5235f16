"""A badge: `badge.svg`, made here, and `badge.json` for shields.io's endpoint."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from contract.outcomes import Outcome
from contract.report.header import Header
from contract.report.matrix import Matrix, Standing, Verdict

__all__ = ["write"]

LABEL = "unsandbox contract"
_COLOURS = {"brightgreen": "#2f7d32", "yellow": "#8a6d00", "red": "#b3261e"}
"""shields.io's names, and what we draw: dark enough for white letters."""

_LETTER, _MARGIN, _HEIGHT = 6.6, 7, 20
"""Pixels: a letter of 11 px is about that wide, more where the viewer has another font."""


def write(folder: Path, header: Header, matrix: Matrix, verdict: Verdict) -> None:
    message, colour = _says(header, matrix, verdict)
    endpoint = {"schemaVersion": 1, "label": LABEL, "message": message, "color": colour}
    (folder / "badge.json").write_text(json.dumps(endpoint) + "\n", encoding="utf-8")
    (folder / "badge.svg").write_text(_svg(message, _COLOURS[colour]), encoding="utf-8")


def _says(header: Header, matrix: Matrix, verdict: Verdict) -> tuple[str, str]:
    """A verdict that covers a part of the contract alone says so, and is not green."""
    if verdict.empty:
        return "nothing checked", "yellow"
    if verdict.unfinished:
        return "out of budget", "yellow"
    if not verdict.kept:
        return f"broken ({len(verdict.reasons)})", "red"
    standings, total = matrix.standings, len(matrix.asked)
    proven, unprovable = standings[Standing.PROVEN], standings[Standing.UNPROVABLE]
    if not header.whole or proven + unprovable < total:
        part = "" if header.whole else " asked for"
        return f"kept by {proven} of {total} operations{part}", "yellow"
    if matrix.unavailable:
        return f"kept, {len(matrix.unavailable)} languages unavailable", "yellow"
    if matrix.counts[Outcome.DEVIATION]:
        return f"kept, {len(matrix.deviations.used)} deviations", "yellow"
    return f"kept ({header.effort})", "brightgreen"


def _svg(message: str, colour: str) -> str:
    left, right = (round(len(text) * _LETTER + 2 * _MARGIN) for text in (LABEL, message))
    root = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=str(left + right),
        height=str(_HEIGHT),
        role="img",
    )
    root.set("aria-label", f"{LABEL}: {message}")
    ET.SubElement(root, "title").text = f"{LABEL}: {message}"
    for x, width, fill in ((0, left, "#444"), (left, right, colour)):
        ET.SubElement(root, "rect", x=str(x), width=str(width), height=str(_HEIGHT), fill=fill)
    font = {"font-family": "Verdana,DejaVu Sans,sans-serif", "font-size": "11", "fill": "#fff"}
    for x, width, text in ((0, left, LABEL), (left, right, message)):
        place = {"x": str(x + width / 2), "y": "14", "text-anchor": "middle"}
        ET.SubElement(root, "text", {**font, **place}).text = text
    return ET.tostring(root, encoding="unicode") + "\n"
