"""How checks speak to a server: by operation, signed, as an account."""

import json as jsonlib
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from contract.exchange import Headers, Request, Response
from contract.outcomes import ContractBroken, NotRun
from contract.signing import Credentials, signed_headers
from contract.spec import Operation, Spec
from contract.target import MAIN, ROLES
from contract.wire import Wire

__all__ = ["Api"]

JSON = "application/json"


class Api:
    """One account's view of a server."""

    def __init__(self, wire: Wire, role: str = MAIN) -> None:
        self.wire = wire
        self.role = role

    @property
    def spec(self) -> Spec:
        return self.wire.spec

    def as_(self, role: str) -> "Api":
        """The same server, as another account; raises NotRun when the run has none."""
        api = Api(self.wire, role)
        _ = api.credentials
        return api

    @property
    def credentials(self) -> Credentials:
        found = self.wire.target.accounts.get(self.role)
        if found is None:
            raise NotRun(f"no account {self.role!r} ({ROLES[self.role]}) was given")
        return found

    def call(
        self,
        operation_id: str,
        path: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
        json: object = None,
        content: bytes | None = None,
        media_type: str = JSON,
        headers: Mapping[str, str] | None = None,
        expect: int | Collection[int] | None = None,
        probe: bool = False,
    ) -> Response:
        """Send one signed request and return its answer.

        Args:
            operation_id: what to call.
            path: path parameters by name, not encoded.
            query: the query string's parameters.
            json: a body; compact JSON is sent.
            content: a body as bytes, instead.
            media_type: of the body, when there is one.
            headers: further headers.
            expect: the status or statuses that are right; any documented 2xx when left out.
            probe: whether it should be refused, see Request.

        Raises:
            ContractBroken: the answer breaks the contract, or its status is not expected.
            Unsupported: the server does not have the operation.
            NotRun: the run may not send this.
        """
        operation = self.spec.operations[operation_id]
        body = encoded(json) if json is not None else content
        more = {"Content-Type": media_type} if body is not None else {}
        request = self.signed(
            operation,
            path,
            query=query,
            body=body or b"",
            headers={**more, **(headers or {})},
            probe=probe,
        )
        return self.send(request, expect)

    def send(self, request: Request, expect: int | Collection[int] | None = None) -> Response:
        """Send a request as it is; `expect` and what is raised are those of `call`."""
        response = self.wire.send(request)
        _expect(request, response, expect)
        return response

    def signed(
        self,
        operation: Operation,
        path: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        probe: bool = False,
    ) -> Request:
        """A request as `call` sends it, for checks that change something about it first."""
        target = operation.target(path or {}) + (f"?{urlencode(query)}" if query else "")
        return self.signed_to(operation, target, body, headers, probe=probe)

    def signed_to(
        self,
        operation: Operation,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        probe: bool = False,
    ) -> Request:
        """The same, to a target that is written out, percent-encoded."""
        signed = signed_headers(self.credentials, operation.method, target, body, self.wire.now())
        found: Headers = tuple({**(headers or {}), **(signed if operation.signed else {})}.items())
        return Request(
            operation.method,
            target,
            found,
            body,
            operation,
            self.role if operation.signed else None,
            probe,
        )


def encoded(value: object) -> bytes:
    """A body as it is sent: bytes as they are, text in UTF-8, anything else as compact JSON."""
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else jsonlib.dumps(value, separators=(",", ":"))
    return text.encode()


def _expect(request: Request, response: Response, expect: int | Collection[int] | None) -> None:
    if expect is None:
        right = 200 <= response.status < 300
        wanted = "success"
    else:
        statuses = {expect} if isinstance(expect, int) else set(expect)
        right, wanted = response.status in statuses, " or ".join(map(str, sorted(statuses)))
    if not right:
        name = request.operation.id if request.operation else f"{request.method} {request.target}"
        told = f"{name}: {wanted} was expected, not {response.status}: {response.text[:500]}"
        raise ContractBroken("status", told)


def member(response: Response, name: str) -> Any:  # noqa: ANN401 - any JSON
    """A member of a JSON answer; raises ContractBroken naming it when it is missing."""
    body = response.json
    if not isinstance(body, dict) or name not in body:
        raise ContractBroken("schema", f"the answer has no member {name}: {response.text[:500]}")
    return body[name]
