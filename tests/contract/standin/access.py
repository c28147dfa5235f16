"""Whose request it is: the signatures of the test keys that every emulator has."""

import time
from collections.abc import Mapping

from contract.signing import WINDOW_SECONDS, signature
from contract.target import EMULATOR
from tests.contract.standin.world import Refused

SECRETS = {it.public_key: it.secret_key for it in EMULATOR.accounts.values()}
ROLES = {it.public_key: role for role, it in EMULATOR.accounts.items()}


def verified(headers: Mapping[str, str], method: str, target: tuple[str, str], body: bytes) -> str:
    """The public key that signed; raises Refused with 401, and 403 for a suspended one."""
    key = headers.get("authorization", "").removeprefix("Bearer ")
    at, given = headers.get("x-timestamp", ""), headers.get("x-signature", "")
    if not key or not at or not given:
        raise Refused(401, "INVALID_SIGNATURE", "Send the three headers")
    if key not in SECRETS:
        raise Refused(401, "INVALID_KEY", "The provided public key does not exist")
    if not at.isdecimal() or abs(int(at) - time.time()) > WINDOW_SECONDS:
        raise Refused(401, "INVALID_TIMESTAMP", "timestamp expired or invalid")
    path, query = target
    forms = {path, f"{path}?{query}" if query else path}
    if not any(signature(SECRETS[key], at, method, form, body) == given for form in forms):
        raise Refused(401, "INVALID_SIGNATURE", "The signature does not match the request")
    if ROLES[key] == "expired":
        raise Refused(401, "KEY_EXPIRED", "The key ended", reason="expired", expired=True)
    if ROLES[key] == "suspended":
        raise Refused(403, "ACCOUNT_SUSPENDED", "The key is suspended", reason="suspended")
    return key
