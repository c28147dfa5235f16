"""One request and its answer, as bytes that went over the wire."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contract.spec import Operation

__all__ = ["EVENT_STREAM", "Exchange", "Headers", "Request", "Response"]

EVENT_STREAM = "text/event-stream"
"""The media type of an answer that has no end."""

Headers = tuple[tuple[str, str], ...]


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of a header, whatever the case of its name."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


DEEPEST = 100
"""What is nested more deeply is taken for an attack on whoever reads it."""


def parsed(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """JSON in UTF-8.

    Raises:
        ValueError: it is none, or is nested more deeply than DEEPEST.
    """
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_refused)
    except RecursionError:
        found = None
        depth = DEEPEST + 1
    else:
        if b"\\u" in body:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
        depth = _depth(found) if body.count(b"[") + body.count(b"{") > DEEPEST else 0
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return found


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        level = [
            member
            for it in level
            if isinstance(it, dict | list)
            for member in (it.values() if isinstance(it, dict) else it)
        ]
        depth += 1
    return depth


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: `target` is path and query, percent-encoded, exactly as on the wire.

    `account` is the role whose key signed it. A `probe` should be refused: if the server let it
    through, something could be created or charged.
    """

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""
    operation: Operation | None = None
    account: str | None = None
    probe: bool = False

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """What came; `seconds` is the time from the first byte sent to the last one received."""

    status: int
    headers: Headers
    body: bytes
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        return header(self.headers, name)

    @property
    def media_type(self) -> str:
        return (self.header("Content-Type") or "").split(";")[0].strip().lower()

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body, parsed; raises ValueError when it is no JSON in UTF-8, or nested too deeply."""
        return parsed(self.body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its answer; `at` is when it was sent, in seconds since 1970."""

    request: Request
    response: Response
    at: float
