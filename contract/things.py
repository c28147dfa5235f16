"""Sessions, services, snapshots and images as one table: made for a check, and gone after it."""

import base64
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from contract.api import Api, member
from contract.exchange import Response
from contract.outcomes import ContractBroken, NotRun, Unsupported

__all__ = [
    "KINDS",
    "LIVE",
    "MAKERS",
    "Thing",
    "awaited",
    "image",
    "kept",
    "logged",
    "new_name",
    "of",
    "published",
    "runs",
    "service",
    "session",
    "snapshot",
    "taken",
]

T = TypeVar("T")
Document = dict[str, Any]

PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.2
_CONFIRM, _TOO_MANY = 428, 429
_NO_ANSWER_NEEDED = (ContractBroken, NotRun, Unsupported)

KINDS = ("session", "service", "snapshot", "image")
"""What is made, named, read, listed, locked and deleted in the same way."""

LIVE = ("session", "service")
"""Those of them in which commands run, and which can be frozen."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One of KINDS as an account sees it; `document` is the answer that made it."""

    api: Api
    kind: str
    id: str
    document: Mapping[str, Any]

    def as_(self, role: str) -> "Thing":
        """The same thing, asked for by another account."""
        return replace(self, api=self.api.as_(role))

    def do(
        self,
        verb: str,
        *,
        expect: int | Collection[int] = 200,
        **request: Any,  # noqa: ANN401
    ) -> Response:
        """Call `<verb><Kind>`, such as `freezeSession`; see `call`."""
        return self.call(f"{verb}{self.kind.capitalize()}", expect=expect, **request)

    def call(
        self,
        operation_id: str,
        *,
        expect: int | Collection[int] = 200,
        **request: Any,  # noqa: ANN401 - arguments of Api.call
    ) -> Response:
        """Call an operation whose path has the id of the thing.

        Raises:
            ContractBroken: the answer is not one of those expected.
            NotRun: the account must confirm it by a one-time code, or has too few slots.
        """
        right = {expect} if isinstance(expect, int) else set(expect)
        allowed = right | {_CONFIRM, _TOO_MANY} & self.api.spec.operations[operation_id].statuses
        response = self.api.call(operation_id, {"id": self.id}, expect=allowed, **request)
        if response.status not in right:
            raise NotRun(f"{operation_id}: {response.status}: {response.text[:200]}")
        return response

    def read(self) -> Document:
        document: Document = self.do("get").json
        return document

    def is_listed(self, operation_id: str | None = None, **request: Any) -> bool:  # noqa: ANN401
        """Whether the account's list has it, or the list that `operation_id` names."""
        answer = self.api.call(operation_id or f"list{self.kind.capitalize()}s", **request)
        items = member(answer, f"{self.kind}s")
        if answer.json.get("count", len(items)) != len(items):
            raise ContractBroken("count", f"{len(items)} items, count {answer.json['count']}")
        return self.id in [item.get("id", item.get(f"{self.kind}_id")) for item in items]

    def run(self, command: str, *, expect: int | Collection[int] = 200) -> Document:
        """What came of a command line in it."""
        document: Document = self.do("execute", json={"command": command}, expect=expect).json
        return document

    def write(self, name: str, content: bytes) -> None:
        """Put a file into its working directory, through its shell."""
        text = base64.b64encode(content).decode()
        ran = self.run(f"printf %s {text} | base64 -d > {name}")
        if ran["exit_code"] != 0:
            raise ContractBroken("command", f"a file could not be written: {ran}")

    def content(self, name: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        ran = self.run(f"base64 -w0 {name}")
        return base64.b64decode(ran["stdout"]) if ran["exit_code"] == 0 else None


def of(api: Api, kind: str, response: Response) -> Thing:
    """The thing that an answer has made; raises ContractBroken when its two ids differ."""
    document = response.json
    made = str(member(response, f"{kind}_id" if kind != "image" else "id"))
    for spelling in ("id", f"{kind}_id"):
        if document.get(spelling, made) != made:
            raise ContractBroken("id", f"{kind} {made} has another {spelling}: {document}")
    return Thing(api, kind, made, document)


@contextmanager
def kept(thing: Thing) -> Iterator[Thing]:
    """Ends what a check has made, locked or not, however the check ends."""
    try:
        yield thing
    finally:
        for verb in ("unlock", "delete"):
            with suppress(*_NO_ANSWER_NEEDED):
                thing.do(verb, expect=(200, 404))


def new_name() -> str:
    """A name that nothing else has."""
    return f"contract-{secrets.token_hex(6)}"


def session(
    api: Api, multiplexer: str | None = "tmux", **members: object
) -> AbstractContextManager[Thing]:
    """A session, one that outlives its clients unless `multiplexer` is None."""
    body = {**({"multiplexer": multiplexer} if multiplexer else {}), **members}
    return kept(of(api, "session", api.call("createSession", json=body)))


@contextmanager
def service(api: Api, **members: object) -> Iterator[Thing]:
    """A service that runs."""
    made = of(api, "service", api.call("createService", json={"name": new_name(), **members}))
    with kept(made):
        runs(made)
        yield made


@contextmanager
def snapshot(api: Api, **members: object) -> Iterator[Thing]:
    """A snapshot of a session that is there as long as it is."""
    with session(api) as source, kept(taken(source, **members)) as made:
        yield made


@contextmanager
def image(api: Api, **members: object) -> Iterator[Thing]:
    """An image of a snapshot."""
    with snapshot(api) as source, kept(published(source, **members)) as made:
        yield made


def taken(source: Thing, **members: object) -> Thing:
    """A snapshot of a session or service."""
    return of(source.api, "snapshot", source.do("snapshot", json=members))


def published(source: Thing, **members: object) -> Thing:
    """An image of a service or snapshot."""
    body = {"source_type": source.kind, "source_id": source.id, "name": new_name(), **members}
    return of(source.api, "image", source.api.call("publishImage", json=body))


MAKERS: Mapping[str, Callable[[Api], AbstractContextManager[Thing]]] = {
    "session": session,
    "service": service,
    "snapshot": snapshot,
    "image": image,
}
"""How one of each kind is made."""


def runs(thing: Thing) -> Document:
    """A session or service, once it runs."""
    return awaited(
        thing.read,
        lambda it: it["status"] == "running",
        f"the {thing.kind} {thing.id} does not run",
    )


def logged(thing: Thing, text: str) -> str:
    """The log of a service, once a text is in it."""
    log: str = awaited(
        lambda: thing.call("getServiceLogs").json["log"],
        lambda it: text in it,
        f"{text!r} is not in the log of {thing.id}",
    )
    return log


def awaited(look: Callable[[], T], is_right: Callable[[T], bool], otherwise: str) -> T:
    """What `look` gives as soon as it is right; raises ContractBroken(`otherwise`) if never."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = look()
        if is_right(seen):
            return seen
        if time.monotonic() > deadline:
            raise ContractBroken("time", f"{otherwise} after {PATIENCE_SECONDS} s: {seen}")
        time.sleep(_PAUSE_SECONDS)
