"""`unsandbox-contract record`: what a real service answers, kept for `run` to compare with."""

import argparse
import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contract import options
from contract.campaign import Campaign, opened
from contract.consent import admitted
from contract.golden import FOLDER, Recording, RecordingError, write
from contract.normal import Normal
from contract.printable import printable
from contract.reins import Reins
from contract.sequence import Step, Walk, steps
from contract.spec import SpecError
from contract.target import TargetError

__all__ = ["HELP", "arguments", "main", "recorded"]

HELP = "record what a real service answers, for the family golden"
RECORDED, REFUSED, COULD_NOT_RUN = 0, 1, 2


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Takes the walk of `diff` through a real service and keeps its answers, without ids, "
        "times, hosts and keys, as the files <operation>.<case>.json. All recordings of the "
        "folder are replaced. Exit status: 0 recorded; 1 an answer holds what looks like a "
        "secret, and nothing was written; 2 could not run."
    )
    options.add_to(parser, ("target", "targets", "spec", "profile", *options.REINS))
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=FOLDER,
        help=f"where they go; left out: those of the suite, {FOLDER}".replace("%", "%%"),
    )


def main(args: argparse.Namespace) -> int:
    """Walk and write; an exit status."""
    try:
        target = admitted(args.target, None, args.targets)
        if not target.real:
            raise TargetError(f"{target.name} is not real: recordings are of real services alone")
        reins = Reins(args.tier, args.rate, options.limits(args))
        with opened(target, profile=args.profile, spec=args.spec, reins=reins) as campaign:
            made = list(recorded(campaign, steps()))
        if not made:
            raise TargetError(f"{target.url} answered nothing that the profile lets be asked")
        write(args.out, made)
    except (TargetError, SpecError) as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except RecordingError as error:
        print(f"unsandbox-contract: {error}", file=sys.stderr)
        return REFUSED
    print(f"{len(made)} recordings of {target.url} in {args.out}")
    return RECORDED


def recorded(campaign: Campaign, path: Sequence[Step]) -> Iterator[Recording]:
    """The answers of a walk, as they come."""
    unique = f"contract-{secrets.token_hex(4)}"
    walk, normal = Walk(campaign.api, unique), Normal(unique, campaign.target.accounts)
    for place, step in enumerate(path):
        taken = walk.take(step)
        if taken.response is None:
            print(printable(f"{step.name} was not recorded: {taken.why}"))
            continue
        operation = campaign.spec.operations[step.operation]
        answer = normal.answer(operation, taken.response, head=step.head)
        today = datetime.now(UTC).date()
        yield Recording(step, place, today, campaign.spec.digest, answer)
