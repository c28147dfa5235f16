"""Which operations a run may call, by their `x-contract`, and how much of everything it does."""

from collections.abc import Callable
from dataclasses import dataclass

from contract.spec import Operation

__all__ = ["FREE", "PROFILES", "Effort", "Limits", "Profile", "chosen", "effort"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How many cases hypothesis makes of each generated check, and whether slow checks run.

    `broad` says whether a program is run in every language, or in those alone that are cheap.
    """

    examples: int
    slow: bool
    broad: bool


ONCE, QUICK = Effort(1, slow=False, broad=False), Effort(3, slow=False, broad=False)
PAID, FULL = Effort(3, slow=False, broad=True), Effort(25, slow=True, broad=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit. `spend` is in vCPU-minutes (or money, see `contract.usage`), `creates` is
    for each operation that creates something.
    """

    requests: int | None = None
    spend: float | None = None
    creates: int | None = None

    def or_else(self, other: "Limits") -> "Limits":
        """These limits, and others where there is none."""
        return Limits(
            *(
                getattr(other if getattr(self, name) is None else self, name)
                for name in Limits.__slots__
            )
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """`allows` says why an operation is not called, or None when it may be.

    `probes` says whether malformed and refused requests are sent to operations that could create
    or cost something if the server let them through. `per_minute` and `limits` hold for a real
    service, unless the command line says otherwise: requests a minute of an account whose rate is
    not known, and what a run may send, use up and create in all.
    """

    name: str
    help: str
    allows: Callable[[Operation], str | None]
    per_minute: float
    limits: Limits
    effort: Effort = FULL
    probes: bool = False


def effort(profile: Profile, *, quick: bool) -> Effort:
    """The smaller of what a profile and a quick run do."""
    own = profile.effort
    return min(own, QUICK, key=lambda it: (it.examples, it.broad)) if quick else own


def _reads_only(operation: Operation) -> str | None:
    # The GET operation that uses the network is a shell, in something that is not the run's own.
    traits = operation.traits
    if operation.method != "GET" or traits.costs or traits.destructive or traits.network:
        return "the profile readonly calls GET operations alone that cost, end and open nothing"
    return None


def _free_tier(operation: Operation) -> str | None:
    if operation.traits.tier != FREE:
        return f"the profile free calls no operation of the tier {operation.traits.tier}"
    return None


def _everything(_operation: Operation) -> str | None:
    return None


FREE = "free"
"""The tier that every account has."""

FREE_PER_MINUTE, TIER_PER_MINUTE = 60 / 42, 7.0
"""The service's plans: a request every 42 s on the free one, 7 a minute for each tier above."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "readonly",
            "GET operations that cost, end and open nothing",
            _reads_only,
            FREE_PER_MINUTE,
            Limits(requests=100, spend=0, creates=0),
        ),
        Profile(
            "free",
            "what the free tier has, one thing of a kind",
            _free_tier,
            FREE_PER_MINUTE,
            Limits(requests=100, spend=60, creates=1),
            ONCE,
        ),
        Profile(
            "paid",
            "every operation, with requests that should succeed",
            _everything,
            TIER_PER_MINUTE,
            Limits(requests=1_000, spend=1_200),
            PAID,
        ),
        Profile(
            "full",
            "everything, malformed requests too",
            _everything,
            TIER_PER_MINUTE,
            Limits(requests=5_000, spend=6_000),
            probes=True,
        ),
    )
}


def chosen(name: str | None, *, real: bool) -> Profile:
    """The profile of that name; without one, the most that may be done unasked."""
    return PROFILES[name or ("readonly" if real else "full")]
