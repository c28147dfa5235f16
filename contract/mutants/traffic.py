"""What passes through a faulty server: calls and answers that a fault may edit."""

import hmac
import json as jsonlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from contract.exchange import header
from contract.signing import (
    AUTHORIZATION,
    SIGNATURE,
    TIME,
    WINDOW_SECONDS,
    Credentials,
    signature,
    signed_headers,
)
from contract.spec import Operation

__all__ = ["Answer", "Build", "Call", "Frames", "Mutator", "Proceed", "Socket", "compact"]

JSON = "application/json"
_COUNTED = ("content-length", "transfer-encoding")

Pairs = list[tuple[str, str]]


def _document(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return jsonlib.loads(body)
    except ValueError:
        return None


def compact(document: object) -> bytes:
    """JSON as the contract wants it."""
    return jsonlib.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def replaced(headers: Pairs, **values: str | None) -> Pairs:
    """Headers with some set, or removed (None); `_` in a name stands for `-`."""
    names = {name.replace("_", "-").lower(): value for name, value in values.items()}
    kept = [(name, value) for name, value in headers if name.lower() not in names]
    return kept + [(name, value) for name, value in names.items() if value is not None]


@dataclass(slots=True)
class Call:
    """A request on its way inwards, the bytes as they came.

    `accounts` are the key pairs by role that it can be signed with again; `now` is when it came.
    """

    method: str
    target: str
    headers: Pairs
    body: bytes
    operation: Operation | None
    accounts: Mapping[str, Credentials]
    now: float
    sudo_code: str | None = None

    @property
    def credentials(self) -> Credentials | None:
        """The pair of the key that the request names, when it is a known one."""
        scheme, _, named = (self.header(AUTHORIZATION) or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return next((it for it in self.accounts.values() if it.public_key == named.strip()), None)

    @property
    def role(self) -> str | None:
        """Whose key the request names."""
        named = self.credentials
        return next((role for role, it in self.accounts.items() if it is named), None)

    @property
    def segments(self) -> list[str]:
        """The parts of its path: `/jobs/x` is `["jobs", "x"]`."""
        return self.path.strip("/").split("/")

    @property
    def at(self) -> float:
        """The time that it says it was signed at; far in the past when it says none."""
        try:
            return float(self.header(TIME) or "")
        except ValueError:
            return 0.0

    @property
    def timely(self) -> bool:
        return abs(self.at - self.now) <= WINDOW_SECONDS

    @property
    def path(self) -> str:
        return self.target.split("?", maxsplit=1)[0]

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON
        """The body as JSON, or None when it is none."""
        return _document(self.body)

    def header(self, name: str) -> str | None:
        return header(self.headers, name)

    def signs(
        self, method: str | None = None, target: str | None = None, body: bytes | None = None
    ) -> bool:
        """Whether the signature that came fits this request, or one that differs so."""
        credentials = self.credentials
        if credentials is None:
            return False
        right = signature(
            credentials.secret_key,
            self.header(TIME) or "",
            self.method if method is None else method,
            self.target if target is None else target,
            self.body if body is None else body,
        )
        return hmac.compare_digest(right, self.header(SIGNATURE) or "")

    @property
    def authentic(self) -> bool:
        """Whether it is signed as the contract says, with or without the query."""
        return self.signs() or self.signs(target=self.path)

    def edited(self, **changes: Any) -> "Call":  # noqa: ANN401 - fields
        """Another request, signed by the same account when this one was signed rightly."""
        credentials = self.credentials
        if credentials is None or not self.authentic or self.header(TIME) != str(int(self.at)):
            return replace(self, **changes)  # signed again, it could be let in: not this fault
        return replace(self, **changes).signed_by(credentials, self.at)

    def signed_by(self, credentials: Credentials, at: float | None = None) -> "Call":
        """The same request, signed by an account, now or at another time."""
        when = self.now if at is None else at
        signed = signed_headers(credentials, self.method, self.target, self.body, when)
        names = {name.lower() for name in signed}
        kept = [(name, value) for name, value in self.headers if name.lower() not in names]
        return replace(self, headers=[*kept, *signed.items()])


class Socket(Protocol):
    """A WebSocket to the inner server, open."""

    @property
    def subprotocol(self) -> str | None: ...

    @property
    def close_code(self) -> int | None: ...

    @property
    def close_reason(self) -> str | None: ...

    async def recv(self) -> str | bytes: ...

    async def send(self, message: str | bytes) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


Frames = Callable[[str, str | bytes], list[str | bytes]]
"""What becomes of a WebSocket message; its first argument is `in` (to the server) or `out`."""


@dataclass(slots=True)
class Answer:
    """What goes back: a body, or a stream of chunks, or (101) an open WebSocket."""

    status: int
    headers: Pairs
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None
    socket: Socket | None = None
    frames: list[Frames] = field(default_factory=list)
    close_code: int | None = None
    broken: bool = False

    @classmethod
    def error(cls, status: int, error: str, code: str, details: str = "See the docs.") -> "Answer":
        """An error in the API's envelope."""
        envelope = {"error": error, "code": code, "details": details}
        return cls(status, [("Content-Type", JSON), ("X-Request-Id", "req-0")], compact(envelope))

    @classmethod
    def of(cls, document: object, status: int = 200) -> "Answer":
        return cls(status, [("Content-Type", JSON), ("X-Request-Id", "req-0")], compact(document))

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON
        """The body as JSON, or None when it is none."""
        return _document(self.body)

    @document.setter
    def document(self, value: object) -> None:
        self.body = compact(value)

    def sent_headers(self) -> Pairs:
        """Its headers without those that depend on how the body is sent."""
        kept = [(name, value) for name, value in self.headers if name.lower() not in _COUNTED]
        if self.chunks is not None or self.status in (101, 204, 304):
            return kept
        return [*kept, ("content-length", str(len(self.body)))]


Proceed = Callable[[Call], Awaitable[Answer]]
Mutator = Callable[[Call, Proceed], Awaitable[Answer]]
"""A fault: what becomes of a call; it proceeds with the same call, another one, or not at all."""

Build = Callable[[], Mutator]
"""Makes a fault anew, with nothing remembered."""
