"""The report for people: `index.html`, one file that loads nothing and runs nothing."""

import base64
import hashlib
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from contract.evidence import EVERY_ANSWER
from contract.outcomes import Outcome
from contract.report import reproduction
from contract.report.elements import element, rendered
from contract.report.header import Header
from contract.report.matrix import LOOSE, Cell, Failure, Matrix, Row, Standing, Verdict

__all__ = ["NAME", "write"]

NAME = "index.html"
_STYLE = Path(__file__).with_name("page.css")
_SHOWN_LINE = 240
"""Characters of a message beside its title."""

_SHOWN_BODY = 1200
"""Characters of a body of a failure's last exchange; its file has all of it."""

LOOKS = {
    Outcome.FAILED: ("failed", "✗"),
    Outcome.DEVIATION: ("deviation", "≈"),
    Outcome.NOT_RUN: ("silent", "○"),
    Outcome.UNSUPPORTED: ("unsupported", "∅"),
    Outcome.PASSED: ("passed", "✓"),
}
"""Class and sign of an outcome; its word stands beside them."""

STANDING_LOOKS = {
    Standing.UNPROVEN: LOOKS[Outcome.FAILED],
    Standing.NOT_RUN: LOOKS[Outcome.NOT_RUN],
    Standing.UNSUPPORTED: LOOKS[Outcome.UNSUPPORTED],
    Standing.UNPROVABLE: ("soft", "·"),
    Standing.PROVEN: LOOKS[Outcome.PASSED],
}


def write(folder: Path, header: Header, matrix: Matrix, verdict: Verdict) -> None:
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = f"{verdict.word}: contract of {header.target}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'",
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        _style(style),
    )
    body = element(
        "body",
        *_top(header, matrix, verdict),
        *_failures(folder, header, matrix),
        *_reasons(matrix, verdict),
        *_deviations(matrix),
        *_unavailable(matrix),
        *_table(matrix),
        *_silence(matrix),
        *_operations(matrix),
    )
    page = element("html", head, body, lang="en")
    (folder / NAME).write_text(rendered(page), encoding="utf-8")


def _style(text: str) -> ET.Element:
    made = ET.Element("style")
    made.text = text
    return made


def _top(header: Header, matrix: Matrix, verdict: Verdict) -> Iterator[ET.Element]:
    count = len(verdict.reasons)
    yield element(
        "header",
        element("h1", f"The contract is {verdict.told(whole=header.whole, asked=header.asked)}"),
        element("p", f"{header.target} at {header.url}"),
        element("p", f"{count} things speak against it; they are below.") if count else None,
        element("p", _covered(header, matrix)),
        class_=f"verdict {'kept' if verdict.kept else 'broken'}",
    )
    yield _run(header)
    part = "" if header.whole else f" asked for, of {len(matrix.rows)}"
    yield element("h2", f"Operations: {len(matrix.asked)}{part}")
    yield _tiles((count, it, *STANDING_LOOKS[it]) for it, count in matrix.standings.items())
    yield element("h2", f"Results of checks: {sum(matrix.counts.values())}")
    yield _tiles((count, it, *LOOKS[it]) for it, count in matrix.counts.items())
    yield _ways()


def _covered(header: Header, matrix: Matrix) -> str:
    standings = matrix.standings
    left = {it: count for it, count in standings.items() if it is not Standing.PROVEN and count}
    told = "".join(f"; {count} {it}" for it, count in left.items())
    part = "" if header.whole else " that were asked for"
    return f"{standings[Standing.PROVEN]} of {len(matrix.asked)} operations{part} are proven{told}."


_PARTS = {
    "failures": "Failures",
    "reasons": "What else speaks against it",
    "matrix": "Operations by family",
    "silence": "Not run and unsupported",
    "operations": "Each operation",
}
"""The page's parts by their anchors."""


def _ways() -> ET.Element:
    links = [element("a", title, href=f"#{anchor}") for anchor, title in _PARTS.items()]
    return element("nav", *links)


def _unfolding(anchor: str, *children: ET.Element) -> ET.Element:
    """What is inside `details`, not around it: so a link to it opens them."""
    return element("div", *children, id=anchor)


def _part(anchor: str) -> ET.Element:
    return element("h2", _PARTS[anchor], id=anchor)


