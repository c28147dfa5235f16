"""What holds a run back: its profile, its budget, its pace, and a ledger of what it creates."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from contract.budget import Budget
from contract.creation import Creations
from contract.evidence import Evidence
from contract.exchange import Exchange, Request
from contract.ledger import Bookkeeping, new_ledger
from contract.outcomes import Limited
from contract.pacing import Pacing
from contract.profiles import FREE, Limits, Profile
from contract.redact import Redactor
from contract.rehearsal import Rehearsal
from contract.removal import remove_all
from contract.spec import Spec
from contract.state import Meter, directory, prefix
from contract.target import Target
from contract.wire import Gate, Wire

__all__ = ["ProfileGate", "Reins", "bare_wire", "held"]


@dataclass(frozen=True, slots=True)
class Reins:
    """What the command line says; None is no limit, or for a real service what its profile says.

    `tier` is that of the account, `rate` is in requests a minute, `meter` is a file that the
    processes of one run count in, and `rehearsed` says that nothing is sent.
    """

    tier: str | None = None
    rate: float | None = None
    limits: Limits = field(default_factory=Limits)
    meter: Path | None = None
    rehearsed: bool = False


class ProfileGate:
    """Refuses what a profile, or the tier of the account, does not allow."""

    def __init__(self, profile: Profile, tier: str | None = None) -> None:
        self._profile = profile
        self._tier = tier

    def before(self, request: Request) -> None:
        """Raises Limited."""
        operation = request.operation
        if operation is not None:
            reason = self._profile.allows(operation)
            if reason is not None:
                raise Limited(reason)
            if self._tier == FREE and operation.traits.tier != FREE:
                raise Limited(f"the account is on the free tier; this is {operation.traits.tier}")
        if request.probe and not self._profile.probes and _could_cost(request):
            raise Limited(f"the profile {self._profile.name} sends no malformed requests here")

    def after(self, exchange: Exchange) -> None:
        """An answer changes nothing."""


def _could_cost(request: Request) -> bool:
    operation = request.operation
    if operation is None:
        return request.method not in ("GET", "HEAD")
    return operation.method != "GET" or operation.traits.costs or operation.traits.destructive


@contextmanager
def held(
    target: Target, profile: Profile, spec: Spec, reins: Reins, evidence: Evidence
) -> Iterator[Sequence[Gate]]:
    """The gates of a run's wire; at the end, what was created and is still there is removed."""
    creations = Creations(spec)
    with ExitStack() as stack:
        gates: list[Gate] = [ProfileGate(profile, reins.tier)]
        limits = reins.limits.or_else(profile.limits) if target.real else reins.limits
        if limits != Limits():
            meter = reins.meter or Path(stack.enter_context(TemporaryDirectory())) / "meter.json"
            gates.append(Budget(Meter(meter), limits, creations.creates, target.vcpu_minute_price))
        if reins.rehearsed:
            yield [*gates, Rehearsal(evidence, creations)]
            return
        rate = reins.rate or (profile.per_minute if target.real else None)
        ledger = stack.enter_context(new_ledger(target))
        gates.append(Bookkeeping(ledger, target, creations))
        try:
            yield [*gates, *_pacing(target, rate)]
        finally:
            if ledger.book.made:
                with bare_wire(target, spec, rate) as wire:
                    remove_all(ledger, wire)


@contextmanager
def bare_wire(target: Target, spec: Spec, rate: float | None) -> Iterator[Wire]:
    """A wire without evidence or profile, for what is not a check; it keeps the pace as all do."""
    evidence = Evidence(None, Redactor())
    with closing(Wire(target, spec, evidence, _pacing(target, rate))) as wire:
        yield wire


def _pacing(target: Target, rate: float | None) -> list[Gate]:
    if rate is None:
        return []
    return [Pacing(Meter(directory() / f"{prefix(target)}pace.json"), rate)]
