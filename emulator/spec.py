"""openapi.yaml, compiled: a dispatch table of operations, each with its validators."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs
import msgspec

from emulator import spec_file
from emulator.errors import BadRequest, MethodNotAllowed, NotFound, UnsupportedMediaType

METHODS = ("get", "put", "post", "delete", "patch")
_MESSAGE_LIMIT = 800
_JSON = "application/json"
_UPGRADED = "101"
EVENT_STREAM = "text/event-stream"


class SpecError(ValueError):
    """openapi.yaml and the program do not fit; the message says where."""


class ContractViolation(Exception):
    """The emulator was about to answer what openapi.yaml does not allow."""


class Signature(Enum):
    """Whether an operation's requests are signed."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"

    @staticmethod
    def of(security: list[dict[str, Any]]) -> "Signature":
        """As `security` says: alternatives, of which an empty one is to say nothing."""
        if not any(security):
            return Signature.NONE
        return Signature.OPTIONAL if {} in security else Signature.REQUIRED


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter; its text is read as what its schema's `type` says."""

    name: str
    required: bool
    type: str
    validator: jsonschema_rs.Validator

    def read(self, text: str) -> object:
        """The value of `text`; raises BadRequest naming the parameter and its rule."""
        value = _READERS.get(self.type, _text)(text)
        check(self.validator, value, self.name)
        return value


def _integer(text: str) -> object:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else text


def _boolean(text: str) -> object:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)


def _text(text: str) -> object:
    return text


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text  # which is no object: the validator says what it should be


_READERS = {"integer": _integer, "boolean": _boolean, "json": _json}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, as the contract has it.

    `paid` ones are not for the free tier; `sudo` ones may want a one-time code.
    """

    id: str
    method: str
    path: str
    signature: Signature
    paid: bool
    sudo: bool
    bodies: Mapping[str, jsonschema_rs.Validator]
    query: tuple[Parameter, ...]
    responses: Mapping[str, Mapping[str, str]]
    response_schemas: "_Schemas"
    """Where the JSON pointers of `responses` lead; compiled when an answer is checked first."""

    def body_validator(self, media_type: str) -> jsonschema_rs.Validator:
        """The validator for a body of this type; raises UnsupportedMediaType."""
        try:
            return self.bodies[media_type]
        except KeyError:
            accepted = ", ".join(sorted(self.bodies))
            raise UnsupportedMediaType(f"Content-Type must be one of: {accepted}") from None

    @property
    def upgrades(self) -> bool:
        """Whether it is a WebSocket's handshake."""
        return _UPGRADED in self.responses

    @property
    def streams(self) -> bool:
        """Whether it answers with events, for as long as its client stays."""
        return any(EVENT_STREAM in bodies for bodies in self.responses.values())

    def check_upgrade(self) -> None:
        """Raise ContractViolation when the contract has no WebSocket here."""
        if self._documented(_UPGRADED):
            raise ContractViolation(f"{self.id}: {_UPGRADED} is documented with a body")

    def check_reply(self, status: int, media_type: str, body: object) -> None:
        """Raise ContractViolation when this answer is not one that the contract has."""
        bodies = self._documented(str(status))
        if media_type not in bodies:
            raise ContractViolation(f"{self.id} {status}: {media_type} is not documented")
        plain = msgspec.json.decode(msgspec.json.encode(body))
        for error in self.response_schemas.at(bodies[media_type]).iter_errors(plain):
            raise ContractViolation(f"{self.id} {status}: {describe(error)}")

    def _documented(self, status: str) -> Mapping[str, str]:
        """Schemas of the bodies of an answer, by media type."""
        bodies = self.responses.get(status)
        if bodies is None:
            raise ContractViolation(f"{self.id}: {status} is not documented")
        return bodies


@dataclass(slots=True)
class _Node:
    """A place in the tree of path segments."""

    operations: dict[str, Operation] = field(default_factory=dict)
    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    name: str = ""


class _Schemas:
    """Validators by JSON pointer, of those schemas alone that are asked for.

    Most schemas of a document are parts of others: compiling each of the thousands for itself
    takes several times as long, and 35 MB.
    """

    _BASE = "urn:openapi"

    def __init__(self, document: dict[str, Any]) -> None:
        resources = [(self._BASE, document)]
        self._registry = jsonschema_rs.Registry(resources, draft=jsonschema_rs.Draft202012)
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def at(self, pointer: str) -> jsonschema_rs.Validator:
        validator = self._validators.get(pointer)
        if validator is None:
            schema = {"$ref": self._BASE + quote(pointer, safe="#/~")}
            validator = jsonschema_rs.Draft202012Validator(
                schema, registry=self._registry, mask="value"
            )
            self._validators[pointer] = validator
        return validator


