"""What was asked and what sandboxes connected to lately: bounded, in memory, without secrets."""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from emulator.clock import Clock
from emulator.exchange import Exchange
from emulator.gateway.passage import Passage
from emulator.sandbox.origin import Connection

_REDACTED = "[redacted]"
_HIDDEN = frozenset(
    {"env", "content", "content_base64", "data", "secret", "secret_key", "password", "token"}
)
_SECRET_BODIES = frozenset({"setServiceEnv", "setServiceEnvAlias", "deleteServiceEnv"})
"""Operations any field of whose body may be a secret, whatever its name is."""

_TEXT_LIMIT = 512
_ITEM_LIMIT = 20
_DEPTH_LIMIT = 3

Entry = dict[str, object]


class Journal:
    """The newest `size` exchanges, and as many connections of sandboxes."""

    def __init__(self, size: int, clock: Clock) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._connections: deque[Entry] = deque(maxlen=size)
        self._clock = clock

    def record(self, exchange: Exchange, seconds: float) -> None:
        operation = exchange.operation.id if exchange.operation else None
        entry: Entry = {
            "request_id": exchange.request_id,
            "at": self._clock.isoformat(),
            "method": exchange.method,
            "path": exchange.path[:_TEXT_LIMIT],
            "status": exchange.status,
            "duration_ms": round(seconds * 1000, 3),
            "body_bytes": exchange.body_bytes,
        }
        optional = {
            "query_parameters": _names(exchange.query),
            "operation": operation,
            "account": exchange.account.public_key if exchange.account else None,
            "code": exchange.code,
            "job_id": exchange.job_id,
            "fault": exchange.fault,
            "notes": list(exchange.notes) or None,
            "body": None if operation in _SECRET_BODIES else redact(exchange.body),
        }
        entry.update({name: value for name, value in optional.items() if value})
        self._entries.append(entry)

    def record_connection(self, connection: Connection) -> None:
        entry: Entry = {
            "at": self._clock.isoformat(),
            connection.origin.kind: connection.origin.id,
            "account": connection.origin.account,
            "sandbox": connection.sandbox,
            "way": connection.way,
            "destination": connection.destination[:_TEXT_LIMIT],
            "outcome": connection.outcome,
            "sent_bytes": connection.sent,
            "received_bytes": connection.received,
            "duration_ms": connection.milliseconds,
        }
        optional = {"address": connection.address, "status": connection.status}
        entry.update({name: value for name, value in optional.items() if value is not None})
        self._connections.append(entry)

    def record_passage(self, passage: Passage) -> None:
        """A request to a service, or a connection to one of its host ports."""
        entry: Entry = {
            "request_id": passage.request_id,
            "at": self._clock.isoformat(),
            "protocol": passage.protocol,
            "status": passage.status,
            "duration_ms": round(passage.milliseconds, 3),
            "sent_bytes": passage.sent,
            "received_bytes": passage.received,
        }
        optional = {
            "method": passage.method,
            "path": passage.path[:_TEXT_LIMIT],
            "query_parameters": _names(passage.query),
            "service": passage.service,
            "service_id": passage.service_id,
            "account": passage.account,
            "port": passage.port,
            "code": passage.code,
        }
        entry.update({name: value for name, value in optional.items() if value})
        self._entries.append(entry)

    def entries(self, limit: int, **match: str | int | None) -> list[Entry]:
        """The newest requests first, at most `limit`, of those whose fields equal `match`."""
        return _newest(self._entries, limit, match)

    def connections(self, limit: int, **match: str | int | None) -> list[Entry]:
        """The newest connections first, as `entries` does."""
        return _newest(self._connections, limit, match)

    def clear(self) -> None:
        self._entries.clear()

    def clear_connections(self) -> None:
        self._connections.clear()


def _newest(entries: deque[Entry], limit: int, match: Mapping[str, object]) -> list[Entry]:
    wanted = {name: value for name, value in match.items() if value is not None}
    chosen = (
        entry
        for entry in reversed(entries)
        if all(entry.get(name) == value for name, value in wanted.items())
    )
    return list(islice(chosen, limit))


def _names(query: str) -> list[str]:
    """The names in a query string; values may be secrets (`env` is one of them)."""
    return [part.partition("=")[0][:_TEXT_LIMIT] for part in query.split("&") if part][:_ITEM_LIMIT]


def redact(value: object, depth: int = 0) -> object:
    """`value` without secrets, long texts and long lists; never the object itself."""
    if isinstance(value, dict):
        return _redact_object(value.items(), depth)
    if isinstance(value, list):
        if depth == _DEPTH_LIMIT:
            return f"[{len(value)} items]"
        return [redact(item, depth + 1) for item in value[:_ITEM_LIMIT]]
    if isinstance(value, str) and len(value) > _TEXT_LIMIT:
        return f"{value[:_TEXT_LIMIT]}... [{len(value)} characters]"
    return value


def _redact_object(items: Iterable[tuple[str, object]], depth: int) -> object:
    if depth == _DEPTH_LIMIT:
        return "[object]"
    return {
        name[:_TEXT_LIMIT]: _REDACTED if name.lower() in _HIDDEN else redact(item, depth + 1)
        for name, item in islice(items, _ITEM_LIMIT)
    }
