"""The one way out: every request of a run passes its gates, and every answer its checks."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Protocol

import httpx

from contract import conformance
from contract.conformance import Violation
from contract.evidence import Evidence
from contract.exchange import Exchange, Request, Response
from contract.outcomes import ContractBroken, SendAgain, Unsupported
from contract.spec import Spec
from contract.target import Target
from contract.trail import Trail, recorded

__all__ = ["BrokenAnswer", "Gate", "NoAnswer", "Wire", "read_of"]

TIMEOUT_SECONDS = 120
LONGEST_SECONDS = 600
"""How long an answer may take in all, however steadily it comes."""

PATIENT, GIVEN_UP = 2, 10
"""After so many requests in a row without an answer, one is waited for IMPATIENT_SECONDS, and no
more are sent: a server that hangs must not hold a run for as long as it has checks."""
IMPATIENT_SECONDS = 5

LARGEST_BODY = 128 * 2**20
"""The most that is read of an answer, in bytes: a server must not fill this machine's memory."""

ATTEMPTS = 3
"""How often a request is sent that is refused for the moment (429), on a server that is paced."""

NOT_IMPLEMENTED = 501


class NoAnswer(ContractBroken):
    """The connection failed, or what came is no HTTP."""

    def __init__(self, request: Request, reason: object) -> None:
        super().__init__("answers", f"{request.method} {request.target}: no answer: {reason}")


class BrokenAnswer(ContractBroken):
    """An answer that breaks rules which hold for every answer."""

    def __init__(self, operation: str, violations: Sequence[Violation]) -> None:
        told = "; ".join(violation.message for violation in violations)
        super().__init__(violations[0].check, told)
        self.operation = operation
        self.violations = tuple(violations)


class Gate(Protocol):
    """Stands between every check and the server."""

    def before(self, request: Request) -> None:
        """May wait; raises NotRun when this request is not to be sent."""

    def after(self, exchange: Exchange) -> None:
        """Sees every answer before anything is asserted of it; may raise SendAgain."""


class Wire:
    """Sends requests to one target and keeps what came of them.

    `trail` are the latest exchanges since it was last cleared: those of the check that runs.
    `lacking` are the operations that the server has answered 501.
    Threads of one check may send at the same time.
    """

    def __init__(
        self,
        target: Target,
        spec: Spec,
        evidence: Evidence,
        gates: Sequence[Gate] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.target = target
        self.spec = spec
        self.now = now
        self.trail = Trail()
        self.lacking = set[str]()
        self._evidence = evidence
        self._gates = gates
        self._one_by_one = threading.RLock()
        self._unanswered = 0
        self._http = httpx.Client(base_url=target.url, follow_redirects=False, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def send(self, request: Request) -> Response:
        """The answer, which keeps every rule of the contract that holds for all answers.

        Raises:
            ContractBroken: it does not, or none came.
            Unsupported: 501 where the contract has it.
            NotRun: a gate refused.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return self._sent(request)
            except SendAgain:
                continue
        return self._sent(request)

    def _sent(self, request: Request) -> Response:
        if self._unanswered >= GIVEN_UP:
            raise NoAnswer(request, f"{GIVEN_UP} before it had none in time, and it was not sent")
        self.admit(request)
        at = self.now()
        try:
            response = self._answer(request)
        except httpx.TimeoutException as error:
            self._unanswered += 1
            raise NoAnswer(request, repr(error)) from error
        except httpx.HTTPError as error:
            raise NoAnswer(request, repr(error)) from error
        self.keep(Exchange(request, response, at))
        return response

    def _answer(self, request: Request) -> Response:
        began = time.monotonic()
        answer = self._http.send(self._prepared(request), stream=True)
        with closing(answer):
            body = read_of(request, answer, began)
        self._unanswered = 0
        headers = tuple(answer.headers.multi_items())
        return Response(answer.status_code, headers, body, time.monotonic() - began)

    def keep(self, exchange: Exchange) -> None:
        """Judge an exchange that went another way, such as over another library's connection."""
        with self._one_by_one:
            self.trail.append(exchange)
            self._evidence.saw(exchange)
            for gate in self._gates:
                gate.after(exchange)
            self._judge(exchange)

    def recorded(self) -> list[dict[str, Any]]:
        """The trail as JSON, for evidence."""
        return recorded(self.trail, self.target.accounts)

    def admit(self, request: Request) -> None:
        """Let the gates decide on a request that goes another way; raises NotRun."""
        with self._one_by_one:
            for gate in self._gates:
                gate.before(request)

    def _judge(self, exchange: Exchange) -> None:
        found = conformance.violations(self.spec, exchange)
        self._evidence.judged(exchange, found, self.recorded)
        operation = exchange.request.operation
        if found:
            raise BrokenAnswer(operation.id if operation else "", found)
        if operation is not None and exchange.response.status == NOT_IMPLEMENTED:
            self.lacking.add(operation.id)
            raise Unsupported(f"{operation.id} is not supported by this server (501)")

    def _prepared(self, request: Request) -> httpx.Request:
        """The target goes beside the URL, in which httpx would resolve `..` and encode anew."""
        url = self._http.base_url
        return httpx.Request(
            request.method,
            url,
            headers=[("Host", url.netloc.decode()), *request.headers],
            content=request.body,
            extensions={
                "target": request.target.encode("latin-1"),
                "timeout": httpx.Timeout(self._patience).as_dict(),
            },
        )

    @property
    def _patience(self) -> float:
        return TIMEOUT_SECONDS if self._unanswered < PATIENT else IMPATIENT_SECONDS


def read_of(request: Request, answer: httpx.Response, began: float) -> bytes:
    """The body of an answer to what was sent at `began` (monotonic).

    Raises:
        NoAnswer: it is too long, or takes too long.
        httpx.HTTPError: it broke off.
    """
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise NoAnswer(request, f"more than {LARGEST_BODY} bytes came")
        if time.monotonic() - began > LONGEST_SECONDS:
            raise NoAnswer(request, f"it did not end within {LONGEST_SECONDS} s")
    return bytes(body)
