#!/usr/bin/env python3
"""Write the table of docs/security.md from tests/attacks.toml.

With the JUnit file of a test run (`make test ARGS=--junitxml=FILE`), say first whether every attack
of the table was held off in it, in each mode; exit status 3 names those that were not.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from emulator.paths import ROOT

PAGE = ROOT / "docs" / "security.md"
ATTACKS = ROOT / "tests" / "attacks.toml"
BEGIN, END = "<!-- attacks -->\n", "<!-- end of attacks -->\n"
NOT_HELD_OFF = 3
_RUNS_AS = {"session": "reuse", "service": "reuse"}
"""The mode that tests run in whose subject has none."""


class Attack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to hold something off, and the tests that try it in each of `modes`."""

    threat: str
    measure: str
    tests: tuple[str, ...]
    modes: tuple[str, ...] = ("reuse", "container")


class Attacks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    attack: tuple[Attack, ...]


def attacks() -> tuple[Attack, ...]:
    return msgspec.toml.decode(ATTACKS.read_text(encoding="utf-8"), type=Attacks).attack


def table(rows: Iterable[Attack]) -> str:
    """One line a test; what is the same as in the line above is not told again."""
    lines = ["| threat | measure | modes | test |", "|---|---|---|---|"]
    threat = ""
    for attack in rows:
        told = ["" if attack.threat == threat else attack.threat, attack.measure, _told(attack)]
        for test in attack.tests:
            lines.append(f"| {' | '.join([*told, f'`{test}`'])} |".replace("|  |", "| |"))
            told = [""] * 3
        threat = attack.threat
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def _told(attack: Attack) -> str:
    return "both" if len(attack.modes) > 1 else attack.modes[0]


def page() -> str:
    """The page with the table as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table(attacks()) + END + after


def not_held_off(report: Path) -> list[str]:
    """Tests of the table, with their mode, that did not run or did not pass in this report."""
    passed: dict[str, bool] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own test run's
        good = all(case.find(kind) is None for kind in ("failure", "error", "skipped"))
        for name in _names(case.get("name", "")):
            passed[name] = passed.get(name, True) and good
    return [
        f"{test} in {mode}"
        for attack in attacks()
        for test in attack.tests
        for mode in attack.modes
        if not passed.get(f"{test} in {_RUNS_AS.get(mode, mode)}", False)
    ]


def _names(case: str) -> Iterator[str]:
    """`test[a-container]` is `test in container`; what names no mode is run in the default one."""
    test, _, parameters = case.partition("[")
    words = parameters.rstrip("]").split("-")
    yield f"{test} in {'container' if 'container' in words else 'reuse'}"


def main(arguments: list[str]) -> int:
    for report in arguments:
        missing = not_held_off(Path(report))
        if missing:
            print("Not held off: " + ", ".join(missing), file=sys.stderr)
            return NOT_HELD_OFF
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
