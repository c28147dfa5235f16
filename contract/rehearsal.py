"""A run that sends nothing, and tells what it would have sent (`--dry-run`).

Every check goes as far as its first request, which is refused and counted. So what is told is the
least that a run sends: what comes after a first answer cannot be known without one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.creation import Creations
from contract.evidence import Evidence
from contract.exchange import Exchange, Request
from contract.outcomes import Rehearsed
from contract.spec import Spec
from contract.target import REAL_OPT_IN, Target
from contract.usage import vcpu_minutes

__all__ = ["Rehearsal", "told"]

WOULD_SEND = "would send"
DRY = "dry run: this is the first request of the check"


class Rehearsal:
    """Writes down what would be sent, and refuses to send it; the last gate of the wire."""

    def __init__(self, evidence: Evidence, creations: Creations) -> None:
        self._evidence = evidence
        self._creations = creations

    def before(self, request: Request) -> None:
        """Raises Rehearsed."""
        kinds = self._creations.kinds(request.operation)
        self._evidence.event(
            WOULD_SEND,
            operation=request.operation.id if request.operation else "",
            method=request.method,
            spends=vcpu_minutes(request),
            creates=sorted(kind.remove.path.split("/")[1] for kind in kinds),
        )
        raise Rehearsed(DRY)

    def after(self, exchange: Exchange) -> None:
        """Nothing is answered where nothing is sent."""


def told(
    target: Target,
    spec: Spec,
    events: Mapping[str, Iterable[Mapping[str, Any]]],
    rate: float | None,
) -> Iterator[str]:
    """Lines about what would be sent to a target, by the events of each family."""
    sent = list[Sent]()
    kept_back = Counter[str]()
    for family, found in events.items():
        for event in found:
            if event["event"] == WOULD_SEND:
                sent.append(Sent(family, event["operation"], event["spends"], event["creates"]))
            elif event["event"] == "result" and event["message"] != DRY:
                kept_back[_reason(event)] += 1
    yield f"Nothing was sent. This is the least that would be, to {target.url}:"
    yield from _requests(spec, sent)
    yield from _sum(target, sent, rate)
    if kept_back:
        yield f"Not run: {sum(kept_back.values())} checks"
    for reason, count in kept_back.most_common():
        yield f"  {count:>5}  {reason}"


def _reason(event: Mapping[str, Any]) -> str:
    """Why a check is not run, without the operation that it is about."""
    reason: str = event["message"].removeprefix(event["operation"])
    return reason.lstrip(": ")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that would be: by which family, what it may use up, and what it creates."""

    family: str
    operation: str
    spends: float
    creates: Sequence[str]


def _requests(spec: Spec, sent: Sequence[Sent]) -> Iterator[str]:
    counted = Counter((it.family, it.operation) for it in sent)
    family = ""
    for (name, operation), count in counted.items():
        if name != family:
            family = name
            yield f"  {family}"
        found = spec.operations.get(operation)
        what = f"{found.method:<6} {found.path}" if found else "(no operation)"
        yield f"    {count:>5}  {what}"


def _sum(target: Target, sent: Sequence[Sent], rate: float | None) -> Iterator[str]:
    time = f", {len(sent) / rate:.0f} min at {rate:.3g} a minute" if rate else ""
    spends = sum(it.spends for it in sent) * target.vcpu_minute_price
    unit = " vCPU-minutes" if target.vcpu_minute_price == 1 else ""
    created = Counter(kind for it in sent for kind in it.creates)
    yield f"Requests: {len(sent)} or more{time}"
    yield f"Used up: {spends:g}{unit}, reckoned by what each could take at most"
    yield "Created: " + (", ".join(f"{n} of {kind}" for kind, n in created.items()) or "nothing")
    if target.real:
        yield "To send it: name the target (--target) and set " + f"{REAL_OPT_IN}=yes"
