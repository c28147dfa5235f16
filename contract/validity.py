"""What the contract says of a request: a server must take it, must refuse it, or may do either."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import jsonschema_rs

from contract.exchange import Request
from contract.spec import Operation, Spec

__all__ = ["Judge", "Judgement", "Verdict"]

JSON = "application/json"
_SHOWN = 3
"""How many faults of one part are told."""


class Verdict(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    OPEN = "open"


@dataclass(slots=True)
class Judgement:
    """`faults` are rules that a request breaks, `open` reasons why a server may do as it likes.

    A request that breaks a rule is refused by every server, whatever else is left open.
    """

    faults: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.faults:
            return Verdict.INVALID
        return Verdict.OPEN if self.open else Verdict.VALID


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    location: str
    required: bool
    read: Callable[[str], object]
    validator: jsonschema_rs.Validator


class Judge:
    """Judges requests by one contract; what it needs of an operation is compiled once."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._parameters: dict[str, list[Parameter]] = {}

    def judge(self, operation: Operation, request: Request) -> Judgement:
        """What the contract says of a request for an operation, its signature left out."""
        judgement = Judgement()
        for location in _LOCATIONS:
            given = _LOCATIONS[location](operation, request)
            for parameter in self._parameters_of(operation):
                if parameter.location == location:
                    _judge_parameter(parameter, given.get(parameter.name, []), judgement)
        if _in_query(operation, request).get(_WASM, ["false"]) != ["false"]:
            judgement.open.append(_NO_WASM)
        self._judge_body(operation, request, judgement)
        return judgement

    def _parameters_of(self, operation: Operation) -> list[Parameter]:
        if operation.id not in self._parameters:
            self._parameters[operation.id] = list(self._compiled(operation))
        return self._parameters[operation.id]

    def _compiled(self, operation: Operation) -> Iterator[Parameter]:
        path = _here(operation)
        method = f"{path}/{operation.method.lower()}"
        for start in (path, method):
            for number, given in enumerate(self._spec.at(start).get("parameters", ())):
                described = self._spec.resolve(given)
                pointer = given.get("$ref", f"{start}/parameters/{number}")
                is_json = "content" in described
                pointer += "/content/application~1json/schema" if is_json else "/schema"
                kind = "json" if is_json else self._spec.resolve(described["schema"]).get("type")
                yield Parameter(
                    described["name"],
                    described["in"],
                    described.get("required", False),
                    _READERS.get(str(kind), str),
                    self._spec.validator(pointer),
                )

    def _judge_body(self, operation: Operation, request: Request, judgement: Judgement) -> None:
        described = operation.document.get("requestBody")
        if described is None:
            return
        media_types = described["content"]
        given = (request.header("Content-Type") or "").split(";")[0].strip().lower()
        media_type = given or (JSON if [*media_types] == [JSON] and not request.body else "")
        if media_type not in media_types:
            judgement.open.append(f"the body is declared as {given or 'nothing'}")
            return
        escaped = media_type.replace("/", "~1")
        body_object = f"{_here(operation)}/{operation.method.lower()}/requestBody"
        schema = f"{body_object}/content/{escaped}/schema"
        if media_type == JSON:
            body = _json_body(operation, request.body, judgement)
        else:
            body = _text_body(operation, request.body, judgement)
        if body is not _UNREADABLE:
            _judge_value("body", body, self._spec.validator(schema), judgement)


def _here(operation: Operation) -> str:
    return f"#/paths/{operation.path.replace('~', '~0').replace('/', '~1')}"


# Parameters: what of each was given, by its location


def _in_path(operation: Operation, request: Request) -> Mapping[str, list[str]]:
    segments = request.target.split("?")[0].split("/")
    return {
        part[1:-1]: [_decoded(segment)]
        for part, segment in zip(operation.path.split("/"), segments, strict=False)
        if part.startswith("{")
    }


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _in_query(_operation: Operation, request: Request) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.target.partition("?")[2], keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def _in_headers(operation: Operation, request: Request) -> Mapping[str, list[str]]:
    names = [it["name"] for it in operation.parameters if it["in"] == "header"]
    return {
        name: [value for key, value in request.headers if key.lower() == name.lower()]
        for name in names
    }


_LOCATIONS: Mapping[str, Callable[[Operation, Request], Mapping[str, list[str]]]] = {
    "path": _in_path,
    "query": _in_query,
    "header": _in_headers,
}


def _judge_parameter(parameter: Parameter, given: list[str], judgement: Judgement) -> None:
    if not given:
        if parameter.required:
            judgement.faults.append(f"{parameter.name}: is missing")
    elif parameter.location == "header":
        # One-time codes: a server that asks for none may overlook them.
        judgement.open.append(f"{parameter.name} is given")
    elif len(given) > 1:
        judgement.open.append(f"{parameter.name} is given {len(given)} times")
    elif parameter.read is _boolean and given[0].lower() in _LOOSE_BOOLEANS:
        judgement.open.append(f"{parameter.name} is {given[0]!r}")
    else:
        try:
            value = parameter.read(given[0])
        except _Unsettled as reason:
            judgement.open.append(f"{parameter.name} {reason}")
            return
        _judge_value(parameter.name, value, parameter.validator, judgement)


