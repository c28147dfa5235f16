"""The options of a run: one table for the command line and for pytest."""

import argparse
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.profiles import FREE, PROFILES, Limits

__all__ = ["OPTIONS", "REINS", "Option", "add_to", "at_least_one", "limits", "whole"]


@dataclass(frozen=True, slots=True)
class Option:
    """`name` with hyphens: `--NAME` of `unsandbox-contract`, `--contract-NAME` of pytest."""

    name: str
    help: str
    keywords: Mapping[str, Any]


def whole(text: str) -> int:
    """A count: 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def at_least_one(text: str) -> int:
    """A count: 1 or more."""
    number = whole(text)
    if not number:
        raise argparse.ArgumentTypeError("it has to be 1 or more")
    return number


def not_negative(text: str) -> float:
    """An amount: 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 0 or more")
    return number


def positive(text: str) -> float:
    """An amount of more than nothing."""
    number = not_negative(text)
    if not number:
        raise argparse.ArgumentTypeError("it has to be more than 0")
    return number


def _defaults(of: Callable[[Limits], float | None]) -> str:
    """What the profiles say, for a help text."""
    known = ((profile.name, of(profile.limits)) for profile in PROFILES.values())
    return ", ".join(f"{limit:g} ({name})" for name, limit in known if limit is not None)


OPTIONS = (
    Option(
        "url",
        "the server, http://HOST:PORT; the emulator on this machine when left out",
        {"metavar": "URL"},
    ),
    Option("target", "a target by name: emulator, real, or one of --targets", {"metavar": "NAME"}),
    Option(
        "targets", "a TOML file of targets (docs/contract.md)", {"metavar": "FILE", "type": Path}
    ),
    Option(
        "spec",
        "another contract than the one that this suite was made for",
        {"metavar": "FILE", "type": Path},
    ),
    Option(
        "profile",
        "which operations may be called: "
        + "; ".join(f"{profile.name} ({profile.help})" for profile in PROFILES.values())
        + "; left out: readonly for a real service, full otherwise",
        {"choices": list(PROFILES)},
    ),
    Option(
        "operations",
        "checks of these operations alone, by operationId, with commas between; those that belong "
        "to no operation are run too",
        {"metavar": "IDS"},
    ),
    Option(
        "golden",
        "recordings of a real service, for the family golden; those of the suite when left out",
        {"metavar": "DIR", "type": Path},
    ),
    Option(
        "languages",
        "programs in these languages alone, by name, with commas between, in the family languages; "
        "left out: all, and in a quick run and with the profile free those that are cheap",
        {"metavar": "NAMES"},
    ),
    Option(
        "patience",
        "how long a language may take that the server has to make ready when it is first used, "
        "such as by building an image; after that its checks are not run; left out: 600",
        {"metavar": "SECONDS", "type": at_least_one},
    ),
    Option(
        "tier",
        "the tier of the account; left out: what the server says of its key",
        {"choices": [FREE, "paid"]},
    ),
    Option(
        "rate",
        "requests a minute, in all; left out: no limit, and for a real service what it says of "
        "the key, or else the least that its plans allow",
        {"metavar": "N", "type": positive},
    ),
    Option(
        "max-requests",
        "send no more than this; what is left is not run, and the exit status is 3; left out: no "
        "limit, and for a real service " + _defaults(lambda limits: limits.requests),
        {"metavar": "N", "type": whole},
    ),
    Option(
        "max-spend",
        "use up no more than this many vCPU-minutes (money, if the target's vcpu_minute_price is "
        "given), reckoned by what each request could take at most; left out: no limit, and for a "
        "real service " + _defaults(lambda limits: limits.spend),
        {"metavar": "N", "type": not_negative},
    ),
    Option(
        "max-creates",
        "create no more than this many things by each operation; left out: no limit, and for a "
        "real service " + _defaults(lambda limits: limits.creates),
        {"metavar": "N", "type": whole},
    ),
    Option(
        "dry-run",
        "send nothing; print what would be sent at least, and how long that would take",
        {"action": "store_true"},
    ),
    Option("quick", "fewer cases, and no slow checks", {"action": "store_true"}),
    Option(
        "strict",
        "the server accepts no body but the one that was signed (emulator: up --strict)",
        {"action": "store_true"},
    ),
)


REINS = ("tier", "rate", "max-requests", "max-spend", "max-creates")
"""What holds back a command that is no whole run; see contract.reins."""


def limits(args: argparse.Namespace) -> Limits:
    """The budget of a command line."""
    return Limits(args.max_requests, args.max_spend, args.max_creates)


def add_to(parser: argparse.ArgumentParser, names: Collection[str] = ()) -> None:
    """Give a command the options of a run, or some of them by name."""
    for option in OPTIONS:
        if not names or option.name in names:
            parser.add_argument(f"--{option.name}", help=option.help, **option.keywords)
