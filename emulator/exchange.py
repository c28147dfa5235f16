"""One request and what is learnt about it on its way; middleware and handlers share it."""

from dataclasses import dataclass, field

from starlette.types import Scope

from emulator.accounts import Account
from emulator.sandbox.engine_faults import EngineFault
from emulator.spec import Operation

_SCOPE_KEY = "unsandbox.exchange"
GONE = "unsandbox.gone"
"""The extension of WebSocket scopes whose `event` comes with the end of the connection;
`listeners.py` adds it."""


@dataclass(slots=True)
class Exchange:
    """Filled step by step: `operation` after routing, `account` after authentication.

    `fault` is what was asked for to go wrong; `engine_fault` and `truncate` are what is left to do
    of it.
    """

    request_id: str
    method: str
    path: str
    query: str
    operation: Operation | None = None
    account: Account | None = None
    body: object = None
    body_bytes: int = 0
    status: int = 0
    code: str | None = None
    job_id: str | None = None
    fault: dict[str, object] | None = None
    engine_fault: EngineFault | None = None
    truncate: bool = False
    notes: list[str] = field(default_factory=list)
    response_headers: dict[str, str] = field(default_factory=dict)

    def attach(self, scope: Scope) -> None:
        scope[_SCOPE_KEY] = self

    @staticmethod
    def of(scope: Scope) -> "Exchange":
        exchange = scope[_SCOPE_KEY]
        assert isinstance(exchange, Exchange)  # noqa: S101 - the first middleware put it there
        return exchange
