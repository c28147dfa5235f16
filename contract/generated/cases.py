"""Requests that schemathesis makes of the contract: at its bounds, beyond them, and at random."""

import json
import re
from collections.abc import Iterator
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.drivers import CoverageGenerator
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.generation.overrides import Override
from schemathesis.specs.openapi.schemas import OpenApiSchema

from contract.api import JSON, Api
from contract.exchange import Request
from contract.spec import Operation, Spec

__all__ = ["AnyCase", "Generator", "economical", "request_of"]

AnyCase = Case[Any]

_CONFIG: dict[str, Any] = {
    # Signatures are made when a request is sent; the family auth checks them.
    "generation": {"with-security-parameters": False},
    # Undeclared methods are a check of their own, which a profile may leave out.
    "phases": {
        "coverage": {"unexpected-methods": []},
        "stateful": {"inference": {"algorithms": []}},
    },
}
_MOST_TARGET = 4_000
"""Characters of a request's path and query; servers refuse longer ones before they look."""

_ODD_SEGMENT = re.compile(r"[/\\%?#;\x00-\x20\x7f]|^\.{0,2}$")
_SENDABLE_HEADER = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")


class Generator:
    """One contract, as schemathesis reads it."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        config = SchemathesisConfig.from_dict(_CONFIG)
        self.schema: OpenApiSchema = schemathesis.openapi.from_dict(spec.document, config=config)

    def coverage(self, operation: Operation, most: int) -> Iterator[AnyCase]:
        """At most so many of the cases at and beyond every bound, spread over all of them."""
        made = self.schema.find_operation_by_id(operation.id)
        config = self.schema.config.generation_for(operation=made, phase="coverage")
        cases = list(
            CoverageGenerator(
                operation=made,
                generation_modes=list(GenerationMode),
                generation_config=config,
                auth_storage=None,
                override=Override(),
                feedback=NO_FEEDBACK,
            )
        )
        step = max(1.0, len(cases) / most)
        return (cases[int(number * step)] for number in range(min(most, len(cases))))

    def random(self, operation: Operation) -> st.SearchStrategy[AnyCase]:
        """Cases that fit the schemas, and cases that break them."""
        made = self.schema.find_operation_by_id(operation.id)
        return st.one_of([made.as_strategy(generation_mode=mode) for mode in GenerationMode])


def request_of(case: AnyCase, operation: Operation, api: Api) -> Request | None:
    """The signed request that a case is, or None when it cannot be told apart from another one.

    Such are those that HTTP software changes on the way: dots and slashes in a segment, and
    headers that cannot be written.
    """
    given = {**(case.path_parameters or {})}
    if any(_ODD_SEGMENT.search(str(value)) for value in given.values()):
        return None
    prepared = requests.Request(**_serialised(case)).prepare()
    body = prepared.body or b""
    headers = {
        name: str(value) for name, value in (case.headers or {}).items() if name not in _OWN_HEADERS
    }
    declared = prepared.headers.get("Content-Type")
    if declared is not None:
        headers["Content-Type"] = str(declared)
    target = prepared.path_url
    if len(target) > _MOST_TARGET or not all(map(_SENDABLE_HEADER.fullmatch, headers.values())):
        return None
    if api.spec.match(operation.method, target) is not operation:
        return None
    content = body.encode() if isinstance(body, str) else bytes(body)
    if declared == JSON and len(content) % 2:
        content = _unescaped(content)
    return api.signed_to(operation, target, content, headers)


def _unescaped(content: bytes) -> bytes:
    """JSON with its characters written out; both ways are in use."""
    try:
        return json.dumps(json.loads(content), ensure_ascii=False).encode()
    except ValueError:
        return content


_OWN_HEADERS = frozenset({"User-Agent", "X-Schemathesis-TestCaseId"})


def _serialised(case: AnyCase) -> dict[str, Any]:
    return dict(case.as_transport_kwargs(base_url="http://target.invalid"))


_PROGRAMS = ("code", "command", "bootstrap", "bootstrap_content")
_COMMENTED = "true # \u00e9\u6f22\U0001f600 "
"""What every program holds: characters of two, three and four bytes."""

_LONGEST_COMMAND = 32_000
_LINE_BREAKS = re.compile(r"[\r\n]")


def economical(case: AnyCase, operation: Operation) -> None:
    """Let what a server may run cost next to nothing, with all the text that was generated.

    For cases that it need not refuse: it would have to make ready what a language or shell needs.
    """
    body = case.body
    if isinstance(body, str) and operation.id in _SCRIPTS and body.startswith("#!"):
        case.body = _SHEBANG + _comment(body)
    elif isinstance(body, dict) and case.media_type == JSON:
        case.body = {name: _cheap(name, value, operation) for name, value in body.items()}


def _cheap(name: str, value: Any, operation: Operation) -> Any:  # noqa: ANN401 - any JSON
    if value is None:
        return None
    if name in _PROGRAMS and isinstance(value, str):
        return (_SHEBANG if operation.id in _SCRIPTS else "") + _comment(value)
    if name == "ttl" and operation.tag != "Execution":
        return value and max(value, _LONG_ENOUGH)
    return _CHEAPEST.get(name, value)


_SCRIPTS = ("run", "runAsync")
"""Operations that find the language in the program."""

_SHEBANG = "#!/bin/bash\n"
_CHEAPEST = {"language": "bash", "shell": "bash"}
_LONG_ENOUGH = 600
"""Seconds for which what is created stays, unless it stays for ever."""


def _comment(text: str) -> str:
    """A command that does nothing, and holds the text."""
    return (_COMMENTED + _LINE_BREAKS.sub(" ", text))[:_LONGEST_COMMAND]
