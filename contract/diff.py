"""`unsandbox-contract diff A B`: the same walk on two servers, and where their answers differ."""

import argparse
import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contract import options
from contract.campaign import Campaign, opened, redactor
from contract.consent import admitted
from contract.differences import Difference, differences
from contract.normal import Normal
from contract.reins import Reins
from contract.sequence import Step, Taken, Walk, steps, together
from contract.spec import SpecError
from contract.target import Target, TargetError

__all__ = ["HELP", "Comparison", "arguments", "compared", "main"]

HELP = "take the same walk through two servers, and say where their answers differ"
EQUAL, DIFFERENT, COULD_NOT_RUN = 0, 1, 2
_SHOWN = 10
"""Differences of one step that are told."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Sends every operation to both servers, in one order, with ids of each server's own, and "
        "compares status, headers and body by path. Ids, times, durations, versions and hosts are "
        "replaced by typed references first. Operations that one of them lacks are left out. Exit "
        "status: 0 equal, 1 different, 2 could not run."
    )
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="a target by name, or a URL")
    options.add_to(parser, ("targets", "spec", "profile", *options.REINS))
    parser.add_argument("--only", metavar="TEXT", help="tell of steps whose names hold this")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write what was found there")


@dataclass(slots=True)
class Comparison:
    """What came of a walk: the steps compared, those that were not, with reasons, and the rest."""

    compared: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    found: dict[str, list[Difference]] = field(default_factory=dict)


def main(args: argparse.Namespace) -> int:
    """Walk, print, and return an exit status."""
    try:
        targets = [_target(name, args.targets) for name in (args.a, args.b)]
    except TargetError as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    real = any(target.real for target in targets)
    profile = args.profile or ("readonly" if real else None)
    reins = Reins(args.tier, args.rate, options.limits(args))
    with ExitStack() as stack:
        try:
            sides = [
                stack.enter_context(opened(target, profile=profile, spec=args.spec, reins=reins))
                for target in targets
            ]
        except (SpecError, TargetError) as error:
            print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
            return COULD_NOT_RUN
        comparison = compared(sides[0], sides[1], steps())
    _print(comparison, args.only or "")
    if args.json:
        args.json.write_text(json.dumps(_document(comparison), indent=1), encoding="utf-8")
    if not comparison.compared:
        print("unsandbox-contract: could not run: no step could be compared", file=sys.stderr)
        return COULD_NOT_RUN
    return DIFFERENT if comparison.found else EQUAL


def _target(name: str, file: Path | None) -> Target:
    if name.startswith(("http://", "https://")):
        return admitted(None, name, file)
    return admitted(name, None, file)


def compared(left: Campaign, right: Campaign, path: Sequence[Step]) -> Comparison:
    """Take every step of a path on both, and compare; names are unique to each side."""
    result, sides = Comparison(), (left, right)
    uniques = [f"contract-{secrets.token_hex(4)}" for _ in sides]
    normals = [
        Normal(unique, side.target.accounts) for unique, side in zip(uniques, sides, strict=True)
    ]
    walks = [Walk(side.api, unique) for unique, side in zip(uniques, sides, strict=True)]
    for one, other in together(walks, path):
        missing = one.why and f"{left.target.name}: {one.why}"
        missing = missing or (other.why and f"{right.target.name}: {other.why}")
        answers = [
            _answer(normal, side, taken)
            for normal, side, taken in zip(normals, sides, (one, other), strict=True)
        ]
        if missing:
            result.left_out[one.step.name] = missing
            continue
        result.compared += 1
        found = list(differences(*answers))
        if found:
            result.found[one.step.name] = found
    return result


def _answer(normal: Normal, side: Campaign, taken: Taken) -> Any:  # noqa: ANN401 - any JSON
    """Normalised even when the other side has none, so that references stay in step."""
    if taken.response is None:
        return None
    operation = side.spec.operations[taken.step.operation]
    answer = normal.answer(operation, taken.response, head=taken.step.head)
    return redactor(side.target).value(answer)


def _print(comparison: Comparison, only: str) -> None:
    for line in _lines(comparison, only):
        print("".join(it if it.isprintable() else f"\\x{ord(it):02x}" for it in line))


def _lines(comparison: Comparison, only: str) -> Iterator[str]:
    for name, found in comparison.found.items():
        if only in name:
            yield from (f"{name} {difference}" for difference in found[:_SHOWN])
            if len(found) > _SHOWN:
                yield f"{name} and {len(found) - _SHOWN} more"
    reasons: dict[str, list[str]] = {}
    for name, why in comparison.left_out.items():
        if only in name:
            reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        yield f"not compared, {why}: {', '.join(names)}"
    total = sum(map(len, comparison.found.values()))
    yield (
        f"{comparison.compared} steps compared, {len(comparison.left_out)} not; "
        f"{total} differences in {len(comparison.found)} steps"
    )


def _document(comparison: Comparison) -> dict[str, Any]:
    found = {name: [asdict(it) for it in them] for name, them in comparison.found.items()}
    return {
        "compared": comparison.compared,
        "not compared": comparison.left_out,
        "differences": found,
    }
