"""openapi.yaml as the suite reads it: its operations, their traits, and what they may answer."""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs
import yaml

__all__ = ["SPEC", "Operation", "Spec", "SpecError", "Traits", "loaded"]

SPEC = Path(__file__).resolve().parent / "openapi.yaml"
"""The contract that this version of the suite was made for."""

METHODS = ("get", "put", "post", "delete", "patch")
EXTENSION_PREFIX = "/_emulator/"
"""Paths below it are the emulator's own; no other server has them."""

_BASE = "urn:openapi"


class SpecError(ValueError):
    """A file is not a contract that the suite can read; the message says where."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What `x-contract` says of an operation: what calling it does and takes."""

    destructive: bool
    costs: bool
    tier: str
    sudo: bool
    slow: bool
    network: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `document` is the operation object, `responses` are response objects by status, both with
    references at their top resolved; `pointers` leads from (status, media type) to a schema.
    """

    id: str
    method: str
    path: str
    tag: str
    source: str
    alias_of: str | None
    traits: Traits
    signed: bool
    parameters: tuple[Mapping[str, Any], ...]
    document: Mapping[str, Any]
    responses: Mapping[int, Mapping[str, Any]]
    pointers: Mapping[tuple[int, str], str]

    @property
    def statuses(self) -> frozenset[int]:
        return frozenset(self.responses)

    @property
    def is_extension(self) -> bool:
        return self.path.startswith(EXTENSION_PREFIX)

    @property
    def may_be_unsupported(self) -> bool:
        """Whether the contract lets a server answer 501: it does not have the operation yet."""
        return 501 in self.responses

    @property
    def names_thing(self) -> bool:
        """Whether its path says which job, session, service, snapshot or image it is about."""
        return "id" in self.path_parameters

    @property
    def needs_signature(self) -> bool:
        """Whether a request without a signature is refused; the shell's identifier can do."""
        return self.signed and {} not in self.document["security"]

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    def target(self, parameters: Mapping[str, str]) -> str:
        """The request's path, with every parameter encoded as one segment.

        Bytes that are no UTF-8 are given as `os.fsdecode` does.
        """
        return "/".join(
            quote(parameters[part[1:-1]], safe="", errors="surrogateescape")
            if part.startswith("{")
            else part
            for part in self.path.split("/")
        )

    def links(self, status: int) -> Mapping[str, Mapping[str, Any]]:
        """Link objects of one answer, by name."""
        links: Mapping[str, Mapping[str, Any]] = self.responses[status].get("links", {})
        return links

    def example(self) -> Any:  # noqa: ANN401 - any JSON
        """The first JSON body that the contract gives as an example."""
        examples = self.document["requestBody"]["content"]["application/json"]["examples"]
        return next(iter(examples.values()))["value"]


@functools.cache
def loaded(path: Path = SPEC) -> "Spec":
    """The contract of a file, read once in a process: reading takes a good part of a second."""
    return Spec(path)


class Spec:
    """A contract, loaded."""

    def __init__(self, path: Path = SPEC) -> None:
        """Read the file.

        Raises:
            SpecError: it cannot be read or is no contract of this kind.
        """
        try:
            self.text = path.read_bytes()
            self.document: dict[str, Any] = yaml.load(self.text, yaml.CSafeLoader)
            self.operations = {operation.id: operation for operation in self._read()}
        except OSError as error:
            raise SpecError(f"cannot read {path}: {error.strerror}") from None
        except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise SpecError(f"{path} is not a contract of the unsandbox API: {error!r}") from None
        self.path = path
        self.digest = hashlib.sha256(self.text).hexdigest()
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def match(self, method: str, path: str) -> Operation | None:
        """The operation that a request belongs to; literal segments win over parameters."""
        segments = [unquote(segment) for segment in path.split("?", maxsplit=1)[0].split("/")]
        fitting = [
            operation
            for operation in self.operations.values()
            if operation.method == method and _fits(operation.path.split("/"), segments)
        ]
        return min(fitting, key=lambda it: it.path.count("{"), default=None)

    def resolve(self, thing: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference object refers to; anything else is itself."""
        while "$ref" in thing:
            thing = self.at(thing["$ref"])
        return thing

    def at(self, pointer: str) -> Any:  # noqa: ANN401 - any JSON
        """What lies at a JSON pointer into the document, written `#/...`."""
        found: Any = self.document
        for part in pointer.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def validator(self, pointer: str) -> jsonschema_rs.Validator:
        """The validator of the schema at a JSON pointer."""
        if pointer not in self._validators:
            reference = {"$ref": _BASE + quote(pointer, safe="#/~")}
            self._validators[pointer] = jsonschema_rs.Draft202012Validator(
                reference, registry=self._registry, validate_formats=True
            )
        return self._validators[pointer]

    @cached_property
    def _registry(self) -> jsonschema_rs.Registry:
        return jsonschema_rs.Registry([(_BASE, self.document)], draft=jsonschema_rs.Draft202012)

    def _read(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item)

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        document = item[method]
        parameters = [*item.get("parameters", ()), *document.get("parameters", ())]
        responses, pointers = {}, {}
        for status, response in document["responses"].items():
            here = (
                f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}/responses/{status}"
            )
            responses[int(status)] = found = self.resolve(response)
            for media_type in found.get("content", {}):
                start = response.get("$ref", here)
                encoded = media_type.replace("/", "~1")
                pointers[int(status), media_type] = f"{start}/content/{encoded}/schema"
        return Operation(
            id=document["operationId"],
            method=method.upper(),
            path=path,
            tag=document["tags"][0],
            source=document["x-source"],
            alias_of=document.get("x-alias-of"),
            traits=Traits(**document["x-contract"]),
            signed=bool(document.get("security")),
            parameters=tuple(self.resolve(parameter) for parameter in parameters),
            document=document,
            responses=responses,
            pointers=pointers,
        )


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        part == segment or (part.startswith("{") and segment)
        for part, segment in zip(template, segments, strict=True)
    )
