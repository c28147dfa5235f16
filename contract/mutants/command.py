"""`unsandbox-contract mutants`: prove that the suite notices faults."""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from contract import options
from contract.campaign import redactor
from contract.consent import admitted
from contract.mutants.hunt import Hunt
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.score import summary, write
from contract.mutants.table import MUTANTS
from contract.mutants.verdict import Fate, Verdict, is_good
from contract.preflight import BROKEN, COULD_NOT_RUN, KEPT, CouldNotRun, preflight
from contract.printable import printable
from contract.redact import Redactor
from contract.shards import families
from contract.spec import SPEC, Spec, SpecError
from contract.target import EMULATOR, Target, TargetError, control_surface

HELP = "put faults in front of a server and tell whether the families notice"
_SUMMARY = 100_000
"""Characters of a summary, which has a line for each mutant that is not as it should be."""

_OPTIONS = ("url", "target", "targets", "spec")


def arguments(parser: argparse.ArgumentParser) -> None:
    options.add_to(parser, _OPTIONS)
    parser.add_argument(
        "--admin",
        metavar="URL",
        help="the emulator's control surface, for faults that it has itself; "
        f"left out: {EMULATOR.admin}, when --url is left out too",
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this mutant; * stands for anything"
    )
    parser.add_argument("--family", action="append", metavar="NAME", help="mutants of this family")
    parser.add_argument(
        "--class",
        action="append",
        dest="kind",
        choices=[kind.value for kind in Kind],
        help="mutants of this class",
    )
    parser.add_argument(
        "--jobs", type=options.at_least_one, help="mutants at once; the number of cores, at most 4"
    )
    parser.add_argument("--seed", type=options.whole, help="of generated cases")
    parser.add_argument("--report", metavar="DIR", type=Path, help="where reports go")
    parser.add_argument("--list", action="store_true", help="print the table and end")


def main(args: argparse.Namespace) -> int:
    """Run, report, and return an exit status."""
    try:
        chosen = _chosen(args)
        if args.list:
            print("\n".join(_line(mutant) for mutant in chosen))
            return KEPT
        return _run(args, _target(args), Spec(args.spec or SPEC), chosen)
    except (CouldNotRun, TargetError, SpecError) as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN


def _chosen(args: argparse.Namespace) -> list[Mutant]:
    found = [
        mutant
        for mutant in MUTANTS.values()
        if (not args.only or any(fnmatchcase(mutant.name, name) for name in args.only))
        and (not args.family or mutant.family in args.family)
        and (not args.kind or mutant.kind.value in args.kind)
    ]
    if not found:
        raise CouldNotRun("no mutant fits what was asked for; --list shows all")
    return found


def _line(mutant: Mutant) -> str:
    where = ", ".join(mutant.operations) or "the whole server"
    return f"{mutant.name:<32} {mutant.kind:<10} {mutant.family:<15} {mutant.fault} ({where})"


def _target(args: argparse.Namespace) -> Target:
    target = admitted(args.target, args.url, args.targets)
    if target.real:
        raise CouldNotRun("faults are never put in front of a real service")
    if args.admin:
        return replace(target, admin=control_surface("the command line", args.admin))
    # The control surface of a built-in target is not that of the server at --url.
    return replace(target, admin=None) if args.url else target


def _run(args: argparse.Namespace, target: Target, spec: Spec, mutants: Sequence[Mutant]) -> int:
    preflight(target)
    seed = args.seed if args.seed is not None else secrets.randbelow(2**32)
    jobs = args.jobs or min(os.cpu_count() or 1, 4)
    clean = redactor(target)
    print(f"{len(mutants)} mutants of {target.url}, seed {seed}, {jobs} at once", flush=True)
    began = time.monotonic()
    hunt = Hunt(
        target,
        spec,
        families(),
        seed,
        jobs,
        lambda line: print(printable(clean.text(line)), flush=True),
        args.spec,
        whole=not (args.only or args.kind),
    )
    verdicts = [_redacted(it, clean) for it in hunt.run(mutants)]
    seconds = time.monotonic() - began
    print(printable(clean.text(summary(verdicts, hunt.controls, seconds)), _SUMMARY))
    if args.report:
        write(args.report, verdicts, hunt.controls, target=target.name, seed=seed, seconds=seconds)
    if all(it.fate is Fate.NOT_RUN for it in verdicts):
        raise CouldNotRun("no mutant could be judged; the lines above say why")
    healthy = all(control.passed for control in hunt.controls)
    return KEPT if healthy and is_good(verdicts) else BROKEN


def _redacted(verdict: Verdict, clean: Redactor) -> Verdict:
    return replace(verdict, reason=clean.text(verdict.reason))