def _run(header: Header) -> ET.Element:
    document = header.document
    strict = "strict: no body but the signed one" if header.strict else "not strict"
    told = {
        "Profile": header.profile,
        "Effort": f"{header.effort}, {strict}",
        "Families": header.asked,
        "Seed": str(header.seed),
        "Contract": f"{header.contract_version}, sha256 {header.contract[:16]}…",
        "Began": document["began"],
        "Ended": f"{document['ended']} ({header.seconds:.0f} s)",
        "Suite": header.suite,
    }
    pairs = [
        element("div", element("dt", name), element("dd", value)) for name, value in told.items()
    ]
    return element("dl", *pairs, class_="run")


def _tiles(tiles: Iterable[tuple[int, str, str, str]]) -> ET.Element:
    made = [
        element("li", element("b", str(count)), f" {sign} {name}", class_=look if count else "none")
        for count, name, look, sign in tiles
    ]
    return element("ul", *made, class_="tiles")


def _list(items: Iterable[str]) -> ET.Element:
    return element("ul", *(element("li", item) for item in items), class_="reasons")


def _failures(folder: Path, header: Header, matrix: Matrix) -> Iterator[ET.Element]:
    yield _part("failures")
    if not matrix.failures:
        yield element("p", "None.")
    for failure in matrix.failures.values():
        first = failure.message.splitlines()[0][:_SHOWN_LINE]
        yield element(
            "details",
            element(
                "summary",
                _word(Outcome.FAILED),
                " ",
                element("b", failure.title),
                _times(failure.count),
                element("div", first, class_="soft"),
            ),
            _unfolding(
                f"failure-{failure.name}",
                element("pre", failure.message),
                *_again(folder, header, failure),
                *_last_exchange(failure),
            ),
        )


def _reasons(matrix: Matrix, verdict: Verdict) -> Iterator[ET.Element]:
    told = set(matrix.reasons_of_failures)
    others = [reason for reason in verdict.reasons if reason not in told]
    yield _part("reasons")
    yield _list(others) if others else element("p", "Nothing.")


def _again(folder: Path, header: Header, failure: Failure) -> Iterator[ET.Element]:
    command = reproduction.command(folder, failure, header)
    if not command:
        yield element("p", f"Only the first {reproduction.MOST} failures have files.")
        return
    file = reproduction.pytest_file(folder, failure)
    pytest = shlex.join(["pytest", file, "--contract-url", header.url])
    yield element("p", "See it again:")
    yield element("pre", f"{command}\n{pytest}")


def _last_exchange(failure: Failure) -> Iterator[ET.Element]:
    trail = failure.event["trail"]
    if not trail:
        return
    last = trail[-1]
    yield element("p", f"The last of {len(trail)} exchanges:")
    asked = f"{last['method']} {last['target']}\n\n{last['request_body'][:_SHOWN_BODY]}"
    headers = "\n".join(f"{name}: {value}" for name, value in last["response_headers"])
    got = f"{last['status']}\n{headers}\n\n{last['response_body'][:_SHOWN_BODY]}"
    yield element("pre", asked.strip())
    yield element("pre", got.strip())


def _times(count: int) -> ET.Element | None:
    return element("span", f" ({count} times)", class_="soft") if count > 1 else None


def _deviations(matrix: Matrix) -> Iterator[ET.Element]:
    if not matrix.deviations.known:
        return
    yield element("h2", "Known deviations")
    rows = []
    for it in matrix.deviations.known:
        state = matrix.deviations.state(it, matrix.judged)
        bad = state in ("expired", "unused")
        cells = (it.id, it.operation, it.check or it.path, it.reason, f"until {it.expires}")
        look = "word failed" if bad else "word deviation"
        rows.append(
            element(
                "tr",
                element("td", element("span", state, class_=look)),
                *(element("td", cell) for cell in cells),
            )
        )
    yield element("table", element("tbody", *rows), class_="checks")


def _unavailable(matrix: Matrix) -> Iterator[ET.Element]:
    if matrix.unavailable:
        count = len(matrix.unavailable)
        yield element("h2", f"Languages that the server says it cannot run: {count}")
        yield _list(f"{name}: {reason}" for name, reason in sorted(matrix.unavailable.items()))


def _silence(matrix: Matrix) -> Iterator[ET.Element]:
    """Why things were not run, or are unsupported: each reason with what it concerns."""
    reasons: dict[tuple[Outcome, str], list[str]] = {}
    for name, cells in _tables(matrix):
        for (family, check), cell in cells.items():
            if cell.outcome in (Outcome.NOT_RUN, Outcome.UNSUPPORTED):
                for message in cell.messages or ["no reason was given"]:
                    told = f"{name}: {family}: {check}"
                    reasons.setdefault((cell.outcome, message), []).append(told)
    yield _part("silence")
    told = "Nothing is known of these." if reasons else "Nothing was left out."
    yield element("p", told)
    for (outcome, message), concerned in sorted(reasons.items()):
        summary = element("summary", _word(outcome), f" {message} ", _times(len(concerned)))
        yield element("details", summary, _list(concerned))


