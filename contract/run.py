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

from contract import deviations, evidence, options
from contract.campaign import redactor
from contract.consent import admitted
from contract.deviations import DeviationError, Deviations
from contract.preflight import BROKEN, COULD_NOT_RUN, KEPT, CouldNotRun, preflight
from contract.profiles import chosen
from contract.report import write
from contract.report.header import Header, suite_version
from contract.report.matrix import Matrix
from contract.report.terminal import summary
from contract.shards import Shard, families, in_parallel
from contract.spec import SPEC, Spec, SpecError
from contract.target import Target, TargetError

HELP = "tell whether a server keeps the contract"


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
        "--deviations",
        metavar="FILE",
        type=Path,
        help="a TOML file of known deviations of this target (docs/contract.md)",
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
        spec = Spec(args.spec or SPEC)
        names = _chosen(args.family)
        target = admitted(args.target, args.url, args.targets)
        known = _deviations(args, target, spec)
        preflight(target)
        return _run(args, target, spec, known, names)
    except (CouldNotRun, DeviationError, SpecError, TargetError) as error:
        print(f"unsandbox-contract: could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN


def _deviations(args: argparse.Namespace, target: Target, spec: Spec) -> Deviations:
    if args.deviations is None:
        return Deviations()
    return Deviations(
        deviations.read(args.deviations, target=target.name, operations=spec.operations)
    )


def _run(
    args: argparse.Namespace,
    target: Target,
    spec: Spec,
    known: Deviations,
    names: Sequence[str],
) -> int:
    seed = args.seed if args.seed is not None else secrets.randbelow(2**32)
    began, started = time.time(), time.monotonic()
    print(f"{target.name} at {target.url}, seed {seed}")
    with _folder(args.report) as folder:
        clean = redactor(target)
        shards = [Shard(args, name, seed, folder, clean) for name in names]
        broken = list(in_parallel(shards, _jobs(args, target)))
        events = evidence.read(shard.events for shard in shards if shard.events.exists())
        matrix = Matrix(spec, events, known)
    header = _header(args, target, spec, seed, began, time.monotonic() - started)
    verdict = matrix.verdict(
        whole=header.whole and not broken,
        further=[f"the family {name} did not come to an end" for name in broken],
    )
    print(summary(header, matrix, verdict, args.report))
    if args.report:
        write(args.report, header, matrix, verdict)
    if matrix.failures:
        return BROKEN
    if broken:
        raise CouldNotRun(f"these families did not come to an end: {', '.join(broken)}")
    if not matrix.results:
        raise CouldNotRun("no check fits what was asked for")
    return KEPT if verdict.kept else BROKEN


def _header(
    args: argparse.Namespace,
    target: Target,
    spec: Spec,
    seed: int,
    began: float,
    seconds: float,
) -> Header:
    parts = [
        *(args.family or ()),
        *([f"checks like {args.only}"] if args.only else []),
        *([f"operations {args.operations}"] if args.operations else []),
    ]
    return Header(
        target=target.name,
        url=target.url,
        real=target.real,
        profile=chosen(args.profile, real=target.real).name,
        effort="quick" if args.quick else "full",
        strict=args.strict,
        seed=seed,
        contract=spec.digest,
        contract_version=str(spec.document["info"]["version"]),
        asked=", ".join(parts) or "every family",
        whole=not parts,
        began=began,
        seconds=seconds,
        suite=suite_version(),
    )


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
