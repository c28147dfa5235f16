"""HMAC-SHA256 request signatures: who sent this, and is the key allowed to?

The signed message is `timestamp:METHOD:path:body`. Real clients sign the path with or without its
query string; both are valid in every mode.
"""

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.datastructures import Headers

from emulator import compat
from emulator.accounts import Account, Status
from emulator.clock import Clock
from emulator.errors import (
    AccountSuspended,
    ApiError,
    InvalidKey,
    InvalidSignature,
    InvalidTimestamp,
    KeyExpired,
)
from emulator.store.accounts import AccountStore

DRIFT_SECONDS = 300
"""How far a request's time may be from the server's, either way."""

_NO_SECRET = "unsb-sk-00000-00000-00000-00000"  # noqa: S105 - unknown keys take as long as known ones
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_HEADERS = ("authorization", "x-timestamp", "x-signature")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that a signature covers, as they came over the wire."""

    method: str
    path: bytes
    query: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose request it is, and what had to be overlooked to say so (None: nothing)."""

    account: Account
    note: str | None = None


def is_signed(headers: Headers) -> bool:
    """Whether a request bears a signature, or any part of one."""
    return any(name in headers for name in _HEADERS)


def sign(secret_key: str, at: int | str, method: str, path: str, body: bytes = b"") -> str:
    """The lower-case hex signature of a request; `path` as it is sent."""
    return _digest(secret_key, f"{at}:{method}:{path}:".encode() + body)


def _digest(secret_key: str, message: bytes) -> str:
    return hmac.digest(secret_key.encode(), message, "sha256").hex()


class Authenticator:
    """Verifies signatures; `strict` accepts only what the documentation describes."""

    def __init__(self, accounts: AccountStore, clock: Clock, *, strict: bool) -> None:
        self._accounts = accounts
        self._clock = clock
        self._strict = strict

    def verify(self, headers: Headers, request: SignedRequest) -> Verified:
        """The sender of `request`.

        Raises:
            Unauthorized: no key, an unknown or expired one, a wrong signature, clock drift.
            AccountSuspended: the key is known and suspended.
        """
        public_key, at, signature = _credentials(headers)
        account = self._accounts.get(public_key)
        note = self._match(account.secret_key if account else _NO_SECRET, at, signature, request)
        if account is None:
            raise InvalidKey("The provided public key does not exist", **_invalid("invalid_key"))
        self._check_drift(at)
        if note is None:
            raise InvalidSignature(
                "The signature must be the lower-case hex HMAC-SHA256, under the secret key, of "
                "time:METHOD:path:body with the very bytes that are sent"
            )
        self._check_state(account)
        return Verified(account, note or None)

    def _check_drift(self, at: str) -> None:
        if _UNIX_SECONDS.fullmatch(at):
            drift = int(at) - int(self._clock.time())
            if abs(drift) <= DRIFT_SECONDS:
                return
            side = "ahead of" if drift > 0 else "behind"
            raise InvalidTimestamp(f"X-Timestamp is {abs(drift)} seconds {side} the server's clock")
        raise InvalidTimestamp("X-Timestamp must be Unix time in whole seconds")

    def _match(
        self, secret_key: str, at: str, signature: str, request: SignedRequest
    ) -> str | None:
        """What was overlooked ("" for nothing), or None where no accepted form matches."""
        given = signature.encode()
        for note, path, body in self._forms(request):
            message = b":".join((at.encode(), request.method.encode(), path, body))
            if hmac.compare_digest(_digest(secret_key, message).encode(), given):
                return note
        return None

    def _forms(self, request: SignedRequest) -> Iterator[tuple[str, bytes, bytes]]:
        paths = [request.path]
        if request.query:
            paths.insert(0, request.path + b"?" + request.query)
        for path in paths:
            yield "", path, request.body
        if not self._strict:
            for note, body in compat.signed_bodies(request.method, request.body):
                for path in paths:
                    yield f"compat: {note}", path, body

    def _check_state(self, account: Account) -> None:
        if account.status is Status.SUSPENDED:
            raise AccountSuspended(
                "This key is suspended; use another one", **_invalid("suspended")
            )
        if account.expires_at is not None and account.expires_at <= self._clock.time():
            raise self._expired(account, account.expires_at)

    def _expired(self, account: Account, at: float) -> ApiError:
        days = int((self._clock.time() - at) // 86_400)
        return KeyExpired(
            "This key has expired; use another one",
            **_invalid("expired"),
            expired=True,
            expired_at_datetime=self._clock.isoformat(at),
            expired_ago=f"{days} days ago",
            public_key=account.public_key,
            tier=account.tier,
        )


def _invalid(reason: str) -> dict[str, object]:
    """What `/keys/validate` clients read beside the envelope."""
    return {"valid": False, "reason": reason}


def _credentials(headers: Headers) -> tuple[str, str, str]:
    values = [headers.getlist(name) for name in _HEADERS]
    if any(len(value) != 1 for value in values):
        raise InvalidSignature(
            "Every request needs, once each: Authorization: Bearer <public key>, the Unix time in "
            "seconds that it was signed at, and X-Signature"
        )
    (authorization,), (at,), (signature,) = values
    scheme, _, public_key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not public_key:
        raise InvalidSignature("Authorization must be: Bearer <public key>")
    return public_key.strip(), at, signature
