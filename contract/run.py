"""`unsandbox-contract run`: the families against one target, in processes of their own."""

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contract import deviations, evidence, options, rehearsal
from contract.campaign import opened, redactor
from contract.consent import admitted
from contract.deviations import DeviationError, Deviations
from contract.languages import LANGUAGES
from contract.ledger import left_behind
from contract.preflight import (
    BROKEN,
    COULD_NOT_RUN,
    KEPT,
    UNFINISHED,
    CouldNotRun,
    introduced,
)
from contract.printable import printable
from contract.profiles import FREE, Profile, chosen
from contract.reins import Reins, bare_wire
from contract.removal import settle
from contract.report import write
from contract.report.header import Header, suite_version
from contract.report.matrix import Matrix, Standing, Verdict
from contract.report.terminal import summary
from contract.shards import METER, Shard, families, in_parallel
from contract.spec import SPEC, Spec, SpecError
from contract.target import Target, TargetError, resolve

HELP = "tell whether a server keeps the contract"
EPILOG = (
    "Exit status: 0 the contract is kept; 1 it is not; 2 nothing can be said: the command line is "
    "wrong, nothing answers, the key is not taken, nothing was checked; 3 it is kept as far as was "
    "run, but the budget ended before the checks did; 130 interrupted."
)


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
        "--seed",
        type=options.whole,
        help="of generated cases; printed, so that a run can be repeated",
    )
    parser.add_argument(
        "--jobs",
        type=options.at_least_one,
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
        with _folder(args.report) as folder, _terminated_as_interrupted():
            if args.dry_run:
                return _rehearse(args, spec, names, folder)
            return _run(args, spec, names, folder)
    except (CouldNotRun, DeviationError, SpecError, TargetError) as error:
        print(printable(f"unsandbox-contract: could not run: {error}"), file=sys.stderr)
        return COULD_NOT_RUN


def _deviations(args: argparse.Namespace, target: Target, spec: Spec) -> Deviations:
    if args.deviations is None:
        return Deviations()
    return Deviations(
        deviations.read(args.deviations, target=target.name, operations=spec.operations)
    )


def _run(args: argparse.Namespace, spec: Spec, names: Sequence[str], folder: Path) -> int:
    target = admitted(args.target, args.url, args.targets)
    known = _deviations(args, target, spec)
    _known_operations(args, spec)
    _known_languages(args)
    seed = args.seed if args.seed is not None else secrets.randbelow(2**32)
    began, started = time.time(), time.monotonic()
    print(f"{target.name} at {target.url}, seed {seed}")
    told = _prepare(args, target, spec, folder)
    shards = [Shard(args, name, seed, folder, redactor(target)) for name in names]
    broken, interrupted = _carried_out(shards, _jobs(args, target))
    _clear_away(args, target, spec)
    events = evidence.read(shard.events for shard in shards if shard.events.exists())
    matrix = Matrix(spec, events, known, _operations(args) if _parts(args) else None)
    header = _header(args, target, spec, seed, began, time.monotonic() - started)
    verdict = matrix.verdict(
        whole=header.whole and not broken and not interrupted,
        further=[f"the family {name} did not come to an end" for name in broken],
    )
    note = _excused(matrix, chosen(args.profile, real=target.real)) if told else ""
    note += "; the run was interrupted before its end" if interrupted else ""
    print(summary(header, matrix, verdict, args.report, note))
    if args.report:
        write(args.report, header, matrix, verdict)
    if interrupted:
        raise KeyboardInterrupt
    return _status(matrix, verdict, broken)


def _status(matrix: Matrix, verdict: Verdict, broken: Sequence[str]) -> int:
    if matrix.failures:
        return BROKEN
    if broken:
        raise CouldNotRun(f"these families did not come to an end: {', '.join(broken)}")
    if verdict.empty:
        raise CouldNotRun(matrix.nothing)
    if verdict.unfinished:
        return UNFINISHED
    return KEPT if verdict.kept else BROKEN


def _prepare(args: argparse.Namespace, target: Target, spec: Spec, folder: Path) -> bool:
    """See that the server is there; learn of the key what the command line leaves out.

    Returns:
        Whether it is the server that says which tier the run keeps to.
    """
    reins = Reins(args.tier, args.rate, options.limits(args), folder / METER)
    with opened(target, profile=args.profile, spec=args.spec, reins=reins) as campaign:
        key = introduced(campaign)
    told = args.tier is None and key.tier is not None
    args.tier = args.tier or key.tier
    if target.real:
        args.rate = args.rate or key.per_minute
        print(f"  {_rate(args, target):g} requests a minute")
    _clear_away(args, target, spec)
    return told


def _excused(matrix: Matrix, profile: Profile) -> str:
    """What the tier that the server told has left out; empty for nothing."""
    held = [
        row
        for row in matrix.asked.values()
        if row.standing is Standing.NOT_RUN
        and row.operation.traits.tier != FREE
        and profile.allows(row.operation) is None
    ]
    if not held:
        return ""
    return (
        f"; {len(held)} operations were not run, as the server says that the key is on the free "
        "tier: --tier paid asks for them"
    )


def _clear_away(args: argparse.Namespace, target: Target, spec: Spec) -> None:
    """Remove what runs that are over left behind, be it this one."""
    with bare_wire(target, spec, _rate(args, target)) as wire:
        settle(left_behind(target), wire)


def _rate(args: argparse.Namespace, target: Target) -> float | None:
    """Requests a minute; None is without limit."""
    profile = chosen(args.profile, real=target.real)
    return args.rate or (profile.per_minute if target.real else None)


def _carried_out(shards: Sequence[Shard], jobs: int) -> tuple[list[str], bool]:
    """Run the families; those that came to no end, and whether all was interrupted."""
    broken = list[str]()
    try:
        broken.extend(in_parallel(shards, jobs))
    except KeyboardInterrupt:
        return broken, True
    return broken, False


def _rehearse(args: argparse.Namespace, spec: Spec, names: Sequence[str], folder: Path) -> int:
    """Go through the families without sending anything; say what would have been sent."""
    target = resolve(args.target, args.url, args.targets)
    shards = [Shard(args, name, args.seed or 0, folder, redactor(target)) for name in names]
    # As the run would, since those that come first leave the others what is left of the budget.
    broken, interrupted = _carried_out(shards, _jobs(args, target))
    if interrupted:
        raise KeyboardInterrupt
    if broken:
        raise CouldNotRun(f"these families did not come to an end: {', '.join(broken)}")
    events = {it.family: evidence.read([it.events]) for it in shards if it.events.exists()}
    print("\n".join(rehearsal.told(target, spec, events, _rate(args, target))))
    return KEPT


def _header(
    args: argparse.Namespace,
    target: Target,
    spec: Spec,
    seed: int,
    began: float,
    seconds: float,
) -> Header:
    parts = _parts(args)
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


def _parts(args: argparse.Namespace) -> list[str]:
    """What was asked for, in words; empty for everything."""
    return [
        *(args.family or ()),
        *([f"checks like {args.only}"] if args.only else []),
        *([f"operations {args.operations}"] if args.operations else []),
    ]


def _operations(args: argparse.Namespace) -> list[str]:
    """The operations that were asked for by name."""
    return _names(args.operations)


def _names(listed: str | None) -> list[str]:
    return [name for it in (listed or "").split(",") if (name := it.strip())]


def _chosen(wanted: Sequence[str] | None) -> list[str]:
    known = families()
    unknown = set(wanted or ()) - set(known)
    if unknown:
        raise CouldNotRun(f"there is no family {min(unknown)}; there are: {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]


def _known_operations(args: argparse.Namespace, spec: Spec) -> None:
    """Raises CouldNotRun for a name that would leave out every check but those of no operation."""
    unknown = [name for name in _operations(args) if name not in spec.operations]
    if unknown:
        raise CouldNotRun(f"there is no operation {unknown[0]}; openapi.yaml names them")


def _known_languages(args: argparse.Namespace) -> None:
    """Raises CouldNotRun for a name that would leave out every language."""
    unknown = [name for name in _names(args.languages) if name not in LANGUAGES]
    if unknown:
        raise CouldNotRun(f"there is no language {unknown[0]}; there are: {', '.join(LANGUAGES)}")


def _jobs(args: argparse.Namespace, target: Target) -> int:
    if target.real:
        return 1
    return args.jobs or min(os.cpu_count() or 1, 4)


@contextmanager
def _folder(report: Path | None) -> Iterator[Path]:
    """Where events are written: beside the reports, or nowhere for long."""
    if report is not None:
        events = report / "events"
        try:
            events.mkdir(parents=True, exist_ok=True)
            for old in events.iterdir():
                old.unlink()
        except OSError as error:
            raise CouldNotRun(f"cannot write a report to {report}: {error.strerror}") from None
        yield events
        return
    with tempfile.TemporaryDirectory(prefix="unsandbox-contract-") as made:
        yield Path(made)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """What was created is removed when a run is told to end, by whichever signal."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
