"""The options of a run: one table for the command line and for pytest."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.profiles import PROFILES

__all__ = ["OPTIONS", "Option", "add_to"]


@dataclass(frozen=True, slots=True)
class Option:
    """`name` with hyphens: `--NAME` of `unsandbox-contract`, `--contract-NAME` of pytest."""

    name: str
    help: str
    keywords: Mapping[str, Any]


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
    Option("quick", "fewer cases, and no slow checks", {"action": "store_true"}),
    Option(
        "strict",
        "the server accepts no body but the one that was signed (emulator: up --strict)",
        {"action": "store_true"},
    ),
)


def add_to(parser: argparse.ArgumentParser, names: Collection[str] = ()) -> None:
    """Give a command the options of a run, or some of them by name."""
    for option in OPTIONS:
        if not names or option.name in names:
            parser.add_argument(f"--{option.name}", help=option.help, **option.keywords)
