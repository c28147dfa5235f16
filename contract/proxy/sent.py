"""What is wrong with a request that a client sent, and what to send instead."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from contract.exchange import Request
from contract.proxy.findings import Finding, Level, Side
from contract.spec import METHODS, Operation, Spec
from contract.validity import Judge

__all__ = ["ALIASES", "Requests"]

JSON = "application/json"

ALIASES: Mapping[str, tuple[str, ...]] = {
    "network": ("network_mode",),
    "return_artifacts": ("return_artifact",),
    "persistence": ("multiplexer",),
    "tmux": ("multiplexer",),
    "screen": ("multiplexer",),
    "language": ("shell",),
    "domains": ("custom_domains",),
    "bootstrap_url": ("bootstrap",),
    "type": ("service_type",),
    "clone_type": ("type",),
    "trusted_api_key": ("api_key",),
    "key": ("api_key",),
    "timeout_ms": ("timeout",),
    "ephemeral": ("hot",),
    "session_id": ("source_id",),
    "service_id": ("source_id",),
}
"""Names that published clients send, and the documented ones that they mean."""


class Requests:
    """Judges requests by one contract."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._judge = Judge(spec)

    def findings(self, request: Request) -> list[Finding]:
        """Every rule that a request breaks; `request.operation` is set where there is one."""
        operation = request.operation
        if operation is None:
            return [_unrouted(self._spec, request)]
        judgement = self._judge.judge(operation, request)
        known = {f"the body is declared as {_media_type(request) or 'nothing'}"}
        return [
            *_alias(self._spec, operation),
            *_body(operation, request),
            *(_told(text, Level.FAULT) for text in judgement.faults),
            *(_told(text, Level.WARNING) for text in judgement.open if text not in known),
            *_unknown_parameters(operation, request),
            *_unknown_members(self._spec, operation, request),
        ]


def _told(text: str, level: Level) -> Finding:
    """A fault in the words of `contract.validity`: `body/ttl: 999 is greater than ...`."""
    where, colon, told = text.partition(": ")
    remedy = "" if level is Level.FAULT else "servers may refuse it, or take it otherwise"
    return Finding(
        Side.SENT, "request", where if colon else "", told if colon else text, remedy, level
    )


def _unrouted(spec: Spec, request: Request) -> Finding:
    path = request.target.partition("?")[0]
    methods = [name.upper() for name in METHODS if spec.match(name.upper(), path)]
    if methods:
        told = f"{request.method} is no method of {path}; there are: {', '.join(methods)}"
        return Finding(Side.SENT, "method", "method", told, f"send {methods[0]}")
    if "//" in path:
        told = f"{path} has an empty part: an id was empty"
        return Finding(Side.SENT, "path", "path", told, "refuse an empty id before sending")
    bare = path.rstrip("/")
    if bare != path and spec.match(request.method, bare):
        told = f"{path} has a slash too many at its end"
        return Finding(Side.SENT, "path", "path", told, f"send {bare}")
    told = f"the contract has no operation {request.method} {path}"
    return Finding(Side.SENT, "path", "path", told, "see the paths of openapi.yaml")


def _alias(spec: Spec, operation: Operation) -> Iterator[Finding]:
    if operation.alias_of:
        canonical = spec.operations[operation.alias_of]
        yield Finding(
            Side.SENT,
            "alias path",
            "path",
            f"{operation.method} {operation.path} is another name that old clients use",
            f"send {canonical.method} {canonical.path}",
            Level.WARNING,
        )


def _body(operation: Operation, request: Request) -> Iterator[Finding]:
    """Whether there may be a body, has to be one, and is of a kind that the contract has."""
    described = operation.document.get("requestBody")
    if described is None:
        if request.body:
            told = f"{operation.id} takes no body, and {len(request.body)} bytes came"
            yield Finding(Side.SENT, "body", "body", told, "send none", Level.WARNING)
        return
    known, given = list(described["content"]), _media_type(request)
    if request.body and given not in known:
        told = f"the Content-Type is {given or 'missing'}; the contract has {' or '.join(known)}"
        where = "header/Content-Type"
        yield Finding(Side.SENT, "content type", where, told, f"send Content-Type: {known[0]}")


def _unknown_parameters(operation: Operation, request: Request) -> Iterator[Finding]:
    known = {it["name"]: it for it in operation.parameters if it["in"] == "query"}
    for name, _ in parse_qsl(request.target.partition("?")[2], keep_blank_values=True):
        if name not in known:
            yield _undocumented(f"query/{name}", name, known)


def _unknown_members(spec: Spec, operation: Operation, request: Request) -> Iterator[Finding]:
    content = operation.document.get("requestBody", {}).get("content", {})
    if JSON in content and _media_type(request) == JSON:
        try:
            value = json.loads(request.body)
        except ValueError:
            return  # which is told already
        yield from _unknown(spec, content[JSON]["schema"], value, "body")


def _unknown(
    spec: Spec,
    schema: Mapping[str, Any],
    value: Any,  # noqa: ANN401 - any JSON
    where: str,
) -> Iterator[Finding]:
    """Members that the contract has no name for: a server ignores them without a word."""
    documented = _properties(spec, schema)
    if isinstance(value, list):
        items = spec.resolve(schema).get("items", {})
        for number, member in enumerate(value):
            yield from _unknown(spec, items, member, f"{where}/{number}")
    elif isinstance(value, dict) and documented:
        for name, member in value.items():
            if name in documented:
                yield from _unknown(spec, documented[name], member, f"{where}/{name}")
            else:
                yield _undocumented(f"{where}/{name}", name, documented)


def _properties(spec: Spec, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a schema names, itself or in what it is put together of."""
    schema = spec.resolve(schema)
    found = dict(schema.get("properties", {}))
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(keyword, ()):
            found = {**_properties(spec, part), **found}
    return found


def _undocumented(where: str, name: str, known: Mapping[str, Any]) -> Finding:
    meant = next((it for it in ALIASES.get(name, ()) if it in known), None)
    if meant:
        told = f"{name} is not documented; some servers take it for {meant}, others ignore it"
        return Finding(Side.SENT, "alias", where, told, f"send {meant}", Level.WARNING)
    told = f"{name} is not documented: servers ignore it"
    remedy = f"leave it out; there are: {', '.join(known) or 'none'}"
    return Finding(Side.SENT, "undocumented", where, told, remedy, Level.WARNING)


def _media_type(request: Request) -> str:
    return (request.header("Content-Type") or "").split(";")[0].strip().lower()
