"""What the proxy has found so far: lines on disk and on the terminal, counts in memory."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.proxy.findings import Finding, Line
from contract.redact import Redactor

__all__ = ["Log", "Told"]

_GROUPS = 1_000
_LINES = 500
"""How many different findings and how many requests a report shows; files have them all."""


@dataclass(slots=True)
class Told:
    """Equal findings: how often, and the first one."""

    finding: Finding
    operation: str
    count: int = 0


@dataclass(slots=True)
class Log:
    """Writes a line for every request into `folder` (nowhere without one)."""

    folder: Path | None
    redactor: Redactor
    say: Callable[[str], None] = print
    outcomes: Counter[str] = field(default_factory=Counter)
    operations: dict[str, Counter[str]] = field(default_factory=dict)
    groups: dict[tuple[str, ...], Told] = field(default_factory=dict)
    latest: list[dict[str, Any]] = field(default_factory=list)

    @property
    def file(self) -> Path | None:
        return self.folder / "requests.jsonl" if self.folder else None

    def start(self) -> None:
        """Begin anew; raises OSError when the folder cannot be written."""
        if self.folder is not None and self.file is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.file.write_text("", encoding="utf-8")

    def add(self, line: Line) -> None:
        """Keep a line, without the secrets that it may hold."""
        document = self.redactor.value(line.document())
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(document, ensure_ascii=True) + "\n")
        self.outcomes[line.outcome] += 1
        name = line.operation or "(none)"
        counts = self.operations.setdefault(name, Counter())
        counts[line.outcome] += 1
        counts[str(line.status)] += 1
        if len(self.latest) < _LINES:
            self.latest.append(document)
        for finding in line.findings:
            self._group(name, finding)
        self._tell(document)

    def _group(self, operation: str, finding: Finding) -> None:
        key = (operation, finding.side, finding.rule, finding.where, finding.level)
        if key in self.groups or len(self.groups) < _GROUPS:
            self.groups.setdefault(key, Told(finding, operation)).count += 1

    def _tell(self, document: dict[str, Any]) -> None:
        what = f"{document['method']} {document['path']} -> {document['status']}"
        self.say(_printable(f"{document['outcome']} {what}"))
        for found in document["findings"]:
            remedy = f" ({found['remedy']})" if "remedy" in found else ""
            rule = ", ".join(found[name] for name in ("side", "rule", "where") if name in found)
            self.say(_printable(f"  {found['level']}: {found['message']}{remedy} [{rule}]"))


def _printable(text: str) -> str:
    """Text that no terminal takes for a command."""
    return "".join(it if it.isprintable() else f"\\x{ord(it):02x}" for it in text)
