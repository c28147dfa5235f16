"""What real clients send that the documentation does not: aliases, nulls, imprecise signatures.

On unless `--strict`; every use is noted in the journal. Nothing about compatibility lives
elsewhere. The aliases and mistakes are those seen on the wire of the vendor's published clients.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from emulator.exchange import Exchange

Fields = Mapping[str, str]
V = TypeVar("V")

_SESSION: Fields = {"network": "network_mode", "persistence": "multiplexer", "language": "shell"}
_SERVICE: Fields = {
    "network": "network_mode",
    "domains": "custom_domains",
    "type": "service_type",
    "bootstrap_url": "bootstrap",
}
_EXECUTE: Fields = {"network": "network_mode", "return_artifacts": "return_artifact"}

FIELD_ALIASES: dict[str, Fields] = {
    "execute": _EXECUTE,
    "executeAsync": _EXECUTE,
    "run": _EXECUTE,
    "runAsync": _EXECUTE,
    "createSession": _SESSION,
    "createService": _SERVICE,
    "updateService": {"domains": "custom_domains"},
    "setServiceDomains": {"domains": "custom_domains"},
    "redeployService": {"bootstrap_url": "bootstrap"},
}
"""Alias -> canonical field, by operation; an alias counts only where the canonical is absent."""

ITEM_ALIASES: dict[str, Fields] = {"input_files": {"content_base64": "content"}}
"""The same for the objects in a list, by the list's field, whatever the operation."""

FLAGS: dict[str, dict[str, tuple[str, str]]] = {
    "createSession": {"tmux": ("multiplexer", "tmux"), "screen": ("multiplexer", "screen")},
}
"""Booleans that stand for the value of another field: true is that value, false is nothing."""

PORTS_OPERATIONS = ("createService", "updateService", "spawnImage", "cloneSnapshot")
"""Their `ports` may be texts, or one text with commas."""

SHELL_OPERATIONS = ("createSession", "cloneSnapshot")
"""Their `shell` may be the name of a language."""

BODY_PARAMETERS: dict[str, tuple[str, ...]] = {"createSession": ("audit",)}
"""Query parameters that some clients send as booleans in the body."""

ENV_FILE_OPERATIONS = ("setServiceEnv", "setServiceEnvAlias")
"""Their `.env` files come with the media type of JSON, too."""

_POOL_LOGS = re.compile(rb"(/logs/pool)/([^/]+(?:/stream)?)")
"""The name of a log's source has a slash, which un.c sends as one."""

JOBS_OBJECT_AGENTS = ("un-", "python-requests/", "Python/", "Java/", "PHP", "Ruby")
"""How the `User-Agent` of clients begins that read `GET /jobs` as an object with `jobs`.

The documentation shows an array, on which these clients fail or find nothing.
"""

_ENV_FILE = re.compile(rb"\s*(#|(export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=)")
"""How a `.env` file begins, and JSON does not."""

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


def canonical_path(raw_path: bytes, exchange: Exchange) -> bytes:
    """The path with a source of logs in one segment."""
    found = _POOL_LOGS.fullmatch(raw_path)
    if found is None:
        return raw_path
    _note(exchange, "a slash in the name of a log's source")
    return b"%2F".join(found.groups())


def canonical_body(operation_id: str, body: object, exchange: Exchange, shells: Fields) -> object:
    """`body` with its aliases renamed and its nulls dropped; `[]` counts as `{}`.

    `shells` says which shell or REPL is meant by the name of a language.
    """
    if body == []:
        _note(exchange, "[] read as {}")
        return {}
    if not isinstance(body, dict):
        return body
    present = {name: value for name, value in body.items() if value is not None}
    if len(present) != len(body):
        _note(exchange, "null fields dropped")
    _read_flags(FLAGS.get(operation_id, {}), present, exchange)
    _rename(FIELD_ALIASES.get(operation_id, {}), present, exchange)
    for name, aliases in ITEM_ALIASES.items():
        items = present.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                _rename(aliases, item, exchange)
    _read_values(operation_id, present, exchange, shells)
    return present


def _read_values(
    operation_id: str, fields: dict[str, Any], exchange: Exchange, shells: Fields
) -> None:
    if operation_id in PORTS_OPERATIONS:
        _read_ports(fields, exchange)
    if operation_id in SHELL_OPERATIONS:
        _respell("shell", shells, fields, exchange)


def canonical_query(
    operation_id: str, query: dict[str, str], body: object, exchange: Exchange
) -> dict[str, str]:
    """Query parameters under their names, with what stands in the body in place of them."""
    given = _rename(FIELD_ALIASES.get(operation_id, {}), query, exchange)
    for name in BODY_PARAMETERS.get(operation_id, ()):
        if isinstance(body, dict) and isinstance(body.get(name), bool):
            given.setdefault(name, str(body[name]).lower())
            _note(exchange, f"{name} read from the body")
    return given


def is_env_file(operation_id: str, raw: bytes, exchange: Exchange) -> bool:
    """Whether a body that is said to be JSON is the text of a `.env` file."""
    found = operation_id in ENV_FILE_OPERATIONS and _ENV_FILE.match(raw) is not None
    if found:
        _note(exchange, "JSON read as text/plain")
    return found


def _read_flags(
    flags: Mapping[str, tuple[str, str]], fields: dict[str, Any], exchange: Exchange
) -> None:
    for flag, (name, value) in flags.items():
        is_set = fields.get(flag)
        if isinstance(is_set, bool):
            del fields[flag]
            if is_set:
                fields.setdefault(name, value)
            _note(exchange, f"{flag} read as {name}")


def _read_ports(fields: dict[str, Any], exchange: Exchange) -> None:
    """Ports that are texts as numbers; what is none is left to the contract."""
    ports = fields.get("ports")
    listed = ports.split(",") if isinstance(ports, str) else ports
    if isinstance(listed, list) and any(isinstance(port, str) for port in listed):
        fields["ports"] = [_number(port) for port in listed if port != ""]
        _note(exchange, "ports read from texts")


def _number(port: object) -> object:
    return (
        int(port)
        if isinstance(port, str) and port.strip().isascii() and port.strip().isdigit()
        else port
    )


def _respell(name: str, spellings: Fields, fields: dict[str, Any], exchange: Exchange) -> None:
    """Put a value's usual spelling in its place."""
    given = fields.get(name)
    if isinstance(given, str) and given in spellings:
        fields[name] = spellings[given]
        _note(exchange, f"{name} {given} read as {spellings[given]}")


def _rename(aliases: Fields, fields: dict[str, V], exchange: Exchange) -> dict[str, V]:
    for alias, name in aliases.items():
        if alias in fields:
            value = fields.pop(alias)
            fields.setdefault(name, value)
            _note(exchange, f"{alias} read as {name}")
    return fields


def _note(exchange: Exchange, what: str) -> None:
    """Tell the journal, once however often a request does it."""
    note = f"compat: {what}"
    if note not in exchange.notes:
        exchange.notes.append(note)


def wants_jobs_object(headers: Mapping[str, str], exchange: Exchange) -> bool:
    """Whether the sender is one of the clients that know a list of jobs as an object only."""
    wanted = headers.get("user-agent", "").startswith(JOBS_OBJECT_AGENTS)
    if wanted:
        _note(exchange, "the list as an object, for this client")
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
