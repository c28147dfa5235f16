"""All mutants against their families: who is killed, by whom."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import httpx

from contract.mutants.mutant import Mutant
from contract.mutants.serving import Stage
from contract.mutants.trial import Seen, Trial, warmed
from contract.mutants.verdict import Fate, Verdict, lacking
from contract.spec import Spec
from contract.target import Target

__all__ = ["Control", "Hunt"]

ALONE = frozenset({"limits"})
"""Families that use up what an account has: two of them at once would disturb each other."""

_ADMIN_SECONDS = 10
T = TypeVar("T")
_SHOWN = 90
Say = Callable[[str], None]


class NoFaults(Exception):
    """A fault rule cannot be put in force; the message says why."""


@dataclass(frozen=True, slots=True)
class Control:
    """A family against a healthy proxy: it has to pass, else its verdicts are worth nothing."""

    trial: Trial
    seen: Seen
    seconds: float

    @property
    def passed(self) -> bool:
        return self.seen.ended and not self.seen.failures and self.seen.checks > 0

    @property
    def fault(self) -> str:
        if self.seen.failures:
            return str(self.seen.failures[0]["message"])
        if not self.seen.ended:
            return f"it did not end: {self.seen.said[-500:]}"
        return "" if self.seen.checks else "no check was run"


@dataclass(slots=True)
class Hunt:
    """Runs mutants, `jobs` at a time, in front of one server.

    `families` are those that there are; `spec` the contract, `file` another one than the suite's;
    `whole` says whether a family's control is all of it, or what its mutants are looked for in.
    """

    target: Target
    spec: Spec
    families: Sequence[str]
    seed: int
    jobs: int
    say: Say
    file: Path | None = None
    whole: bool = True
    controls: list[Control] = field(default_factory=list)
    _alone: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, mutants: Sequence[Mutant]) -> list[Verdict]:
        """The verdicts, in the order of `mutants`."""
        with ExitStack() as stack:
            stage = stack.enter_context(Stage.opened(self.target, self.spec))
            pool = stack.enter_context(ThreadPoolExecutor(self.jobs))
            stack.callback(pool.shutdown, cancel_futures=True)
            stack.callback(self._over.set)  # so that an interrupt does not wait for what runs
            chase = _Chase(self, stage, warmed())
            self._control(chase, pool, mutants)
            proxied = [mutant for mutant in mutants if mutant.rule is None]
            judged = self._all(chase, pool, proxied, len(mutants))
            # A rule strikes everybody who calls, so nothing else may run meanwhile.
            for mutant in (mutant for mutant in mutants if mutant.rule is not None):
                judged += self._all(chase, pool, [mutant], len(mutants), len(judged))
        order = {mutant.name: position for position, mutant in enumerate(mutants)}
        return sorted(judged, key=lambda it: order[it.mutant.name])

    def lacked(self) -> frozenset[str]:
        """Operations that the server says it has not got, through the healthy proxy.

        A check that has to make something first may not come as far as the operation itself.
        """
        answered = _together(control.seen.statuses for control in self.controls)
        came_to = _together(control.seen.outcomes for control in self.controls)
        refused = {
            name
            for name, statuses in answered.items()
            if 501 in statuses and not any(200 <= status < 300 for status in statuses)
        }
        never = {
            name
            for name, outcomes in came_to.items()
            if "unsupported" in outcomes and not outcomes & {"passed", "failed"}
        }
        there = {name for name, statuses in answered.items() if min(statuses) < 300}
        return frozenset((refused | never) - there)

    def control(self, mutant: Mutant) -> Control | None:
        """The control of a mutant's family."""
        thorough = replace(_own(mutant), fail_fast=False)
        same = (
            [it for it in self.controls if it.trial == thorough]
            if mutant.thorough
            else [
                it
                for it in self.controls
                if it.trial.family == mutant.family and not it.trial.thorough
            ]
        )
        return next(iter(same), None)

    def _control(
        self, chase: "_Chase", pool: ThreadPoolExecutor, mutants: Sequence[Mutant]
    ) -> None:
        for control in pool.map(chase.control, self._control_trials(mutants)):
            self.controls.append(control)
            self.say(
                f"  control {control.trial.family:<16} {control.seconds:5.1f} s  "
                f"{'passes' if control.passed else f'FAILS: {control.fault[:_SHOWN]}'}"
            )

    def _control_trials(self, mutants: Sequence[Mutant]) -> Iterator[Trial]:
        """What has to pass without a fault: families, and at length what is looked at at length."""
        chosen = [_own(mutant) for mutant in mutants if mutant.family in self.families]
        for family in dict.fromkeys(trial.family for trial in chosen if not trial.thorough):
            where = [trial.operations for trial in chosen if trial.family == family]
            narrow = not self.whole and all(where)
            names = dict.fromkeys(name for names in where for name in names) if narrow else ()
            yield Trial(family, operations=tuple(names), fail_fast=False)
        yield from dict.fromkeys(
            replace(trial, fail_fast=False) for trial in chosen if trial.thorough
        )

    def _all(
        self,
        chase: "_Chase",
        pool: ThreadPoolExecutor,
        mutants: Sequence[Mutant],
        of: int,
        done: int = 0,
    ) -> list[Verdict]:
        verdicts = []
        for judged in as_completed([pool.submit(chase.judge, mutant) for mutant in mutants]):
            verdict = judged.result()
            verdicts.append(verdict)
            self.say(f"  {done + len(verdicts):3}/{of} {_told(verdict)}")
        return verdicts


