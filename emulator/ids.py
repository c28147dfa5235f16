"""Identifiers: 128 random bits, never reused, in the forms that clients match."""

import secrets
import uuid

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def _groups(count: int, length: int) -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(length)) for _ in range(count))


def job_id() -> str:
    """A UUID, as the documentation page shows job ids."""
    return str(uuid.uuid4())


def session_id() -> str:
    """`sess_` and 32 hexadecimal digits; whoever knows it may open the session's shell."""
    return f"sess_{secrets.token_hex(16)}"


def service_id() -> str:
    """`unsb-service-` and 32 hexadecimal digits; whoever knows it may open the service's shell."""
    return f"unsb-service-{secrets.token_hex(16)}"


def request_id() -> str:
    """The id on every answer (`X-Request-Id`), in the journal and in the log."""
    return f"req_{secrets.token_hex(16)}"


def fault_id() -> str:
    """The id of a fault rule."""
    return f"fault_{secrets.token_hex(16)}"


def challenge_id() -> str:
    """The id of what a one-time code answers."""
    return f"chal_{secrets.token_hex(16)}"


def public_key() -> str:
    """`unsb-pk-xxxx-xxxx-xxxx-xxxx`."""
    return f"unsb-pk-{_groups(4, 4)}"


def secret_key() -> str:
    """`unsb-sk-xxxxx-xxxxx-xxxxx-xxxxx`: 103 random bits."""
    return f"unsb-sk-{_groups(4, 5)}"


def instance_id() -> str:
    """What an emulator labels its containers with, to find them again after a crash."""
    return secrets.token_hex(8)
