"""What operations create, and how that is removed again: read from the contract's links.

An operation creates something when a documented success of it links to an operation that removes
it: `DELETE` of a path that ends in its id. The one beside it, `.../unlock`, takes a lock off.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from contract.exchange import Exchange, Request, Response
from contract.spec import Operation, Spec

__all__ = ["ENDED", "Creations", "Kind", "Made", "path_parameters", "removes"]

_ID = re.compile(r"[A-Za-z0-9_:@-][A-Za-z0-9_.:@-]{0,199}")
"""What an id has to look like to be put into a path: what a target answers is not trusted."""

ENDED = frozenset({"completed", "failed", "timeout", "cancelled"})
"""What a job never leaves again: in one of these it needs no cancelling."""

_IN_BODY = "$response.body#"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of things: `pointers` say where an answer has the id, `remove` is what ends it."""

    remove: Operation
    unlock: Operation | None
    pointers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """Something that a run created; `remove` and `unlock` are operations, `account` is a role."""

    id: str
    remove: str
    unlock: str
    account: str


class Creations:
    """What the operations of a contract create."""

    def __init__(self, spec: Spec) -> None:
        self._kinds = {it.id: tuple(_kinds(spec, it)) for it in spec.operations.values()}

    def kinds(self, operation: Operation | None) -> tuple[Kind, ...]:
        """What an operation may create; empty when it creates nothing."""
        return self._kinds[operation.id] if operation else ()

    def creates(self, request: Request) -> bool:
        return bool(self.kinds(request.operation))

    def made(self, exchange: Exchange) -> Iterator[Made]:
        """What an answer says was created, whichever success it came with."""
        for kind, name in self.named(exchange.request.operation, exchange.response):
            unlock = kind.unlock.id if kind.unlock else ""
            yield Made(name, kind.remove.id, unlock, exchange.request.account or "")

    def named(self, operation: Operation | None, response: Response) -> Iterator[tuple[Kind, str]]:
        """The kinds of what an answer to an operation says was created, with the ids."""
        found = self.kinds(operation)
        if not found or not 200 <= response.status < 300:
            return
        body = _object(response)
        for kind in found:
            name = next((it for it in (_at(body, path) for path in kind.pointers) if it), None)
            if name is not None:
                yield kind, name


def removes(operation: Operation) -> bool:
    """Whether an operation ends the thing that its path names."""
    one_id = operation.path.count("{") == 1 and operation.path.endswith("}")
    return operation.method == "DELETE" and one_id


def has_ended(response: Response) -> bool:
    """Whether an answer is about a job that has come to its end."""
    return _object(response).get("status") in ENDED


def path_parameters(request: Request) -> Mapping[str, str]:
    """The values of a request's path parameters, decoded."""
    if request.operation is None:
        return {}
    sent = request.target.split("?", maxsplit=1)[0].split("/")
    template = request.operation.path.split("/")
    return {
        part[1:-1]: unquote(value)
        for part, value in zip(template, sent, strict=False)
        if part.startswith("{")
    }


def _kinds(spec: Spec, operation: Operation) -> Iterator[Kind]:
    found: dict[str, Kind] = {}
    for status in operation.statuses:
        if 200 <= status < 300:
            for link in operation.links(status).values():
                kind = _kind(spec, spec.resolve(link))
                if kind is not None:
                    found[kind.remove.id] = kind
    for kind in found.values():
        # An answer without the member that the contract promises may have a plain `id`.
        further = ("/id",) if len(found) == 1 else ()
        yield Kind(kind.remove, kind.unlock, (*kind.pointers, *further))


def _kind(spec: Spec, link: Mapping[str, Any]) -> Kind | None:
    operation = spec.operations.get(link.get("operationId", ""))
    pointer: str = next(iter(link.get("parameters", {}).values()), "")
    if operation is None or not removes(operation) or not pointer.startswith(_IN_BODY):
        return None
    unlock = spec.match("POST", f"{operation.path}/unlock")
    return Kind(operation, unlock, (pointer.removeprefix(_IN_BODY),))


def _object(response: Response) -> Mapping[str, Any]:
    try:
        found = response.json
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _at(body: object, pointer: str) -> str | None:
    for part in pointer.strip("/").split("/"):
        body = body.get(part) if isinstance(body, dict) else None
    return body if isinstance(body, str) and _ID.fullmatch(body) else None