_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_LOOSE_BOOLEANS = ("", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n")


def _integer(text: str) -> object:
    return int(text) if _INTEGER.fullmatch(text) else text


def _boolean(text: str) -> object:
    return {"true": True, "false": False}.get(text.lower(), text)


def _json(text: str) -> object:
    try:
        return _parsed(text.encode())
    except _Unsettled:
        raise
    except ValueError:
        return text  # which is no object: the schema says so


_READERS: Mapping[str, Callable[[str], object]] = {
    "integer": _integer,
    "boolean": _boolean,
    "json": _json,
}


# Bodies

_UNREADABLE = object()


def _json_body(operation: Operation, raw: bytes, judgement: Judgement) -> object:
    """The body as a server reads it: nothing is `{}`, absent members may be written `null`."""
    if not raw.strip():
        return {}
    try:
        body = _parsed(raw)
    except _Unsettled as reason:
        judgement.open.append(f"the body {reason}")
        return _UNREADABLE
    except ValueError as error:
        judgement.faults.append(f"the body is no JSON: {error}")
        return _UNREADABLE
    if body == []:
        judgement.open.append("the body is []")
        return {}
    if isinstance(body, dict):
        present = {name: value for name, value in body.items() if value is not None}
        if len(present) != len(body):
            judgement.open.append("members are null")
        judgement.open += _unsayable(operation, present)
        return present
    return body


def _text_body(operation: Operation, raw: bytes, judgement: Judgement) -> object:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        judgement.faults.append("the body is not UTF-8")
        return _UNREADABLE
    judgement.open += _unsayable(operation, {_TEXT_IS.get(operation.id, ""): text})
    return text


_TEXT_IS = {
    "run": "code",
    "runAsync": "code",
    "setServiceEnv": "env",
    "setServiceEnvAlias": "env",
}
"""What a body of plain text stands for, by operation."""


class _Unsettled(ValueError):
    """What the standard of JSON (RFC 8259) leaves to whoever reads it."""


_BOM = b"\xef\xbb\xbf"
_MOST_DIGITS = 1000


def _parsed(raw: bytes) -> Any:  # noqa: ANN401 - any JSON
    """JSON as the standard has it; raises ValueError, and _Unsettled where that says nothing."""
    if raw.startswith(_BOM):
        raise _Unsettled("begins with a byte order mark")
    try:
        return json.loads(
            raw.decode(), parse_constant=_no_number, parse_int=_number, object_pairs_hook=_members
        )
    except RecursionError:
        raise _Unsettled("is deeply nested") from None


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _Unsettled(f"has a number of {len(digits)} digits")
    return int(digits)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unsettled("has a member twice")
    return found


def _unsayable(operation: Operation, body: Mapping[str, Any]) -> Iterator[str]:
    """Why a body that fits its schema may be refused: rules that stand in descriptions alone."""
    if _SURROGATE.search(json.dumps(body, ensure_ascii=False)):
        yield "the body holds lone surrogates"
    if not _plain_files(body.get("input_files", [])):
        yield "input_files have uncommon names"
    if body.get(_WASM):
        yield _NO_WASM
    if operation.id in _VAULTS:
        yield from _unsayable_vault(body)
    if operation.id in ("run", "runAsync") and not _SHEBANG.match(str(body.get("code"))):
        yield "the code names no language"


_WASM = "return_wasm_artifact"
_NO_WASM = "not every language compiles to WebAssembly"
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHEBANG = re.compile(r"#!/(?:usr/)?bin/(?:env )?(?:bash|sh|python3?)\n")
_VAULTS = ("setServiceEnv", "setServiceEnvAlias")
_VAULT_BYTES = 60_000
"""What fits into 65,536 bytes, however it is written there."""

_ENV_FILE = re.compile(r"(?:(?:#.*|[A-Za-z_][A-Za-z0-9_]*=(?! *['\"])[ -~]*)?\n)*")
"""Quotes need not end, and what stands behind them need not be taken."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def _unsayable_vault(body: Mapping[str, Any]) -> Iterator[str]:
    text = body.get("env", body.get("content"))
    if len(body) == 1 and isinstance(text, str):
        if not _ENV_FILE.fullmatch(text):
            yield "not every line is NAME=value"
    elif len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")) > _VAULT_BYTES:
        yield "the variables may be too many for a file"


def _plain_files(files: object) -> bool:
    """Whether files would be put in without question: plain names, none twice."""
    if not isinstance(files, list):
        return True  # the schema says more
    names = [str(file.get("filename")) for file in files if isinstance(file, dict)]
    return len(set(names)) == len(names) and all(_PLAIN_NAME.fullmatch(name) for name in names)


def _judge_value(
    where: str, value: object, validator: jsonschema_rs.Validator, judgement: Judgement
) -> None:
    try:
        faults = list(validator.iter_errors(value))
    except ValueError as error:  # lone surrogates cannot be given to the validator
        judgement.open.append(f"{where}: {error}")
        return
    for fault in faults[:_SHOWN]:
        path = "/".join(str(part) for part in (where, *fault.instance_path))
        judgement.faults.append(f"{path}: {fault.message[:200]}")
