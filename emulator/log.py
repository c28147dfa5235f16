"""Log lines that a program can parse and that no input can forge."""

import logging
import re
import sys
import time
from functools import lru_cache

_LEVEL_WIDTH = 7
NOBODY = ""
"""The `account` of lines that no account is shown."""

QUIET = ("uvicorn.error", "docker", "urllib3", "websockets")
"""What others log, of which only warnings are told."""

_CREDENTIAL = re.compile(r"\b((?:sess_|unsb-service-)[0-9a-f]{6})[0-9a-f]{26}\b")
"""Whoever knows the whole id of a session or service may open its shell."""


def masked(text: str) -> str:
    """`text` with the beginnings alone of ids of sessions and services."""
    return _CREDENTIAL.sub(r"\1...", text)


def escape(text: str) -> str:
    """`text` on one line: control characters and lone surrogates as escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


@lru_cache(maxsize=1)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class LineFormatter(logging.Formatter):
    """`2026-01-14T12:00:00Z INFO    emulator.access request_id=req_1: GET /health 200 0.4 ms`."""

    def format(self, record: logging.LogRecord) -> str:
        lines = [line(record)]
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            lines += [f"  {masked(escape(part))}" for part in trace.splitlines()]
        return "\n".join(lines)


def line(record: logging.LogRecord) -> str:
    """What a record says, on one line; made once for all who show it."""
    known: str | None = getattr(record, "line", None)
    if known is None:
        known = record.line = line_with(record, record.getMessage())
    return known


def line_with(record: logging.LogRecord, message: str) -> str:
    """The line of a record, with another message in it."""
    at = _second(int(record.created))
    request_id = getattr(record, "request_id", None)
    mark = f" request_id={request_id}" if request_id else ""
    head = f"{at} {record.levelname:{_LEVEL_WIDTH}} {record.name}{mark}: "
    return head + masked(escape(message))


def configure(level: str) -> None:
    """Send everything from `level` upwards to standard error.

    What no line shows is not looked up: https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
