"""Which operations a run may call, by their `x-contract`, and how much of everything it does."""

from collections.abc import Callable
from dataclasses import dataclass

from contract.spec import Operation

__all__ = ["PROFILES", "Effort", "Profile", "chosen"]


@dataclass(frozen=True, slots=True)
class Profile:
    """`allows` says why an operation is not called, or None when it may be.

    `probes` says whether malformed and refused requests are sent to operations that could create
    or cost something if the server let them through.
    """

    name: str
    help: str
    allows: Callable[[Operation], str | None]
    probes: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """How many cases hypothesis makes of each generated check, and whether slow checks run."""

    examples: int
    slow: bool


QUICK, FULL = Effort(examples=3, slow=False), Effort(examples=25, slow=True)


def _reads_only(operation: Operation) -> str | None:
    traits = operation.traits
    if operation.method != "GET" or traits.costs or traits.destructive:
        return "the profile readonly calls GET operations alone that cost and end nothing"
    return None


def _free_tier(operation: Operation) -> str | None:
    if operation.traits.tier != "free":
        return f"the profile free calls no operation of the tier {operation.traits.tier}"
    return None


def _everything(_operation: Operation) -> str | None:
    return None


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("readonly", "GET operations that cost nothing and end nothing", _reads_only),
        Profile("free", "what the free tier has", _free_tier),
        Profile("paid", "every operation, with requests that should succeed", _everything),
        Profile("full", "everything, malformed requests too", _everything, probes=True),
    )
}


def chosen(name: str | None, *, real: bool) -> Profile:
    """The profile of that name; without one, the most that may be done unasked."""
    return PROFILES[name or ("readonly" if real else "full")]
