"""What the proxy has to say of one request: findings, and the line of JSON that holds them.

A line is small enough for test programs of any language to write it too; LINE is its schema.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["LINE", "Finding", "Level", "Line", "Side"]


class Side(StrEnum):
    """Who did it: the client, in what it sent or how it signed, or the server."""

    SENT = "sent"
    SIGNATURE = "signature"
    ANSWER = "answer"


class Level(StrEnum):
    FAULT = "fault"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken: `where` names a part (`body/ttl`, `query/env`), `offset` a byte of it."""

    side: Side
    rule: str
    where: str
    message: str
    remedy: str = ""
    level: Level = Level.FAULT
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One request: when (ISO 8601), whose (User-Agent), what, and what came of it.

    `status` is 0 when the server gave no answer; `path` is without the query.
    """

    at: str
    client: str
    operation: str
    method: str
    path: str
    status: int
    milliseconds: float
    findings: Sequence[Finding] = ()

    @property
    def outcome(self) -> str:
        levels = {finding.level for finding in self.findings}
        return "fail" if Level.FAULT in levels else "warn" if levels else "pass"

    def document(self) -> dict[str, Any]:
        findings = [_without_blanks(asdict(finding)) for finding in self.findings]
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "outcome": self.outcome, "findings": findings}


def _without_blanks(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "")}


_TEXT = {"type": "string"}
LINE: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["at", "client", "operation", "method", "path", "status", "outcome", "findings"],
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "client": _TEXT,
        "operation": _TEXT,
        "method": _TEXT,
        "path": _TEXT,
        "status": {"type": "integer", "minimum": 0, "maximum": 599},
        "milliseconds": {"type": "number", "minimum": 0},
        "outcome": {"enum": ["pass", "warn", "fail"]},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["side", "rule", "message", "level"],
                "properties": {
                    "side": {"enum": [side.value for side in Side]},
                    "level": {"enum": [level.value for level in Level]},
                    "rule": _TEXT,
                    "where": _TEXT,
                    "message": _TEXT,
                    "remedy": _TEXT,
                    "offset": {"type": "integer", "minimum": 0},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""The JSON schema of a line. `operation` is empty where the contract has none."""
