"""One exchange that went through the proxy, judged from all sides."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from contract import conformance
from contract.exchange import Exchange, Request, Response
from contract.explain import Received, explain, public_key
from contract.proxy.findings import Finding, Level, Line, Side
from contract.proxy.sent import Requests
from contract.signing import AUTHORIZATION
from contract.spec import Operation, Spec
from contract.target import Target
from contract.wire import NOT_IMPLEMENTED

__all__ = ["Judge"]

_TOLD = 300
"""Characters of a server's own words that are shown."""

_SENT_BY_NOBODY = "the server gave no answer"


class Judge:
    """Knows the contract and the keys of a target."""

    def __init__(self, spec: Spec, target: Target) -> None:
        self._spec = spec
        self._requests = Requests(spec)
        self._secrets = {it.public_key: it.secret_key for it in target.accounts.values()}

    def line(
        self, request: Request, response: Response | None, at: float, *, whole: bool = True
    ) -> Line:
        """Everything there is to say of one exchange.

        Args:
            request: as the client sent it.
            response: as the client got it; None when none came.
            at: when the request came, in seconds since 1970.
            whole: whether the whole answer came through, so that its body can be judged.
        """
        path = request.target.partition("?")[0]
        request = replace(request, operation=self._spec.match(request.method, path))
        findings = [
            *self._requests.findings(request),
            *self._signature(request, at),
            *self._answer(request, response, at, whole=whole),
        ]
        if response is not None and response.status >= 400 and not findings:
            findings.append(_refused(response))
        return Line(
            at=datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
            client=request.header("User-Agent") or "",
            operation=request.operation.id if request.operation else "",
            method=request.method,
            path=path,
            status=response.status if response else 0,
            milliseconds=round(response.seconds * 1000, 1) if response else 0.0,
            findings=tuple(findings),
        )

    def _signature(self, request: Request, at: float) -> Iterator[Finding]:
        if request.operation is not None and not _has_to_be_signed(request, request.operation):
            return
        received = Received(
            request.method, request.target.encode("latin-1"), request.headers, request.body
        )
        key = public_key(received)
        found = explain(received, self._secrets.get(key) if key else None, at)
        if found.code == "key-unknown":
            told = "the proxy does not have the secret of this key, so it cannot check signatures"
            remedy = "give the key pair by UNSANDBOX_PUBLIC_KEY and UNSANDBOX_SECRET_KEY"
            yield Finding(Side.SIGNATURE, found.code, "header", told, remedy, Level.WARNING)
        elif not found.right:
            where, remedy = "header/X-Signature", f"the rule: {found.rule}"
            yield Finding(
                Side.SIGNATURE, found.code, where, found.message, remedy, offset=found.offset
            )

    def _answer(
        self, request: Request, response: Response | None, at: float, *, whole: bool
    ) -> Iterator[Finding]:
        if response is None:
            yield Finding(Side.ANSWER, "answers", "", _SENT_BY_NOBODY)
            return
        for violation in conformance.violations(self._spec, Exchange(request, response, at)):
            if whole or violation.check not in ("schema", "plain JSON"):
                yield Finding(Side.ANSWER, violation.check, "", violation.message)


def _has_to_be_signed(request: Request, operation: Operation) -> bool:
    """Whether it has to be; where it only may be, it counts when it tries to."""
    optional = {} in operation.document.get("security", [])
    return operation.signed and not (optional and request.header(AUTHORIZATION) is None)


def _refused(response: Response) -> Finding:
    lacks = response.status == NOT_IMPLEMENTED
    did = "does not have this operation" if lacks else "refused the request"
    told = f"the server {did}: {response.status} {response.text[:_TOLD]}"
    return Finding(Side.ANSWER, "refused", "", told, level=Level.WARNING)
