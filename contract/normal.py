"""Answers without what differs from server to server and from day to day: typed references.

An id becomes `<session:1>`, a time `<date-time>`, an address `http://<host>`; what has a name here
is equal on two servers when it stands for the same thing in the same walk.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from contract.exchange import Response
from contract.signing import Credentials
from contract.spec import Operation

__all__ = ["HEADERS", "Normal"]

HEADERS = {
    "content-type": None,
    "allow": None,
    "retry-after": "<seconds>",
    "x-ratelimit-limit": "<number>",
    "x-ratelimit-remaining": "<number>",
    "x-ratelimit-reset": "<time>",
}
"""The headers that are kept, and what their values become (None: they stay). No other one is."""

SHAPES = {"getCluster", "getPools", "getStats", "getKeySelf", "validateKey"}
"""Of these answers the names and types count, not the values: a server's own state."""

_NAMED = (
    (re.compile(r".*_ms$|execution_time|remaining_ttl|uptime.*|expired_ago"), "<duration>"),
    (re.compile(r"(.*_)?version"), "<version>"),
    (re.compile(r"(.*_)?(size|bytes|disk_used|disk|offset)"), "<size>"),
    (re.compile(r"fingerprint|node|last_activity"), "<text>"),
    (re.compile(r".*_at"), "<date-time>"),
)
"""Values by the names of members, whatever their type."""

_FREE_TEXTS = {"message", "details"}
"""What errors say to people; their `error` and `code` are for programs and stay."""

_IN_TEXTS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<date-time>"),
    (re.compile(r"(http|ws)s?://(?:<[a-z0-9:-]+>|[^/\s\"'<>])+"), r"\1://<host>"),
    (re.compile(r"\bv?\d+\.\d+\.\d+\b"), "<version>"),
)
_PUBLIC_KEY = re.compile(r"unsb-pk-[A-Za-z0-9-]+")
_SHORTEST_ID = 6


class Normal:
    """The references of one walk, in the order in which their things first came."""

    def __init__(self, unique: str, accounts: Mapping[str, Credentials]) -> None:
        self._known = {it.public_key: f"<public-key:{role}>" for role, it in accounts.items()}
        self._known[unique] = "<unique>"
        self._counts: Counter[str] = Counter()

    def answer(
        self, operation: Operation, response: Response, *, head: bool = False
    ) -> dict[str, Any]:
        """Status, headers by name, and the body: JSON, or text, or the number of bytes."""
        headers = {
            name: self._text(shown or value)
            for name, shown in HEADERS.items()
            if (value := response.header(name)) is not None
        }
        if head:
            return {"status": response.status, "headers": headers}
        return {
            "status": response.status,
            "headers": headers,
            "body": self._body(operation, response),
        }

    def _body(self, operation: Operation, response: Response) -> Any:  # noqa: ANN401 - any JSON
        try:
            body = response.json
        except ValueError:
            try:
                return self._text(response.body.decode())
            except UnicodeDecodeError:
                return f"<{len(response.body)} bytes>"
        if operation.id in SHAPES and response.status < 300:
            return _shape(body)
        if operation.id.startswith("list"):
            body = self._own(body)
        for name, value in _ids(body):
            self._name(operation.tag if name == "id" else name.removesuffix("_id"), value)
        return self._value(body, error=response.status >= 400)

    def _name(self, kind: str, value: str) -> None:
        if value not in self._known and len(value) >= _SHORTEST_ID:
            kind = kind.lower().removesuffix("s")
            self._counts[kind] += 1
            self._known[value] = f"<{kind}:{self._counts[kind]}>"

    def _own(self, body: Any) -> Any:  # noqa: ANN401 - any JSON
        """A list without the things that this walk did not make, and without their count."""
        if isinstance(body, list):
            return [it for it in body if not isinstance(it, dict) or self._is_own(it)]
        if isinstance(body, dict) and any(_of_objects(it) for it in body.values()):
            return {
                name: "<number>" if name == "count" else self._own(member)
                for name, member in body.items()
            }
        return body

    def _is_own(self, thing: Mapping[str, Any]) -> bool:
        ids = [value for name, value in thing.items() if name == "id" or name.endswith("_id")]
        return not ids or any(value in self._known for value in ids)

    def _value(self, value: Any, *, error: bool, name: str = "") -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            return {
                member: self._value(it, error=error, name=member) for member, it in value.items()
            }
        if isinstance(value, list):
            return [self._value(it, error=error, name=name) for it in value]
        if error and name in _FREE_TEXTS:
            return "<text>"
        for pattern, shown in _NAMED:
            if pattern.fullmatch(name) and value is not None and not isinstance(value, bool):
                return shown
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        for value in sorted(self._known, key=len, reverse=True):
            text = text.replace(value, self._known[value])
        for key in _PUBLIC_KEY.findall(text):
            self._name("public-key", key)
            text = text.replace(key, self._known[key])
        for pattern, shown in _IN_TEXTS:
            text = pattern.sub(shown, text)
        return text


def _ids(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Members that are ids; those whose names say of what come first."""
    if isinstance(value, dict):
        for name in sorted(value, key=lambda it: (it == "id", it == "source_id")):
            if isinstance(value[name], str) and (
                name in ("id", "container_name") or name.endswith("_id")
            ):
                yield name, value[name]
            else:
                yield from _ids(value[name])
    elif isinstance(value, list):
        for member in value:
            yield from _ids(member)


def _of_objects(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, list) and (not value or isinstance(value[0], dict))


def _shape(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shape(member) for member in value[:1]]
    if isinstance(value, bool) or value is None:
        return f"<{type(value).__name__}>"
    return "<number>" if isinstance(value, int | float) else "<text>"