class Spec:
    """The contract, loaded once at start-up."""

    def __init__(
        self, path: Path, *, closed_responses: bool = False, kept: Path | None = None
    ) -> None:
        """Read and compile `path`.

        Args:
            path: openapi.yaml.
            closed_responses: whether response validators refuse fields that are not declared.
            kept: a folder for what need not be read anew at each start.

        Raises:
            SpecError: the file does not hold together.
        """
        self.text, self.document = spec_file.load(path, kept)
        self._schemas = _Schemas(self.document)
        self._response_schemas = (
            _Schemas(closed(self.document)) if closed_responses else self._schemas
        )
        self._root = _Node()
        self.operations: dict[str, Operation] = {}
        for operation in self._compile():
            self._add(operation)

    def match(self, method: str, raw_path: bytes) -> tuple[Operation, dict[str, str]]:
        """The operation for a request and its path parameters; an encoded slash ends no segment.

        Raises:
            NotFound: no operation has this path.
            MethodNotAllowed: the path is known, but not with this method; carries `Allow`.
        """
        segments = raw_path.decode("latin-1").split("/")[1:]
        found = _find(self._root, [unquote(segment) for segment in segments])
        if found is None:
            raise NotFound("There is nothing at this path; GET /openapi lists what there is")
        node, parameters = found
        operation = node.operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            allow = sorted(node.operations)
            raise MethodNotAllowed(f"This path takes {' and '.join(allow)}", allow)
        return operation, parameters

    def _add(self, operation: Operation) -> None:
        node = self._root
        for segment in operation.path.split("/")[1:]:
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
                node.name = segment.strip("{}")
            else:
                node = node.literal.setdefault(segment, _Node())
        node.operations[operation.method] = operation
        if operation.id in self.operations:
            raise SpecError(f"operationId {operation.id} stands twice")
        self.operations[operation.id] = operation

    def _compile(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            shared = item.get("parameters", [])
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item[method], shared)

    def _operation(
        self, path: str, method: str, source: dict[str, Any], shared: list[Any]
    ) -> Operation:
        pointer = f"#/paths/{_escape(path)}/{method}"
        if "operationId" not in source:
            raise SpecError(f"{pointer} has no operationId")
        body = self._resolve(source.get("requestBody", {}), f"{pointer}/requestBody")
        traits = source.get("x-contract", {})
        security = source.get("security", self.document.get("security", []))
        return Operation(
            id=source["operationId"],
            method=method.upper(),
            path=path,
            signature=Signature.of(security),
            paid=traits.get("tier") == "paid",
            sudo=traits.get("sudo", False),
            bodies={media: self._schemas.at(place) for media, place in _content(*body).items()},
            query=tuple(self._query(path, method, source, shared)),
            responses={
                status: _content(*self._resolve(response, f"{pointer}/responses/{status}"))
                for status, response in source["responses"].items()
            },
            response_schemas=self._response_schemas,
        )

    def _query(
        self, path: str, method: str, source: dict[str, Any], shared: list[Any]
    ) -> Iterator[Parameter]:
        own = f"#/paths/{_escape(path)}/{method}/parameters"
        places = [(item, f"{own}/{n}") for n, item in enumerate(source.get("parameters", []))]
        common = f"#/paths/{_escape(path)}/parameters"
        places += [(item, f"{common}/{n}") for n, item in enumerate(shared)]
        for item, pointer in places:
            parameter, place = self._resolve(item, pointer)
            if parameter["in"] == "query":
                yield self._parameter(parameter, place)

    def _parameter(self, source: dict[str, Any], pointer: str) -> Parameter:
        if "content" in source:
            place, kind = f"{pointer}/content/{_escape(_JSON)}", "json"
        else:
            place = pointer
            kind = self._resolve(source["schema"], f"{pointer}/schema")[0].get("type", "string")
        validator = self._schemas.at(f"{place}/schema")
        return Parameter(source["name"], source.get("required", False), kind, validator)

    def _resolve(self, node: dict[str, Any], pointer: str) -> tuple[dict[str, Any], str]:
        """Follow `$ref`s: the object and the JSON pointer that it really stands at."""
        while "$ref" in node:
            pointer = node["$ref"]
            node = self._at(pointer)
        return node, pointer

    def _at(self, pointer: str) -> dict[str, Any]:
        node: Any = self.document
        for part in pointer.removeprefix("#/").split("/"):
            try:
                node = node[part.replace("~1", "/").replace("~0", "~")]
            except KeyError:
                raise SpecError(f"{pointer} points at nothing") from None
        if not isinstance(node, dict):
            raise SpecError(f"{pointer} is not an object")
        return node


def _content(source: dict[str, Any], pointer: str) -> dict[str, str]:
    """JSON pointers of the schemas by media type."""
    return {
        media: f"{pointer}/content/{_escape(media)}/schema"
        for media, content in source.get("content", {}).items()
        if "schema" in content
    }


def closed(node: Any) -> Any:  # noqa: ANN401 - any part of a parsed document
    """A copy in which object schemas that list their properties allow no others.

    Left open: a schema that refines another (`$ref` beside its keywords) or says itself what
    further properties are.
    """
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {name: closed(item) for name, item in node.items()}
    if copy.get("type") == "object" and "properties" in copy and "$ref" not in copy:
        copy.setdefault("additionalProperties", False)
    return copy


def _escape(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _find(node: _Node, segments: list[str]) -> tuple[_Node, dict[str, str]] | None:
    """Literal segments win over parameters; a parameter takes any one segment but the empty."""
    parameters: dict[str, str] = {}
    for segment in segments:
        following = node.literal.get(segment)
        if following is None:
            following = node.parameter
            if following is None or not segment:
                return None
            parameters[following.name] = segment
        node = following
    return (node, parameters) if node.operations else None


def check(validator: jsonschema_rs.Validator, value: object, where: str = "") -> None:
    """Raise BadRequest with the first fault of `value`: the field, then the rule it breaks.

    `iter_errors` would look for all of them first: minutes, for a list of a million faults.
    """
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        raise BadRequest(describe(error, where)) from None


def describe(error: jsonschema_rs.ValidationError, where: str = "") -> str:
    """`input_files[0].filename: value is shorter than 1 character`; values are never shown."""
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return f"{_place([*error.instance_path, kind.property], where)}: is required"
    place = _place(error.instance_path, where)
    text = f"{place}: {error.message}" if place else error.message
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 3] + "..."


def _place(path: Iterable[str | int], where: str) -> str:
    place = where
    for part in path:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place
