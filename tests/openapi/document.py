"""openapi.yaml as the rules see it: operations, references, schemas, examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Node = dict[str, Any]

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "openapi.yaml"
METHODS = ("get", "put", "post", "patch", "delete")
KINDS = ("parameters", "headers", "links", "responses", "schemas")
"""The kinds of components that are referred to by `$ref`."""


def load() -> Node:
    """The document as the emulator reads it."""
    document: Node = yaml.load(SOURCE.read_bytes(), yaml.CSafeLoader)
    return document


def resolve(document: Node, node: Node) -> Node:
    """What `node` stands for: itself, or the end of its chain of `$ref`s.

    Raises:
        KeyError: a `$ref` points at nothing.
    """
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


@dataclass(frozen=True)
class Operation:
    """One method of one path, with what its path item shares."""

    document: Node
    path: str
    method: str
    source: Node

    @property
    def id(self) -> str:
        return str(self.source["operationId"])

    @property
    def parameters(self) -> list[Node]:
        shared = self.document["paths"][self.path].get("parameters", [])
        return [resolve(self.document, p) for p in shared + self.source.get("parameters", [])]

    @property
    def responses(self) -> dict[str, Node]:
        declared: dict[str, Node] = self.source["responses"]
        return {code: resolve(self.document, node) for code, node in declared.items()}

    @property
    def successes(self) -> dict[str, Node]:
        return {code: node for code, node in self.responses.items() if code < "400"}

    @property
    def body(self) -> dict[str, Node]:
        """Media types of the request body."""
        content: dict[str, Node] = self.source.get("requestBody", {}).get("content", {})
        return content

    @property
    def is_signed(self) -> bool:
        return bool(self.source["security"])


def operations(document: Node) -> list[Operation]:
    return [
        Operation(document, path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def walk(node: object, pointer: str = "#") -> Iterator[tuple[str, Node]]:
    """Every mapping in `node`, with its JSON pointer."""
    if isinstance(node, dict):
        yield pointer, node
        for key, value in node.items():
            yield from walk(value, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{pointer}/{index}")


def contract(document: Node) -> Iterator[tuple[str, Node]]:
    """Like `walk`, but without examples: they are data, not contract."""
    for pointer, node in walk(document):
        if "/examples" not in pointer and "/example" not in pointer:
            yield pointer, node


def is_schema(node: Node) -> bool:
    return isinstance(node.get("type"), str) and "in" not in node and "scheme" not in node


@dataclass(frozen=True)
class Example:
    """A value that the document shows, and the pointer of the schema it has to fit."""

    where: str
    schema: str
    value: object
    is_response: bool


def examples(document: Node) -> Iterator[Example]:
    """Every example: of bodies, parameters, headers and schemas."""
    for pointer, node in walk(document):
        if "schema" in node and "examples" in node:
            for name, example in node["examples"].items():
                where = f"{pointer}/examples/{name}"
                is_response = "/responses/" in where
                yield Example(where, f"{pointer}/schema", example["value"], is_response)
        if "schema" in node and "example" in node:
            yield Example(pointer, f"{pointer}/schema", node["example"], is_response=False)
        if is_schema(node) and isinstance(node.get("examples"), list):
            for value in node["examples"]:
                yield Example(pointer, pointer, value, is_response=False)
