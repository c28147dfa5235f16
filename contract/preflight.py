"""What a command makes sure of before it says anything about a server."""

import argparse

import httpx

from contract.consent import admitted
from contract.target import Target

__all__ = ["BROKEN", "COULD_NOT_RUN", "KEPT", "CouldNotRun", "preflight", "reachable"]

KEPT, BROKEN, COULD_NOT_RUN = 0, 1, 2
"""Exit statuses."""

_SECONDS = 10


class CouldNotRun(Exception):
    """The command says nothing about the server; the message says what to do."""


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
        httpx.get(f"{target.url}/health", timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise CouldNotRun(f"nothing answers at {target.url}: {error}") from None
