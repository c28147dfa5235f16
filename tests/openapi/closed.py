"""The closed form of the document: a body may hold nothing that is not declared."""

import copy

from tests.openapi.document import Node, walk


def close(document: Node) -> Node:
    """A copy whose object schemas refuse undeclared properties.

    Schemas stay open in the file, since a server may add fields. A refinement (`$ref` with
    siblings) is closed by what it refers to, and a map or a schema that says so stays open.
    """
    closed = copy.deepcopy(document)
    for _, schema in walk(closed["components"]["schemas"]):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return closed
