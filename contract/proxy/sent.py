"""What the contract says of a request: a table of checks over what a client sends."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from contract.exchange import Request
from contract.proxy.findings import Finding, Level, Side
from contract.spec import METHODS, Operation, Spec

__all__ = ["ALIASES", "findings"]

JSON = "application/json"
_SHOWN = 5
"""How many faults of one body's schema are told."""

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


def findings(spec: Spec, request: Request) -> list[Finding]:
    """Every rule that a request breaks; `request.operation` is set where there is one."""
    if request.operation is None:
        return [_unrouted(spec, request)]
    return [it for check in _CHECKS for it in check(spec, request.operation, request)]


def _unrouted(spec: Spec, request: Request) -> Finding:
    path = request.target.partition("?")[0]
    methods = [name.upper() for name in METHODS if spec.match(name.upper(), path)]
    if methods:
        told = f"{request.method} is no method of {path}; there are: {', '.join(methods)}"
        return Finding(Side.SENT, "method", "method", told, f"send {methods[0]}")
    bare = path.rstrip("/")
    if bare != path and spec.match(request.method, bare):
        told = f"{path} has a slash too many at its end"
        return Finding(Side.SENT, "path", "path", told, f"send {bare}")
    told = f"the contract has no operation {request.method} {path}"
    return Finding(Side.SENT, "path", "path", told, "see the paths of openapi.yaml")


def _alias(spec: Spec, operation: Operation, _request: Request) -> Iterator[Finding]:
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


def _path(spec: Spec, operation: Operation, request: Request) -> Iterator[Finding]:
    parts = request.target.partition("?")[0].split("/")
    named = {
        name[1:-1]: unquote(part)
        for name, part in zip(operation.path.split("/"), parts, strict=True)
        if name.startswith("{")
    }
    for pointer, parameter in _parameters(spec, operation, "path"):
        name = parameter["name"]
        yield from _parameter(spec, pointer, parameter, f"path/{name}", named[name])


def _query(spec: Spec, operation: Operation, request: Request) -> Iterator[Finding]:
    given = parse_qsl(request.target.partition("?")[2], keep_blank_values=True)
    known = {it["name"]: (pointer, it) for pointer, it in _parameters(spec, operation, "query")}
    names = [name for name, _ in given]
    for name, value in given:
        where = f"query/{name}"
        if name not in known:
            yield _undocumented(where, name, known)
        elif names.count(name) > 1:
            yield Finding(Side.SENT, "query", where, f"{name} comes {names.count(name)} times")
        else:
            yield from _parameter(spec, *known[name], where, value)
    for name, (_, parameter) in known.items():
        if parameter.get("required") and name not in names:
            yield Finding(Side.SENT, "query", f"query/{name}", f"{name} is missing")


def _parameters(
    spec: Spec, operation: Operation, place: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Parameters with the JSON pointer to each."""
    item = f"#/paths/{_escaped(operation.path)}"
    for where in (item, f"{item}/{operation.method.lower()}"):
        for number, parameter in enumerate(spec.at(where).get("parameters", ())):
            resolved = spec.resolve(parameter)
            if resolved["in"] == place:
                yield parameter.get("$ref", f"{where}/parameters/{number}"), resolved


def _parameter(
    spec: Spec, pointer: str, parameter: Mapping[str, Any], where: str, text: str
) -> Iterator[Finding]:
    media = next(iter(parameter.get("content", {})), None)
    schema = f"{pointer}/content/{_escaped(media)}/schema" if media else f"{pointer}/schema"
    kind = spec.resolve(spec.at(schema)).get("type")
    try:
        value = json.loads(text) if media or kind in ("integer", "number", "boolean") else text
    except ValueError:
        yield Finding(Side.SENT, "parameter", where, f"{text!r} is no {kind or media}")
        return
    for fault in spec.validator(schema).iter_errors(value):
        yield Finding(Side.SENT, "parameter", where, fault.message)


def _media_type(_spec: Spec, operation: Operation, request: Request) -> Iterator[Finding]:
    known = list(operation.document.get("requestBody", {}).get("content", {}))
    given = _media_type_of(request)
    if known and request.body and given not in known:
        told = f"the Content-Type is {given or 'missing'}; the contract has {' or '.join(known)}"
        where = "header/Content-Type"
        yield Finding(Side.SENT, "content type", where, told, f"send Content-Type: {known[0]}")


def _body(spec: Spec, operation: Operation, request: Request) -> Iterator[Finding]:
    described = operation.document.get("requestBody")
    given = _media_type_of(request)
    if described is None:
        if request.body:
            told = f"{operation.id} takes no body, and {len(request.body)} bytes came"
            yield Finding(Side.SENT, "body", "body", told, "send none", Level.WARNING)
    elif not request.body:
        if described.get("required"):
            yield Finding(Side.SENT, "body", "body", f"{operation.id} needs a body; none came")
    elif given == JSON and JSON in described["content"]:
        yield from _json(spec, operation, request.body)


def _json(spec: Spec, operation: Operation, body: bytes) -> Iterator[Finding]:
    try:
        value = json.loads(body)
    except ValueError as error:
        yield Finding(Side.SENT, "body", "body", f"the body is no JSON: {error}")
        return
    if value == []:
        told = "the body is [], an empty array, where an object is expected"
        remedy = "send {} (PHP: json_encode((object) [...]))"
        yield Finding(Side.SENT, "body", "body", told, remedy, Level.WARNING)
        return
    pointer = (
        f"#/paths/{_escaped(operation.path)}/{operation.method.lower()}"
        f"/requestBody/content/{_escaped(JSON)}/schema"
    )
    if isinstance(value, dict):
        yield from _nulls(value)
        value = {name: member for name, member in value.items() if member is not None}
    for number, fault in enumerate(spec.validator(pointer).iter_errors(value)):
        if number < _SHOWN:
            path = "/".join(["body", *map(str, fault.instance_path)])
            yield Finding(Side.SENT, "body", path, fault.message)
    yield from _unknown_members(spec, spec.at(pointer), value, "body")


def _nulls(value: Mapping[str, Any]) -> Iterator[Finding]:
    for name, member in value.items():
        if member is None:
            told, remedy = f"{name} is null", "leave out members without a value"
            yield Finding(Side.SENT, "null", f"body/{name}", told, remedy, Level.WARNING)


def _unknown_members(spec: Spec, schema: Any, value: Any, where: str) -> Iterator[Finding]:  # noqa: ANN401 - any JSON
    """Members that the contract has no name for: a server ignores them without a word."""
    documented = _properties(spec, schema)
    if isinstance(value, list):
        items = spec.resolve(schema).get("items", {})
        for number, member in enumerate(value):
            yield from _unknown_members(spec, items, member, f"{where}/{number}")
    elif isinstance(value, dict) and documented:
        for name, member in value.items():
            if name in documented:
                yield from _unknown_members(spec, documented[name], member, f"{where}/{name}")
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


def _media_type_of(request: Request) -> str:
    return (request.header("Content-Type") or "").split(";")[0].strip().lower()


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


_CHECKS: tuple[Callable[[Spec, Operation, Request], Iterator[Finding]], ...] = (
    _alias,
    _path,
    _query,
    _media_type,
    _body,
)
