"""The report for whoever started the run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from contract.outcomes import Outcome
from contract.printable import printable
from contract.report import reproduction
from contract.report.header import Header
from contract.report.matrix import Matrix, Standing, Verdict

__all__ = ["summary"]

_SHOWN = 20
_NAMES = 8
_LOUD = (Standing.UNPROVEN, Standing.NOT_RUN, Standing.UNSUPPORTED)


def summary(
    header: Header, matrix: Matrix, verdict: Verdict, report: Path | None, note: str = ""
) -> str:
    """Some lines: what speaks against the contract, the counts, where to read on, the verdict.

    `note` is what nobody may miss who reads the last line alone.
    """
    return "\n".join(_lines(header, matrix, verdict, report)) + note


def _lines(header: Header, matrix: Matrix, verdict: Verdict, report: Path | None) -> Iterator[str]:
    for reason in verdict.reasons[:_SHOWN]:
        yield f"  {printable(reason, 300)}"
    if len(verdict.reasons) > _SHOWN:
        yield f"  and {len(verdict.reasons) - _SHOWN} more"
    counts = matrix.counts
    yield "checks: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
    standings = {name: row.standing for name, row in matrix.asked.items()}
    found = list(standings.values())
    told = ", ".join(f"{found.count(it)} {it}" for it in Standing if it in found)
    yield f"operations: {len(standings)}{'' if header.whole else ' asked for'}: {told}"
    for standing in _LOUD:
        yield from _named(standing, [name for name, own in standings.items() if own is standing])
    yield from _named("unavailable", list(matrix.unavailable))
    waiting = matrix.deviations.not_judged(matrix.judged)
    if waiting:
        yield f"deviations not judged: {', '.join(it.id for it in waiting)}"
    yield from _leads_on(header, matrix, report)
    said = verdict.told(whole=header.whole, asked=header.asked)
    yield f"The contract is {said}{_languages(matrix)} ({header.seconds:.1f} s)"


def _named(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        yield f"  {what}: {printable(', '.join(names[:_NAMES]))}{more}"


def _languages(matrix: Matrix) -> str:
    """How many languages did not run, and for whose sake."""
    counts = {"unavailable": len(matrix.unavailable), "not run": len(matrix.languages_not_run)}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"; languages: {told}" if told else ""


def _leads_on(header: Header, matrix: Matrix, report: Path | None) -> Iterator[str]:
    if report is None:
        return
    yield f"report: {report / 'index.html'}"
    for failure in list(matrix.failures.values())[:1]:
        yield f"reproduce the first failure: {reproduction.command(report, failure, header)}"
