"""The report for CI: `junit.xml`, a suite for each family, a case for each check and operation."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path

from contract.outcomes import Outcome
from contract.printable import printable
from contract.report import reproduction
from contract.report.header import Header
from contract.report.matrix import LOOSE, Cell, Matrix, Standing, Verdict

__all__ = ["NAME", "write"]

NAME = "junit.xml"
_EVIDENCE = "evidence"
"""The suite that says of each operation whether a success was seen."""

_STANDS_AS = {
    Standing.UNPROVEN: "failure",
    Standing.NOT_RUN: "skipped",
    Standing.UNSUPPORTED: "skipped",
    Standing.UNPROVABLE: "skipped",
}


def write(folder: Path, header: Header, matrix: Matrix, verdict: Verdict) -> None:
    root = ET.Element("testsuites", name="unsandbox contract", time=f"{header.seconds:.1f}")
    _properties(root, header, verdict)
    for family in matrix.families:
        suite = ET.SubElement(root, "testsuite", name=family)
        for operation, check, cell in _of_family(matrix, family):
            suite.append(_case(folder, header, (family, check, operation), cell))
    root.append(_standings(matrix, whole=header.whole))
    root.append(_others(matrix, verdict))
    for suite in root.iter("testsuite"):
        _count(suite)
    ET.indent(root)
    ET.ElementTree(root).write(folder / NAME, encoding="utf-8", xml_declaration=True)


def _properties(root: ET.Element, header: Header, verdict: Verdict) -> None:
    properties = ET.SubElement(root, "properties")
    for name, value in [*header.document.items(), ("kept", verdict.kept)]:
        ET.SubElement(properties, "property", name=name, value=printable(str(value)))


def _of_family(matrix: Matrix, family: str) -> Iterator[tuple[str, str, Cell]]:
    tables: list[tuple[str, Mapping[tuple[str, str], Cell]]] = [
        *((name, row.cells) for name, row in matrix.rows.items()),
        ("", matrix.loose),
    ]
    for operation, cells in tables:
        for (of, check), cell in cells.items():
            if of == family:
                yield operation, check, cell


def _case(folder: Path, header: Header, key: tuple[str, str, str], cell: Cell) -> ET.Element:
    family, check, operation = key
    case = ET.Element(
        "testcase",
        classname=printable(f"{family}.{check}"),
        name=operation or LOOSE,
        time=f"{cell.seconds:.3f}",
    )
    message = printable("\n".join(cell.messages))
    if cell.outcome is Outcome.FAILED:
        failure = ET.SubElement(case, "failure", message=message)
        if cell.failure is not None:
            again = reproduction.command(folder, cell.failure, header)
            failure.text = f"{message}\n\nreproduce it: {again}" if again else message
    elif cell.outcome is not Outcome.PASSED:
        ET.SubElement(case, "skipped", message=f"{cell.outcome}: {message}")
    return case


def _standings(matrix: Matrix, *, whole: bool) -> ET.Element:
    suite = ET.Element("testsuite", name=_EVIDENCE)
    for name, row in matrix.asked.items():
        case = ET.SubElement(suite, "testcase", classname=_EVIDENCE, name=name)
        kind = _STANDS_AS.get(row.standing)
        if kind is not None:
            kind = kind if whole else "skipped"
            ET.SubElement(case, kind, message=row.standing.value)
    return suite


def _others(matrix: Matrix, verdict: Verdict) -> ET.Element:
    """What speaks against the run beside checks and operations, such as an expired deviation."""
    told = {*matrix.reasons_of_failures, *matrix.reasons_of_operations}
    suite = ET.Element("testsuite", name="run")
    case = ET.SubElement(suite, "testcase", classname="run", name="the run as a whole")
    others = [reason for reason in verdict.reasons if reason not in told]
    if others:
        ET.SubElement(case, "failure", message=printable("\n".join(others)))
    return suite


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
