"""`unsandbox-contract run`: the families against one target, in processes of their own."""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from contract import evidence, options
from contract.campaign import redactor
from contract.consent import admitted
from contract.report import write
from contract.report.matrix import Matrix
from contract.report.terminal import summary
from contract.shards import Shard, families, in_parallel
from contract.spec import SPEC, Spec, SpecError
from contract.target import Target, TargetError

KEPT, BROKEN, COULD_NOT_RUN = 0, 1, 2
"""Exit statuses."""

HELP = "tell whether a server keeps the contract"
_PREFLIGHT_SECONDS = 10


class CouldNotRun(Exception):
    """The run says nothing about the server; the message says what to do."""


def arguments(parser: argparse.ArgumentParser) -> None:
    options.add_to(parser)
    parser.add_argument(
        "--family",
        action="append",
        metavar="NAME",
        help="this family alone; may be repeated: " + ", ".join(families()),
    )
    parser.add_argument("--only", metavar="EXPRESSION", help="checks whose names fit, as pytest -k")
    parser.add_argument(
        "--report", metavar="DIR", type=Path, help="where reports go; nowhere when left out"
    )
    parser.add_argument(
        "--seed", type=int, help="of generated cases; printed, so that a run can be repeated"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        help="processes at once; left out: the number of cores, at most 4; 1 for a real service",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="stop a family at its first failure"
    )


def main(args: argparse.Namespace) -> int:
    """Run, report, and return an exit status."""
    try:
        target = admitted(args.target, args.url, args.targets)
        spec = Spec(args.spec or SPEC)
        preflight(target)
        return _run(args, target, spec)
    except (CouldNotRun, TargetError, SpecError) as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN


def preflight(target: Target) -> None:
    """Raises CouldNotRun when nothing answers there."""
    try:
        httpx.get(f"{target.url}/health", timeout=_PREFLIGHT_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise CouldNotRun(f"nothing answers at {target.url}: {error}") from None


def _run(args: argparse.Namespace, target: Target, spec: Spec) -> int:
    seed = args.seed if args.seed is not None else secrets.randbelow(2**32)
    began = time.monotonic()
    print(f"{target.name} at {target.url}, seed {seed}")
    with _folder(args.report) as folder:
        clean = redactor(target)
        shards = [Shard(args, name, seed, folder, clean) for name in _chosen(args.family)]
        broken = list(in_parallel(shards, _jobs(args, target)))
        matrix = Matrix(
            spec, evidence.read(shard.events for shard in shards if shard.events.exists())
        )
        verdict = matrix.verdict(whole=not (args.family or args.only or args.operations))
        seconds = time.monotonic() - began
        print(summary(matrix, verdict, seconds))
        if args.report:
            write(args.report, matrix, verdict, target=target.name, seed=seed, seconds=seconds)
    if broken:
        raise CouldNotRun(f"these families did not come to an end: {', '.join(broken)}")
    if not matrix.results:
        raise CouldNotRun("no check fits what was asked for")
    return KEPT if verdict.kept else BROKEN


def _chosen(wanted: Sequence[str] | None) -> list[str]:
    known = families()
    unknown = set(wanted or ()) - set(known)
    if unknown:
        raise CouldNotRun(f"there is no family {min(unknown)}; there are: {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]


def _jobs(args: argparse.Namespace, target: Target) -> int:
    if target.real:
        return 1
    return args.jobs or min(os.cpu_count() or 1, 4)


@contextmanager
def _folder(report: Path | None) -> Iterator[Path]:
    """Where events are written: beside the reports, or nowhere for long."""
    if report is not None:
        events = report / "events"
        events.mkdir(parents=True, exist_ok=True)
        for old in events.iterdir():
            old.unlink()
        yield events
        return
    with tempfile.TemporaryDirectory(prefix="unsandbox-contract-") as made:
        yield Path(made)
