"""What the stand-in keeps: things with owners, the log of its requests, open challenges."""

import itertools
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from contract.spec import Operation
from tests.contract.standin.commands import Machine
from tests.contract.standin.faults import FAULTS

PREFIXES = {
    "session": "sess_",
    "service": "unsb-service-",
    "snapshot": "snap_",
    "image": "unsb-image-",
    "job": "job-",
}
"""How the identifiers of each kind begin."""


class Refused(Exception):
    """An answer that is no success: its status and its body."""

    def __init__(self, status: int, code: str, details: str, **extra: object) -> None:
        super().__init__(details)
        self.status = status
        self.body = {"error": code.lower(), "code": code, "details": details, **extra}


@dataclass(slots=True)
class Thing:
    """A session, service, snapshot, image or job; `shown` is its document."""

    kind: str
    owner: str
    shown: dict[str, Any]
    machine: Machine = field(default_factory=Machine)
    vault: dict[str, str] = field(default_factory=dict)
    script: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.shown["id"])

    def names(self) -> Iterator[object]:
        """What it is called in paths: id, container name, and a service's name."""
        yield self.id
        yield self.shown.get("container_name")
        if self.kind == "service":
            yield self.shown["name"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is signed and fits its schema; `given` are body, query and path together."""

    operation: Operation
    account: str
    id: str
    given: Mapping[str, Any]
    body: bytes
    headers: Mapping[str, str]


class World:
    """The state of one stand-in, and the faults of FAULTS that are switched on in it."""

    def __init__(self, faults: Collection[str] = ()) -> None:
        self.faults = faults
        self.things: list[Thing] = []
        self.lines: list[str] = []
        self.challenges: dict[str, tuple[str, str]] = {}
        self._numbers = itertools.count(1)
        self._freed: dict[str, str] = {}

    @property
    def faults(self) -> Collection[str]:
        return self._faults

    @faults.setter
    def faults(self, faults: Collection[str]) -> None:
        unknown = set(faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"no such fault: {min(unknown)}")
        self._faults = frozenset(faults)

    def has(self, fault: str) -> bool:
        return fault in self._faults

    def new(self, kind: str, owner: str, shown: Mapping[str, Any], **more: Any) -> Thing:  # noqa: ANN401 - members of Thing
        """Add a thing; its document begins with what every one has."""
        made = f"{PREFIXES[kind]}{secrets.token_hex(8)}"
        if self.has("ids reused"):
            made = self._freed.pop(kind, made)
        common = {
            "id": made,
            f"{kind}_id": made,
            "created_at": moment(),
            **({} if kind == "job" else {"locked": False}),
        }
        thing = Thing(kind, owner, {**common, **shown}, **more)
        self.things.append(thing)
        return thing

    def container(self, vcpu: int) -> dict[str, Any]:
        return {
            "container_name": f"unsb-vm-{next(self._numbers)}",
            "vcpu": vcpu,
            "memory_mb": vcpu * 2048,
        }

    def of(self, kind: str, owner: str) -> list[Thing]:
        found = [it for it in self.things if it.kind == kind and it.owner == owner]
        return found[:-1] if self.has("listed nowhere") else found

    def find(self, kind: str, name: str, account: str | None) -> Thing:
        """The thing of this account, of any when that is None; raises Refused with 404."""
        for thing in self.things:
            if thing.kind == kind and name in thing.names() and account in (None, thing.owner):
                return thing
        raise Refused(404, "NOT_FOUND", "Nothing of this account has this id")

    def delete(self, thing: Thing) -> None:
        self._freed[thing.kind] = thing.id
        if not self.has("deleted stays"):
            self.things.remove(thing)


def moment() -> str:
    """Now, as documents have it."""
    return datetime.fromtimestamp(int(time.time()), UTC).isoformat().replace("+00:00", "Z")
