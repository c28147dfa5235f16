"""`unsandbox-contract cleanup`: removes what runs left behind when they crashed."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from contract import options
from contract.consent import admitted
from contract.ledger import Ledger, left_behind, opened
from contract.profiles import FREE_PER_MINUTE
from contract.reins import bare_wire
from contract.removal import settle
from contract.spec import SPEC, Spec, SpecError
from contract.target import Target, TargetError

HELP = "remove what runs created and did not remove, after a crash for instance"


def arguments(parser: argparse.ArgumentParser) -> None:
    options.add_to(parser, ("url", "target", "targets", "spec", "rate"))
    parser.add_argument(
        "--ledger",
        metavar="FILE",
        type=Path,
        help="this ledger alone; left out: all that runs left behind at the target",
    )


def main(args: argparse.Namespace) -> int:
    """0 when nothing is left, 1 when something could not be removed, 2 when it could not run."""
    try:
        target = admitted(args.target, args.url, args.targets)
        spec = Spec(args.spec or SPEC)
        rate = args.rate or (FREE_PER_MINUTE if target.real else None)
        with bare_wire(target, spec, rate) as wire:
            left = settle(_ledgers(target, args.ledger), wire)
    except (TargetError, SpecError) as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return 2
    return 1 if left else 0


def _ledgers(target: Target, file: Path | None) -> Iterator[Ledger]:
    if file is None:
        yield from left_behind(target)
        return
    with opened(file) as ledger:
        if ledger is None:
            raise TargetError(f"{file} is not there, or belongs to a run that goes on")
        if ledger.book.url != target.url:
            raise TargetError(f"{file} is of {ledger.book.url}, not of {target.url}")
        yield ledger
