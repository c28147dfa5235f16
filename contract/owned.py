"""What an account can own, as data: how each kind of thing is made, read and ended."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from contract.api import Api
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.resources import follow, sources
from contract.spec import Operation, Spec

__all__ = ["KINDS", "Kind", "Thing", "Things", "kind_of", "opened"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing; `make`, `read` and `end` are operations, `of` the kind that it is made from.

    `body` gives the request that makes one, from the thing that it is made from.
    """

    name: str
    make: str
    read: str
    end: str
    body: Callable[["Thing | None"], Mapping[str, Any]]
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that an account owns; `identifier` is what paths call it by."""

    kind: Kind
    owner: Api
    identifier: str

    def exists(self) -> bool:
        """A check before may have ended it, though it should not have."""
        path = {"id": self.identifier}
        return self.owner.call(self.kind.read, path, expect={200, 404}).status == 200

    def read(self) -> dict[str, Any]:
        document: dict[str, Any] = self.owner.call(self.kind.read, {"id": self.identifier}).json
        return document

    def stable(self) -> dict[str, Any]:
        """What of it changes only when somebody changes it."""
        return {name: value for name, value in self.read().items() if name in _STABLE}


_STABLE = frozenset(
    (
        *("id", "name", "locked", "visibility", "owner_api_key", "trusted_keys", "source_id"),
        *("custom_domains", "vcpu", "ttl", "shell", "unfreeze_on_demand"),
    )
)


def _source(thing: Thing | None) -> str:
    return thing.identifier if thing else ""


def _name() -> str:
    return f"contract-{secrets.token_hex(6)}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "job",
            "executeAsync",
            "getJob",
            "cancelJob",
            lambda _of: {"language": "bash", "code": "sleep 120", "ttl": 120},
        ),
        Kind(
            "session",
            "createSession",
            "getSession",
            "deleteSession",
            lambda _of: {"shell": "bash", "network_mode": "zerotrust", "ttl": 600},
        ),
        Kind(
            "service",
            "createService",
            "getService",
            "deleteService",
            lambda _of: {"name": _name(), "ports": [8000], "bootstrap": "sleep 600"},
        ),
        Kind(
            "snapshot",
            "createSnapshot",
            "getSnapshot",
            "deleteSnapshot",
            lambda of: {"source_type": "session", "source_id": _source(of), "name": _name()},
            of="session",
        ),
        Kind(
            "image",
            "publishImage",
            "getImage",
            "deleteImage",
            lambda of: {"source_type": "snapshot", "source_id": _source(of), "name": _name()},
            of="snapshot",
        ),
    )
}
"""All kinds, each after the one that it is made from."""


def kind_of(spec: Spec, operation: Operation) -> Kind:
    """The kind that an operation is about: the contract links it to the one that makes it.

    Raises:
        ContractBroken: no making is linked to it, so the contract itself is at fault.
    """
    return _way(spec, operation)[0]


def parameters(spec: Spec, operation: Operation, identifier: str) -> dict[str, str]:
    """Path parameters for an operation on a thing, as the link to it says."""
    link = _way(spec, operation)[1]
    return {
        name: identifier if value.startswith("$response") else value
        for name, value in link["parameters"].items()
    }


def _way(spec: Spec, operation: Operation) -> tuple[Kind, Mapping[str, Any]]:
    """The kind whose making links to an operation, and that link."""
    links = {source.operation.id: source.link for source in sources(spec, operation)}
    for kind in KINDS.values():
        if kind.make in links:
            return kind, links[kind.make]
    raise ContractBroken("links", f"the contract links nothing that makes things to {operation.id}")


@dataclass(slots=True)
class Things:
    """Makes things as one account, each kind once unless asked for afresh."""

    owner: Api
    made: list[Thing] = field(default_factory=list)
    _kept: dict[tuple[str, str], Thing | Unsupported | NotRun | ContractBroken] = field(
        default_factory=dict
    )

    def one(self, kind: str, label: str = "") -> Thing:
        """The thing of a kind, made when there is none (any more); another one for each label.

        Raises:
            Unsupported: the server cannot make one; told again whenever one is asked for.
            NotRun: the run may not make one.
            ContractBroken: making one failed.
        """
        found = self._kept.get((kind, label))
        if isinstance(found, BaseException):
            raise found
        if found is None or not found.exists():
            found = self._make(kind, label)
        return found

    def _make(self, kind: str, label: str) -> Thing:
        try:
            made = self._kept[kind, label] = self.fresh(kind)
        except (Unsupported, NotRun, ContractBroken) as error:
            self._kept[kind, label] = error
            raise
        return made

    def fresh(self, kind: str) -> Thing:
        """A new thing; raises as `one` does."""
        how = KINDS[kind]
        source = self.one(how.of) if how.of else None
        made = self.owner.call(how.make, json=how.body(source))
        spec = self.owner.spec
        _, link = _way(spec, spec.operations[how.read])
        thing = Thing(how, self.owner, str(follow(link["parameters"]["id"], made.json)))
        self.made.append(thing)
        return thing


def end(thing: Thing) -> None:
    """Ask for the end of a thing, which may have come already."""
    thing.owner.call(thing.kind.end, {"id": thing.identifier}, expect={200, 404, 409})


@contextmanager
def opened(owner: Api, end: Callable[[Thing], None] = end) -> Iterator[Things]:
    """Things that are ended after the block, the latest first."""
    things = Things(owner)
    try:
        yield things
    finally:
        for thing in reversed(things.made):
            end(thing)