class _Chase:
    """One mutant after the other, from several threads."""

    def __init__(self, hunt: Hunt, stage: Stage, context: ForkServerContext) -> None:
        self._hunt, self._stage, self._context = hunt, stage, context

    def control(self, trial: Trial) -> Control:
        began = time.monotonic()
        with self._stage.serving() as url:
            seen = self._seen(trial, url)
        return Control(trial, seen, time.monotonic() - began)

    def judge(self, mutant: Mutant) -> Verdict:
        began = time.monotonic()
        reason = self._obstacle(mutant)
        verdict = Verdict(mutant, Fate.NOT_RUN, reason) if reason else self._judged(mutant)
        return replace(verdict, seconds=time.monotonic() - began)

    def _obstacle(self, mutant: Mutant) -> str:
        """Why a mutant is not run."""
        hunt = self._hunt
        if mutant.family not in hunt.families:
            return f"there is no family {mutant.family}"
        if mutant.rule is not None and hunt.target.admin is None:
            return "the control surface of the target is not known (--admin)"
        control = hunt.control(mutant)
        if control is None or not control.passed:
            return f"the family {mutant.family} fails a healthy server"
        return lacking(mutant, hunt.spec, hunt.lacked())

    def _judged(self, mutant: Mutant) -> Verdict:
        own = _own(mutant)
        try:
            with self._struck(mutant), self._stage.serving(mutant.mutator()) as url:
                verdict = _verdict(mutant, own, self._seen(own, url))
                if verdict.fate is not Fate.SURVIVED or mutant.equivalent:
                    return verdict
                for family in self._hunt.families:
                    if family != mutant.family:
                        other = Trial(family, operations=own.operations)
                        found = _verdict(mutant, other, self._seen(other, url))
                        if found.fate is Fate.OTHER:
                            return found
                return verdict
        except NoFaults as error:
            return Verdict(mutant, Fate.NOT_RUN, str(error))

    def _seen(self, trial: Trial, url: str) -> Seen:
        hunt = self._hunt
        with ExitStack() as stack:
            if trial.family in ALONE:
                stack.enter_context(hunt._alone)
                self._reset()
            folder = stack.enter_context(TemporaryDirectory(prefix="unsandbox-mutant-"))
            target = replace(hunt.target, url=url)
            return trial.run(self._context, target, hunt.file, hunt.seed, Path(folder), hunt._over)

    def _reset(self) -> None:
        """Forget what was counted against rates, where that is possible."""
        if self._hunt.target.admin:
            self._control_surface("POST", "reset", None)

    @contextmanager
    def _struck(self, mutant: Mutant) -> Iterator[None]:
        if mutant.rule is None:
            yield
            return
        made = self._control_surface("POST", "faults", mutant.rule).json()
        try:
            yield
        finally:
            self._control_surface("DELETE", f"faults/{made['id']}", None)

    def _control_surface(self, method: str, path: str, json: object) -> httpx.Response:
        url = f"{self._hunt.target.admin}/_emulator/{path}"
        try:
            response = httpx.request(
                method, url, json=json, timeout=_ADMIN_SECONDS, trust_env=False
            )
            return response.raise_for_status()
        except httpx.HTTPError as error:
            raise NoFaults(f"the control surface refuses: {error}") from None


def _own(mutant: Mutant) -> Trial:
    """What has to kill a mutant."""
    where = mutant.seen_at or mutant.operations
    return Trial(mutant.family, mutant.check, where, mutant.thorough)


def _together(found: Iterable[Mapping[str, frozenset[T]]]) -> Mapping[str, frozenset[T]]:
    together = dict[str, frozenset[T]]()
    for values in found:
        for operation, more in values.items():
            together[operation] = together.get(operation, frozenset()) | more
    return together


def _told(verdict: Verdict) -> str:
    reason = next(iter(verdict.reason.splitlines()), "")[:_SHOWN]
    name = verdict.mutant.name + (" (equivalent)" if verdict.mutant.equivalent else "")
    return f"{verdict.fate:<9} {name:<32} {verdict.seconds:5.1f} s  {reason}"


def _verdict(mutant: Mutant, trial: Trial, seen: Seen) -> Verdict:
    if seen.failures:
        fate = Fate.KILLED if trial.family == mutant.family else Fate.OTHER
        first = seen.failures[0]
        return Verdict(
            mutant, fate, first["message"], trial.family, first["check"], first["operation"]
        )
    if not seen.ended:
        return Verdict(mutant, Fate.NOT_RUN, f"the family did not end: {seen.said[-300:]}")
    if not seen.checks:
        where = ", ".join(trial.operations) or "the whole server"
        return Verdict(mutant, Fate.NOT_RUN, f"{trial.family} has no check of {where}")
    return Verdict(mutant, Fate.SURVIVED)
