"""What real clients send that the documentation does not: aliases, nulls, imprecise signatures.

On unless `--strict`; every use is noted in the journal. Nothing about compatibility lives
elsewhere. The aliases and mistakes are those seen on the wire of the vendor's published clients.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from emulator.exchange import Exchange

Fields = Mapping[str, str]
V = TypeVar("V")

_EXECUTE: Fields = {"network": "network_mode", "return_artifacts": "return_artifact"}

FIELD_ALIASES: dict[str, Fields] = {
    "execute": _EXECUTE,
    "executeAsync": _EXECUTE,
    "run": _EXECUTE,
    "runAsync": _EXECUTE,
}
"""Alias -> canonical field, by operation; an alias counts only where the canonical is absent."""

JOBS_OBJECT_AGENTS = ("un-", "python-requests/", "Python/", "Java/", "PHP", "Ruby")
"""How the `User-Agent` of clients begins that read `GET /jobs` as an object with `jobs`.

The documentation shows an array, on which these clients fail or find nothing.
"""

_ECHO_ESCAPES = {
    b"\\n": b"\n",
    b"\\t": b"\t",
    b"\\r": b"\r",
    b"\\b": b"\b",
    b"\\f": b"\f",
    b"\\\\": b"\\",
}
_ECHO_ESCAPE = re.compile(rb"\\[ntrbf\\]")

_ECHO_BYTES = 131_072
"""The shell gets such a body within one argument; Linux takes no longer one (MAX_ARG_STRLEN)."""


def canonical_body(operation_id: str, body: object, exchange: Exchange) -> object:
    """`body` with its aliases renamed and its nulls dropped; `[]` counts as `{}`."""
    if body == []:
        exchange.notes.append("compat: [] read as {}")
        return {}
    if not isinstance(body, dict):
        return body
    present = {name: value for name, value in body.items() if value is not None}
    if len(present) != len(body):
        exchange.notes.append("compat: null fields dropped")
    return _rename(FIELD_ALIASES.get(operation_id, {}), present, exchange)


def canonical_query(operation_id: str, query: dict[str, str], exchange: Exchange) -> dict[str, str]:
    """Query parameters with their aliases renamed."""
    return _rename(FIELD_ALIASES.get(operation_id, {}), query, exchange)


def _rename(aliases: Fields, fields: dict[str, V], exchange: Exchange) -> dict[str, V]:
    for alias, name in aliases.items():
        if alias in fields:
            value = fields.pop(alias)
            fields.setdefault(name, value)
            exchange.notes.append(f"compat: {alias} read as {name}")
    return fields


def wants_jobs_object(headers: Mapping[str, str], exchange: Exchange) -> bool:
    """Whether the sender is one of the clients that know a list of jobs as an object only."""
    wanted = headers.get("user-agent", "").startswith(JOBS_OBJECT_AGENTS)
    if wanted:
        exchange.notes.append("compat: the list as an object, for this client")
    return wanted


def signed_bodies(method: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """The bodies, besides the one sent, that a real client may have signed; with their reason."""
    if body in (b"{}", b"[]") or method in ("GET", "DELETE"):
        yield "an empty body was signed", b""
    if body == b"":
        yield "{} was signed, nothing was sent", b"{}"
    if b"\\" in body and len(body) < _ECHO_BYTES:
        yield "the body was signed after echo expanded its escapes", _echo(body)


def _echo(body: bytes) -> bytes:
    """What `echo -n` of a POSIX shell (dash) prints for `body`."""
    return _ECHO_ESCAPE.sub(lambda escape: _ECHO_ESCAPES[escape[0]], body)
