"""How requests are signed: HMAC-SHA256 over `<time>:<METHOD>:<path>:<body>`."""

import hashlib
import hmac
import os
from dataclasses import dataclass, field

WINDOW_SECONDS = 300
"""How far the time of a request may be from the server's clock."""

AUTHORIZATION, TIME, SIGNATURE = "Authorization", "X-Timestamp", "X-Signature"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair; its secret is in no representation."""

    public_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def from_environment(cls, prefix: str = "UNSANDBOX") -> "Credentials | None":
        """The pair in PREFIX_PUBLIC_KEY and PREFIX_SECRET_KEY, or None when one is missing."""
        public, secret = (os.environ.get(f"{prefix}_{name}_KEY") for name in ("PUBLIC", "SECRET"))
        return cls(public, secret) if public and secret else None


def message(at: str, method: str, target: str, body: bytes) -> bytes:
    """What is signed; `target` is the path as sent, with or without its query."""
    return f"{at}:{method}:{target}:".encode() + body


def signature(secret_key: str, at: str, method: str, target: str, body: bytes) -> str:
    """Lower-case hex, 64 characters."""
    signed = message(at, method, target, body)
    return hmac.new(secret_key.encode(), signed, hashlib.sha256).hexdigest()


def signed_headers(
    credentials: Credentials, method: str, target: str, body: bytes, at: float
) -> dict[str, str]:
    """The three headers that authenticate a request sent at `at` (seconds since 1970)."""
    moment = str(int(at))
    return {
        AUTHORIZATION: f"Bearer {credentials.public_key}",
        TIME: moment,
        SIGNATURE: signature(credentials.secret_key, moment, method, target, body),
    }
