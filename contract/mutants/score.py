"""What a hunt found, for people (terminal, Markdown) and programs (JSON)."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from contract.mutants.hunt import Control
from contract.mutants.verdict import Fate, Verdict

__all__ = ["summary", "write"]

_SHOWN = 100


def summary(verdicts: Sequence[Verdict], controls: Sequence[Control], seconds: float) -> str:
    """Who did not end as it should, the equivalents with their arguments, and the score."""
    wrong = [it for it in verdicts if not it.right and it.fate is not Fate.NOT_RUN]
    equivalent = [it for it in verdicts if it.mutant.equivalent]
    return "\n".join(
        [
            *(
                f"control of {it.trial.family} FAILS: {it.fault}"
                for it in controls
                if not it.passed
            ),
            *(
                f"{it.fate}: {it.mutant.name} ({it.mutant.family}): {it.mutant.fault}"
                for it in wrong
            ),
            *_not_run(verdicts),
            *(
                f"equivalent: {it.mutant.name} {it.fate}: {it.mutant.equivalent}"
                for it in equivalent
            ),
            f"{score(verdicts)} ({seconds:.0f} s)",
        ]
    )


def score(verdicts: Sequence[Verdict]) -> str:
    """One line of counts."""
    judged = [it for it in verdicts if not it.mutant.equivalent]
    counts = Counter(it.fate for it in judged)
    ran = len(judged) - counts[Fate.NOT_RUN]
    return (
        f"{counts[Fate.KILLED]} of {ran} mutants killed by their own family, "
        f"{counts[Fate.OTHER]} by another only, {counts[Fate.SURVIVED]} survived; "
        f"{counts[Fate.NOT_RUN]} not run; {len(verdicts) - len(judged)} equivalent"
    )


def _not_run(verdicts: Sequence[Verdict]) -> list[str]:
    reasons = Counter(it.reason.split(":")[0] for it in verdicts if it.fate is Fate.NOT_RUN)
    return [f"not run: {count}: {reason}" for reason, count in reasons.items()]


def write(
    folder: Path,
    verdicts: Sequence[Verdict],
    controls: Sequence[Control],
    *,
    target: str,
    seed: int,
    seconds: float,
) -> None:
    """Write `mutants.json` and `mutants.md` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "target": target,
        "seed": seed,
        "seconds": round(seconds, 1),
        "score": score(verdicts),
        "controls": [
            {
                "family": it.trial.family,
                "thorough": it.trial.thorough,
                "passed": it.passed,
                "checks": it.seen.checks,
                "fault": it.fault,
            }
            for it in controls
        ],
        "mutants": [_row(it) for it in verdicts],
    }
    (folder / "mutants.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "mutants.md").write_text(_markdown(verdicts, target), encoding="utf-8")


def _row(verdict: Verdict) -> dict[str, object]:
    mutant = verdict.mutant
    return {
        "name": mutant.name,
        "fault": mutant.fault,
        "class": mutant.kind.value,
        "operations": list(mutant.operations),
        "family": mutant.family,
        "fate": verdict.fate.value,
        "right": verdict.right,
        "killer": verdict.killer,
        "check": verdict.check,
        "operation": verdict.operation,
        "reason": verdict.reason,
        "equivalent": mutant.equivalent,
        "seconds": round(verdict.seconds, 1),
    }


def _markdown(verdicts: Sequence[Verdict], target: str) -> str:
    lines = [
        f"# Mutants of {_cell(target)}",
        "",
        score(verdicts) + ".",
        "",
        "| mutant | fault | class | family | fate | check |",
        "|---|---|---|---|---|---|",
    ]
    for it in verdicts:
        mutant = it.mutant
        cells = (mutant.name, mutant.fault, mutant.kind, mutant.family, it.fate, _why(it))
        lines.append(f"| {' | '.join(_cell(str(cell)) for cell in cells)} |")
    equivalent = [it for it in verdicts if it.mutant.equivalent]
    if equivalent:
        lines += ["", "## Equivalent", "", "| mutant | why nobody can tell |", "|---|---|"]
        lines += [f"| {it.mutant.name} | {_cell(it.mutant.equivalent)} |" for it in equivalent]
    return "\n".join(lines) + "\n"


def _why(verdict: Verdict) -> str:
    if verdict.fate is Fate.NOT_RUN:
        return verdict.reason
    return f"{verdict.check} ({verdict.operation})" if verdict.check else ""


def _cell(text: str) -> str:
    """Text for a table: what a server said must not break it, nor be markup."""
    flat = " ".join(text.split())[:_SHOWN]
    for character in "\\|<>[]`*_&":
        flat = flat.replace(character, f"\\{character}")
    return flat
