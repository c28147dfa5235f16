"""Whose connection it is, and what is written down of it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """What a sandbox makes connections for: `kind` says what `id` is the id of."""

    id: str
    account: str
    kind: str = "job_id"


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection or request that left a sandbox, when it has ended.

    `way` is the name of the way out. `destination` is host and port as the program named them,
    `address` what the name led to where it was reached. `status` is HTTP's, of the proxy's answer;
    `sent` and `received` are bytes as the sandbox sees them.
    """

    origin: Origin
    sandbox: str
    way: str
    destination: str
    outcome: str
    sent: int
    received: int
    milliseconds: int
    address: str | None = None
    status: int | None = None


Record = Callable[[Connection], None]
