"""A run, opened: one target with everything that a check needs to speak to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.api import Api
from contract.evidence import Evidence
from contract.exchange import Exchange, Request
from contract.outcomes import NotRun
from contract.profiles import FULL, QUICK, Effort, Profile, chosen
from contract.redact import Redactor
from contract.spec import SPEC, Spec, loaded
from contract.target import Target
from contract.wire import Gate, Wire

__all__ = ["Campaign", "ProfileGate", "opened", "redactor"]


@dataclass(frozen=True, slots=True)
class Campaign:
    """What the checks of one run share."""

    target: Target
    profile: Profile
    effort: Effort
    strict: bool
    spec: Spec
    evidence: Evidence
    wire: Wire

    @property
    def api(self) -> Api:
        """The server as the main account sees it."""
        return Api(self.wire)


class ProfileGate:
    """Refuses what a profile does not allow."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def before(self, request: Request) -> None:
        if request.operation is not None:
            reason = self._profile.allows(request.operation)
            if reason is not None:
                raise NotRun(reason)
        if request.probe and not self._profile.probes and _could_cost(request):
            raise NotRun(f"the profile {self._profile.name} sends no malformed requests here")

    def after(self, exchange: Exchange) -> None:
        """An answer changes nothing."""


def _could_cost(request: Request) -> bool:
    operation = request.operation
    if operation is None:
        return request.method not in ("GET", "HEAD")
    return operation.method != "GET" or operation.traits.costs or operation.traits.destructive


def redactor(target: Target) -> Redactor:
    """Keeps the secrets of a target's accounts out of what is written."""
    secrets = [credentials.secret_key for credentials in target.accounts.values()]
    return Redactor([*secrets, target.sudo_code or ""])


@contextmanager
def opened(
    target: Target,
    *,
    profile: str | None = None,
    quick: bool = False,
    strict: bool = False,
    spec: Path | None = None,
    evidence: Path | None = None,
    gates: Sequence[Gate] = (),
) -> Iterator[Campaign]:
    """A run against `target`; its evidence is whole when the block ends.

    Raises:
        SpecError: the contract cannot be read.
    """
    allowed = chosen(profile, real=target.real)
    log = Evidence(evidence, redactor(target))
    contract = loaded(spec or SPEC)
    wire = Wire(target, contract, log, [ProfileGate(allowed), *gates])
    try:
        yield Campaign(target, allowed, QUICK if quick else FULL, strict, contract, log, wire)
    finally:
        wire.close()
        log.close()
