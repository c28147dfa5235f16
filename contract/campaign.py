"""A run, opened: one target with everything that a check needs to speak to it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from contract.api import Api
from contract.evidence import Evidence
from contract.profiles import Effort, Profile, chosen, effort
from contract.redact import Redactor
from contract.reins import Reins, held
from contract.spec import SPEC, Spec, loaded
from contract.target import Target
from contract.wire import Gate, Wire

__all__ = ["Campaign", "opened", "redactor"]


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
    reins: Reins | None = None,
) -> Iterator[Campaign]:
    """A run against `target`; its evidence is whole when the block ends.

    What was created and is still there is removed at the end.

    Raises:
        SpecError: the contract cannot be read.
        TargetError: there is no place for the ledger.
    """
    allowed = chosen(profile, real=target.real)
    if target.real:
        # Whatever was asked for: what a real service does with a malformed request may cost.
        allowed = replace(allowed, probes=False)
    contract = loaded(spec or SPEC)
    log = Evidence(evidence, redactor(target))
    with (
        closing(log),
        held(target, allowed, contract, reins or Reins(), log) as holding,
        closing(Wire(target, contract, log, [*holding, *gates])) as wire,
    ):
        works = effort(allowed, quick=quick)
        yield Campaign(target, allowed, works, strict, contract, log, wire)
