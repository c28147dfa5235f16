"""What the contract says of every single answer, whoever asked and why: a table of checks."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contract.exchange import Exchange, Response
from contract.spec import Operation, Spec

__all__ = ["CHECKS", "Violation", "violations"]

JSON = "application/json"
_SHOWN = 3
"""How many faults of one body are told."""

ERROR_SCHEMA = "#/components/schemas/Error"
UNROUTED = {404, 405, 413, 421, 403, 500}
"""What a server may answer where no operation is."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of the contract that an answer breaks."""

    check: str
    message: str


Check = Callable[[Spec, Operation, Exchange], Iterator[str]]


def violations(spec: Spec, exchange: Exchange) -> list[Violation]:
    """Every rule that an answer breaks, in the order of CHECKS."""
    operation = exchange.request.operation
    if operation is None:
        return [Violation("unrouted", message) for message in _unrouted(spec, exchange.response)]
    return [
        Violation(name, message)
        for name, check in CHECKS.items()
        for message in check(spec, operation, exchange)
    ]


def _status(_spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[str]:
    status = exchange.response.status
    if status not in operation.statuses:
        known = ", ".join(str(it) for it in sorted(operation.statuses))
        yield f"{operation.id} answered {status}, which is not documented; these are: {known}"


def _media_type(_spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[str]:
    response = exchange.response
    known = _media_types(operation, response.status)
    if known and response.media_type not in known:
        got = response.media_type or "no Content-Type"
        yield f"{operation.id} {response.status}: {got} instead of {' or '.join(sorted(known))}"


def _schema(spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[str]:
    response = exchange.response
    pointer = operation.pointers.get((response.status, JSON))
    if pointer is not None and response.media_type == JSON:
        for fault in _faults(spec, pointer, response):
            yield f"{operation.id} {response.status}: {fault}"


def _headers(spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[str]:
    """Documented headers that come have to fit; those marked `required` have to come."""
    response = exchange.response
    documented = operation.responses.get(response.status, {}).get("headers", {})
    for name, reference in documented.items():
        value, described = response.header(name), spec.resolve(reference)
        where = f"{operation.id} {response.status}: the header {name}"
        if value is None:
            if described.get("required", False):
                yield f"{where} is missing"
            continue
        pointer = reference.get("$ref")
        if pointer is not None and not _header_fits(spec, pointer, described, value):
            yield f"{where} is {value!r}"


def _plain_json(_spec: Spec, operation: Operation, exchange: Exchange) -> Iterator[str]:
    """Compact, without `null`: real clients read answers with regular expressions."""
    response = exchange.response
    if response.media_type != JSON or operation.id == "getOpenapi":
        return
    try:
        parsed = response.json
    except ValueError:
        return  # the schema's check says so
    where = f"{operation.id} {response.status}"
    null = _path_of_null(parsed, "")
    if null is not None:
        yield f"{where}: {null or 'the body'} is null; members without a value are left out"
    if response.body[:1] in b"{[" and _SPACED.search(_STRINGS.sub(b'""', response.body)):
        yield f"{where}: the JSON is not compact"


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SPACED = re.compile(rb"[,:{\[]\s|\s[}\]]")

CHECKS: dict[str, Check] = {
    "status": _status,
    "media type": _media_type,
    "schema": _schema,
    "headers": _headers,
    "plain JSON": _plain_json,
}
"""The checks of every answer, by the name that reports give them."""


def _unrouted(spec: Spec, response: Response) -> Iterator[str]:
    if response.status not in UNROUTED:
        yield f"a request for no operation was answered {response.status}"
    elif response.media_type != JSON:
        yield f"{response.status} for no operation came as {response.media_type or 'nothing'}"
    else:
        for fault in _faults(spec, ERROR_SCHEMA, response):
            yield f"{response.status} for no operation: {fault}"


def _media_types(operation: Operation, status: int) -> set[str]:
    return {media_type for known, media_type in operation.pointers if known == status}


def _faults(spec: Spec, pointer: str, response: Response) -> Iterator[str]:
    try:
        body = response.json
    except ValueError as error:
        yield f"the body is no JSON: {error}"
        return
    for number, fault in enumerate(spec.validator(pointer).iter_errors(body)):
        if number == _SHOWN:
            yield "and more"
            return
        path = "/".join(str(part) for part in fault.instance_path)
        yield f"{path or 'the body'}: {fault.message}"


def _header_fits(spec: Spec, pointer: str, described: object, value: str) -> bool:
    kind = described["schema"].get("type") if isinstance(described, dict) else None
    try:
        read = json.loads(value) if kind in ("integer", "number", "boolean") else value
    except ValueError:
        return False
    return spec.validator(f"{pointer}/schema").is_valid(read)


def _path_of_null(value: object, path: str) -> str | None:
    if value is None:
        return path
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, member in members:
        found = _path_of_null(member, f"{path}/{key}")
        if found is not None:
            return found
    return None
