"""What a command makes sure of before it says anything about a server.

A server that nothing answers at, and a key that it does not take, say nothing of the contract: the
command could not run. A server that answers, but wrongly, is one for the checks to judge, so
nothing that is found here ends a run unless `GET /health` is answered as the contract says.
"""

import argparse
import math
from dataclasses import dataclass

import httpx

from contract.campaign import Campaign
from contract.consent import admitted
from contract.exchange import Response
from contract.outcomes import ContractBroken, Limited, Unsupported
from contract.target import MAIN, Target
from contract.wire import NoAnswer

__all__ = [
    "BROKEN",
    "COULD_NOT_RUN",
    "KEPT",
    "UNFINISHED",
    "CouldNotRun",
    "Key",
    "introduced",
    "preflight",
    "reachable",
]

KEPT, BROKEN, COULD_NOT_RUN, UNFINISHED = 0, 1, 2, 3
"""Exit statuses. UNFINISHED: the contract is kept as far as was run, but the budget ended first."""

_SECONDS = 10
_REFUSED = {401: "refuses", 403: "blocks"}


class CouldNotRun(Exception):
    """The command says nothing about the server; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a server says of the main account; None where it says nothing that can be used."""

    tier: str | None = None
    per_minute: float | None = None


def reachable(args: argparse.Namespace) -> Target:
    """The target of a command line, which answers.

    Raises:
        TargetError: there is no such target, or it may not be spoken to.
        CouldNotRun: nothing answers there.
    """
    target = admitted(args.target, args.url, args.targets)
    preflight(target)
    return target


def preflight(target: Target) -> None:
    """Raises CouldNotRun when nothing answers; what is answered is for the checks to judge."""
    try:
        with httpx.stream("GET", f"{target.url}/health", timeout=_SECONDS, trust_env=False):
            pass  # its body may have no end
    except httpx.HTTPError as error:
        raise CouldNotRun(f"nothing answers at {target.url}: {error}") from None


def introduced(campaign: Campaign) -> Key:
    """Ask whether the server is there and takes the main account's key; what it says of it.

    Raises:
        CouldNotRun: nothing answers, there is no key, or a healthy server does not take it.
    """
    target = campaign.target
    if MAIN not in target.accounts:
        raise CouldNotRun(
            f"there is no key for {target.url}: set UNSANDBOX_PUBLIC_KEY and UNSANDBOX_SECRET_KEY"
        )
    try:
        _healthy(campaign)
        answer = campaign.api.call("getKeySelf", expect={200, *_REFUSED})
    except (ContractBroken, Unsupported, Limited):
        return Key()
    if answer.status in _REFUSED:
        raise CouldNotRun(
            f"{target.url} {_REFUSED[answer.status]} the key "
            f"{target.accounts[MAIN].public_key}: {answer.text[:200]}"
        )
    return _key(answer)


def _healthy(campaign: Campaign) -> None:
    try:
        campaign.api.call("getHealth")
    except NoAnswer as error:
        if isinstance(error.__cause__, httpx.ConnectError | httpx.TimeoutException):
            told = f"nothing answers at {campaign.target.url}: {error.__cause__!r}"
            raise CouldNotRun(told) from None
        raise


def _key(answer: Response) -> Key:
    body = answer.json
    rate, tier = body.get("rate_per_minute"), body.get("tier")
    return Key(
        "free" if isinstance(tier, str) and tier.strip().lower() == "free" else None,
        float(rate) if isinstance(rate, int) and 0 < rate < math.inf else None,
    )
