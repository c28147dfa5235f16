"""What an account can own, as one table: made for a check, and gone after it."""

import base64
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from contract.api import Api, member
from contract.exchange import Response
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.resources import follow, sources
from contract.spec import Operation, Spec

__all__ = [
    "KINDS",
    "LASTING",
    "LIVE",
    "Kind",
    "Thing",
    "awaited",
    "container",
    "end",
    "kept",
    "kind_of",
    "logged",
    "make",
    "new",
    "new_name",
    "of",
    "parameters",
    "published",
    "runs",
    "taken",
]

T = TypeVar("T")
Document = dict[str, Any]

PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.2
_CONFIRM, _TOO_MANY = 428, 429
_NO_ANSWER_NEEDED = (ContractBroken, NotRun, Unsupported)

_STABLE = frozenset(
    (
        *("id", "name", "locked", "visibility", "owner_api_key", "trusted_keys", "source_id"),
        *("custom_domains", "vcpu", "ttl", "shell", "unfreeze_on_demand"),
    )
)


def new_name() -> str:
    """A name that nothing else has."""
    return f"contract-{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing: the operations that make and end one, and the request that makes it.

    `body` takes the thing that it is made from, which is one of the kind `of` unless said.
    """

    make: str
    end: str
    body: Callable[["Thing | None"], Document]
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing as an account sees it; `kind` is one of KINDS, `document` the answer that made it."""

    api: Api
    kind: str
    id: str
    document: Mapping[str, Any]

    @property
    def endings(self) -> list[str]:
        """The operations that end it, locked or not, one after the other."""
        names = (f"unlock{self.kind.capitalize()}", KINDS[self.kind].end)
        return [name for name in names if name in self.api.spec.operations]

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

    def exists(self) -> bool:
        """A check before may have ended it, though it should not have."""
        return self.do("get", expect=(200, 404)).status == 200

    def stable(self) -> Document:
        """What of it changes only when somebody changes it."""
        return {name: value for name, value in self.read().items() if name in _STABLE}

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


def _published(source: Thing | None) -> Document:
    named = {"source_type": source.kind, "source_id": source.id} if source else {}
    return {**named, "name": new_name()}


KINDS: Mapping[str, Kind] = {
    "job": Kind(
        "executeAsync",
        "cancelJob",
        lambda _of: {"language": "bash", "code": "sleep 120", "ttl": 120},
    ),
    # One that outlives its clients.
    "session": Kind("createSession", "deleteSession", lambda _of: {"multiplexer": "tmux"}),
    "service": Kind("createService", "deleteService", lambda _of: {"name": new_name()}),
    "snapshot": Kind("snapshotSession", "deleteSnapshot", lambda _of: {}, of="session"),
    "image": Kind("publishImage", "deleteImage", _published, of="snapshot"),
}
"""All kinds by name, each after the one that it is made from."""

LASTING = tuple(kind for kind in KINDS if kind != "job")
"""What is named, read, listed, locked and deleted in the same way."""

LIVE = ("session", "service")
"""Those of them in which commands run, and which can be frozen."""


def kind_of(spec: Spec, operation: Operation) -> str:
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


def _way(spec: Spec, operation: Operation) -> tuple[str, Mapping[str, Any]]:
    """The kind whose making links to an operation, and that link."""
    links = {source.operation.id: source.link for source in sources(spec, operation)}
    for name, kind in KINDS.items():
        if kind.make in links:
            return name, links[kind.make]
    raise ContractBroken("links", f"the contract links nothing that makes things to {operation.id}")


def of(api: Api, kind: str, response: Response) -> Thing:
    """The thing that an answer has made; raises ContractBroken when its two ids differ."""
    document = response.json
    _, link = _way(api.spec, api.spec.operations[f"get{kind.capitalize()}"])
    try:
        made = str(follow(link["parameters"]["id"], document))
    except (KeyError, TypeError) as error:
        told = f"the answer has no member {error}: {response.text[:500]}"
        raise ContractBroken("schema", told) from None
    for spelling in ("id", f"{kind}_id"):
        if document.get(spelling, made) != made:
            raise ContractBroken("id", f"{kind} {made} has another {spelling}: {document}")
    return Thing(api, kind, made, document)


def make(api: Api, kind: str, source: Thing | None = None, **members: object) -> Thing:
    """A new thing, with these members of the request; one that is None is left out."""
    how = KINDS[kind]
    body = {**how.body(source), **members}
    json = {name: value for name, value in body.items() if value is not None}
    if source is not None and api.spec.operations[how.make].names_thing:
        return of(api, kind, source.call(how.make, json=json))
    return of(api, kind, api.call(how.make, json=json))


def taken(source: Thing, **members: object) -> Thing:
    """A snapshot of a session or service."""
    return of(source.api, "snapshot", source.do("snapshot", json=members))


def published(source: Thing) -> Thing:
    """An image of a service or snapshot."""
    return make(source.api, "image", source)


@contextmanager
def new(api: Api, kind: str, **members: object) -> Iterator[Thing]:
    """A thing as long as the block, on what it is made from; a service runs.

    Raises what `make` raises, and Unsupported at once where the server is known to make none.
    """
    of_kind = KINDS[kind].of
    if KINDS[kind].make in api.wire.lacking:
        raise Unsupported(f"{KINDS[kind].make} is not supported by this server (501)")
    with ExitStack() as stack:
        source = stack.enter_context(new(api, of_kind)) if of_kind else None
        thing = stack.enter_context(kept(make(api, kind, source, **members)))
        if kind == "service":
            runs(thing)
        yield thing


@contextmanager
def kept(thing: Thing) -> Iterator[Thing]:
    """Ends what a check has made, locked or not, however the check ends."""
    try:
        yield thing
    finally:
        end(thing)


def end(thing: Thing) -> None:
    """See to the end of a thing, which may have come already, as well as can be."""
    for name in thing.endings:
        with suppress(*_NO_ANSWER_NEEDED):
            thing.call(name, expect=(200, 404, 409))


def container(session: Thing) -> str:
    """The name of a session's container; raises NotRun where the server does not tell it."""
    name = session.read().get("container_name")
    if name is None:
        raise NotRun("a session does not tell the name of its container")
    return str(name)


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


def awaited(
    look: Callable[[], T],
    is_right: Callable[[T], bool],
    otherwise: str,
    seconds: float | None = None,
) -> T:
    """What `look` gives as soon as it is right; raises ContractBroken(`otherwise`) if never.

    That is PATIENCE_SECONDS, unless told otherwise.
    """
    patience = seconds or PATIENCE_SECONDS
    deadline = time.monotonic() + patience
    while True:
        seen = look()
        if is_right(seen):
            return seen
        if time.monotonic() > deadline:
            raise ContractBroken("time", f"{otherwise} after {patience:g} s: {seen}")
        time.sleep(_PAUSE_SECONDS)
