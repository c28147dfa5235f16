"""What operations act on: made by the contract's creates, found by its links, then released."""

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from contract.api import JSON, Api
from contract.creation import Creations, path_parameters
from contract.exchange import Exchange, Response
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.spec import Operation, Spec

__all__ = ["Example", "Resources", "Source", "examples", "follow", "sources"]

_BODY, _PATH = "$response.body#/", "$request.path."
_ENDS_BY_ITSELF = "Jobs"
"""The tag of what need not be released: it ends without help, and stays readable."""

_KEYS = ("api_key", "to_api_key", "key")
"""Members and parameters that hold another account's public key."""


@dataclass(frozen=True, slots=True)
class Source:
    """An answer whose link leads to an operation: what comes out of `operation` can be used."""

    operation: Operation
    status: int
    link: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """A body that the contract shows; `value` is text for plain text, None for no body."""

    media_type: str
    value: Any

    @property
    def content(self) -> bytes | None:
        if self.value is None:
            return None
        if self.media_type == JSON:
            return json.dumps(self.value, separators=(",", ":")).encode()
        return str(self.value).encode()


def examples(operation: Operation) -> list[Example]:
    """Every body that the contract shows for an operation; one without a body if there is none."""
    content = operation.document.get("requestBody", {}).get("content", {})
    return [
        Example(media_type, example["value"])
        for media_type, described in content.items()
        for example in described.get("examples", {}).values()
    ] or [Example(JSON, None)]


def sources(spec: Spec, operation: Operation) -> list[Source]:
    """The answers that link to an operation, those first that themselves need the least."""
    found = [
        Source(source, status, spec.resolve(link))
        for source in spec.operations.values()
        if source.alias_of is None
        for status in sorted(source.statuses)
        for link in source.links(status).values()
        if spec.resolve(link)["operationId"] == operation.id
    ]
    return sorted(found, key=lambda it: len(it.operation.path_parameters))


def follow(expression: Any, body: Any, path: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """What a link's expression says of an answer's body, and of the path that was asked for.

    Raises KeyError for what is missing.
    """
    if isinstance(expression, dict):
        return {name: follow(member, body, path) for name, member in expression.items()}
    if isinstance(expression, str) and expression.startswith(_PATH):
        return (path or {})[expression.removeprefix(_PATH)]
    if isinstance(expression, str) and expression.startswith(_BODY):
        for part in expression.removeprefix(_BODY).split("/"):
            body = body[part]
        return body
    return expression


@dataclass(frozen=True, slots=True)
class _Made:
    operation: Operation
    response: Response
    exchange: Exchange


class Resources:
    """Makes what an operation's path names, keeps it for others, and releases it with the block."""

    def __init__(self, api: Api, token: Callable[[], str] = lambda: secrets.token_hex(3)) -> None:
        self.api = api
        self._token = token
        self._creations = Creations(api.spec)
        self._made: dict[str, _Made] = {}

    def __enter__(self) -> "Resources":
        return self

    def __exit__(self, *_: object) -> None:
        self.release_all()

    def parameters(self, operation: Operation) -> dict[str, str] | None:
        """Path parameters that name something living, or None where nothing can be made."""
        if not operation.path_parameters:
            return {}
        for source in sources(self.api.spec, operation):
            with suppress(NotRun, Unsupported):
                return self.through(source)[0]
        return None

    def through(
        self, source: Source, *, fresh: bool = False
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Path parameters and body members that a link gives; `fresh`: from a new answer.

        Raises:
            ContractBroken: the answer that links does not come.
            Unsupported: the server lacks the operation that gives it.
            NotRun: the run may not call that, or it made something of another kind.
        """
        name = source.operation.id
        if fresh:
            self._release_made(name)
        if name not in self._made:
            response = self._made_or_remade(source.operation)
            self._made[name] = _Made(source.operation, response, self.api.wire.trail[-1])
        self._tell()
        body = self._made[name].response.json
        try:
            asked = path_parameters(self._made[name].exchange.request)
            path = follow(dict(source.link.get("parameters", {})), body, asked)
            members = follow(dict(source.link.get("requestBody", {})), body, asked)
        except (KeyError, TypeError) as error:  # it may create one of several kinds
            raise NotRun(f"{name}: its answer has no {error}, which this link needs") from None
        return {key: str(self._member(key, value)[1]) for key, value in path.items()}, members

    def _made_or_remade(self, operation: Operation) -> Response:
        """Made on what is there, which another check may have ended: then all anew."""
        try:
            return self.make(operation)
        except ContractBroken:
            if not self._made:
                raise
        self.release_all()
        return self.make(operation)

    def make(self, operation: Operation) -> Response:
        """The answer to the contract's first example of a create, on what it needs to be there.

        Raises what `through` raises; whoever asks releases what comes.
        """
        path, members = self._needed(operation)
        example = self.adapted(examples(operation)[0], members)
        return self.api.call(
            operation.id, path, content=example.content, media_type=example.media_type
        )

    def _needed(self, operation: Operation) -> tuple[dict[str, str], dict[str, Any]]:
        """What making something takes that something else has to be made for."""
        upstream = [
            it for it in sources(self.api.spec, operation) if not _is_loop(it.operation, operation)
        ]
        if not upstream:
            return {}, {}
        return self.through(upstream[0])

    def adapted(self, example: Example, members: Mapping[str, Any] | None = None) -> Example:
        """An example that this server can take: names are new, keys are those of an account."""
        value = example.value
        if members:
            value = {**(value or {}), **members}
        if isinstance(value, dict):
            value = dict(self._member(name, member) for name, member in value.items())
        return Example(example.media_type, value)

    def _member(self, name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 - any JSON
        if name == "name" and isinstance(value, str):
            return name, f"c{self._token()}-{value}"
        if name == "custom_domains" and isinstance(value, list):
            return name, [f"c{self._token()}.{domain}" for domain in value]
        second = self.api.wire.target.accounts.get("second")
        return name, second.public_key if name in _KEYS and second else value

    def release(self, operation: Operation, response: Response) -> None:
        """End what an answer has created, as well as can be."""
        for kind, identifier in self._creations.named(operation, response):
            if kind.remove.tag != _ENDS_BY_ITSELF:
                with suppress(NotRun, Unsupported, ContractBroken):
                    self.api.call(kind.remove.id, {"id": identifier}, expect=(200, 404, 409, 428))

    def release_all(self) -> None:
        """End all that was made, the latest first."""
        for name in reversed(list(self._made)):
            self._release_made(name)

    def _release_made(self, name: str) -> None:
        if name in self._made:
            made = self._made.pop(name)
            self.release(made.operation, made.response)

    def _tell(self) -> None:
        """Let the trail of the check that runs hold how the things came about that it uses."""
        trail = self.api.wire.trail
        known = {id(exchange) for exchange in trail}
        trail[:0] = [it.exchange for it in self._made.values() if id(it.exchange) not in known]


def _is_loop(source: Operation, operation: Operation) -> bool:
    """Whether something is made of its own kind, such as an image of an image."""
    return source.path.split("/")[1] == operation.path.split("/")[1] and bool(
        source.path_parameters
    )