def _tables(matrix: Matrix) -> Iterator[tuple[str, Mapping[tuple[str, str], Cell]]]:
    yield from ((name, row.cells) for name, row in matrix.shown.items())
    if matrix.loose:
        yield LOOSE, matrix.loose


def _table(matrix: Matrix) -> Iterator[ET.Element]:
    yield _part("matrix")
    yield element(
        "p",
        "Each cell tells the worst outcome, and of how many checks; it leads to all of them. "
        "A dot: no check of the family asks for the operation.",
    )
    families = matrix.families
    heads = ("operation", "success", *families)
    lines, tag = [], ""
    for name, cells in _tables(matrix):
        row = matrix.rows.get(name)
        if row is not None and row.operation.tag != tag:
            tag = row.operation.tag
            lines.append(element("tr", element("th", tag), *_filler(len(heads) - 1), class_="tag"))
        lines.append(
            element(
                "tr",
                element("th", element("a", name, href=_anchor(name)), scope="row"),
                element("td", _standing(row)) if row else element("td", "·"),
                *(_cell(name, _of(cells, family)) for family in families),
            )
        )
    head = element("thead", element("tr", *(element("th", it, scope="col") for it in heads)))
    table = element("table", head, element("tbody", *lines))
    yield element("div", table, class_="wide", tabindex="0")


def _filler(count: int) -> Iterator[ET.Element]:
    return (element("td") for _ in range(count))


def _of(cells: Mapping[tuple[str, str], Cell], family: str) -> list[Cell]:
    return [cell for (of, _), cell in cells.items() if of == family]


def _cell(name: str, cells: list[Cell]) -> ET.Element:
    if not cells:
        return element("td", "·", class_="soft")
    worst = next(it for it in Outcome if any(cell.outcome is it for cell in cells))
    alike = sum(cell.outcome is worst for cell in cells)
    count = f"{alike}" if alike == len(cells) else f"{alike}/{len(cells)}"
    look, sign = LOOKS[worst]
    return element("td", element("a", f"{sign} {count} {worst}", href=_anchor(name)), class_=look)


def _anchor(name: str) -> str:
    return f"#of-{'none' if name == LOOSE else name}"


def _word(outcome: Outcome) -> ET.Element:
    look, sign = LOOKS[outcome]
    return element("span", f"{sign} {outcome}", class_=f"word {look}")


def _standing(row: Row) -> ET.Element:
    look, sign = STANDING_LOOKS[row.standing]
    return element("span", f"{sign} {row.standing}", class_=f"word {look}")


def _operations(matrix: Matrix) -> Iterator[ET.Element]:
    yield _part("operations")
    for name, cells in _tables(matrix):
        row = matrix.rows.get(name)
        summary = element("summary", element("b", name))
        if row is not None:
            where = f" {row.operation.method} {row.operation.path} "
            summary = element("summary", element("b", name), where, _standing(row))
        anchor = _anchor(name).removeprefix("#")
        yield element("details", summary, _unfolding(anchor, *_statuses(row), _checks(cells)))


def _statuses(row: Row | None) -> Iterator[ET.Element]:
    if row is None:
        return
    seen = ", ".join(f"{status} ({count})" for status, count in sorted(row.seen.items()))
    never = ", ".join(map(str, row.unproduced))
    yield element("p", f"Statuses seen: {seen or 'none'}")
    yield element("p", f"Documented, never seen: {never or 'none'}")


def _checks(cells: Mapping[tuple[str, str], Cell]) -> ET.Element:
    ordered = sorted(cells.items(), key=lambda it: (it[0][0] != EVERY_ANSWER, it[0]))
    rows = [
        element(
            "tr",
            element("td", family),
            element("td", check),
            element("td", _word(cell.outcome), f" {cell.cases}" if cell.cases > 1 else None),
            element("td", *_messages(cell)),
        )
        for (family, check), cell in ordered
    ]
    names = ("family", "check", "outcome and cases", "")
    head = element("thead", element("tr", *(element("th", it) for it in names)))
    return element("table", head, element("tbody", *rows), class_="checks")


def _messages(cell: Cell) -> Iterator[ET.Element | str]:
    for message in cell.messages:
        yield element("div", message[:500])
    if cell.failure is not None:
        yield element("a", "how to see it again", href=f"#failure-{cell.failure.name}")
