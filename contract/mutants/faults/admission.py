"""How servers let in whom they should refuse; parts for the tables."""

from collections.abc import Callable

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import admitting, using
from contract.mutants.traffic import Answer, Build, Call, Proceed
from contract.signing import SIGNATURE, TIME, signature
from contract.target import MAIN

__all__ = ["SIGNED", "admits", "right", "sent", "served_as_main", "timely", "unauthorized"]

SIGNED = ("listJobs", "execute", "validateKey")
"""With and without a body, with and without a query."""


def admits(name: str, fault: str, accepts: Callable[[Call], bool]) -> Mutant:
    """A mutant that lets in whom it should refuse, where `accepts` says so."""
    return Mutant(
        name, fault, Kind.AUTH, "authentication", build=admitting(accepts), seen_at=SIGNED
    )


def timely(accepts: Callable[[Call], bool]) -> Callable[[Call], bool]:
    """The same for calls of now alone: the time is not the fault."""
    return lambda call: call.timely and accepts(call)


def right(call: Call) -> str:
    """The signature that should have come."""
    pair = call.credentials
    at = call.header(TIME) or ""
    return signature(pair.secret_key, at, call.method, call.target, call.body) if pair else ""


def sent(call: Call) -> str:
    """The signature that came; empty when none did."""
    return call.header(SIGNATURE) or ""


def served_as_main(*roles: str) -> Build:
    """These accounts are served as if they were the first one, which has no restriction."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.role in roles and call.authentic and call.timely:
            return await proceed(call.signed_by(call.accounts[MAIN]))
        return await proceed(call)

    return using(mutator)


def unauthorized() -> Answer:
    """What a wrong signature is answered."""
    return Answer.error(401, "Invalid signature", "INVALID_SIGNATURE")
