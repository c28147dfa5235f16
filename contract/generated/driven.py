"""Runs what hypothesis makes up, and tells the first thing that went wrong, as it was seen.

Hypothesis sends what failed once more; where the server answers otherwise then, it would tell of
that alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from contract.outcomes import ContractBroken

__all__ = ["each", "every_sequence"]

T = TypeVar("T")

_SETTINGS = settings(
    phases=[Phase.generate],  # a smaller failing request would take many more requests
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def each(cases: st.SearchStrategy[T], count: int, check: Callable[[T], None]) -> None:
    """Give so many cases to a check; raises what the first failing one raised."""
    seen: list[ContractBroken] = []

    @settings(_SETTINGS, max_examples=count)
    @given(cases)
    def check_one(case: T) -> None:
        with _seen(seen):
            check(case)

    with _told(seen):
        check_one()


def every_sequence(machine: type[RuleBasedStateMachine], count: int, steps: int) -> None:
    """Run so many sequences of at most so many steps; raises what the first failing step raised."""
    seen: list[ContractBroken] = []
    begun = 0

    class Counted(machine):  # type: ignore[misc, valid-type]
        def setup(self) -> None:
            nonlocal begun
            begun += 1
            super().setup()

        def _step(self, input: object) -> object:  # noqa: A002 - schemathesis's name
            with _seen(seen):
                return super()._step(input)

    with _told(seen):
        while begun < count:
            try:
                run_state_machine_as_test(
                    Counted,
                    settings=settings(
                        _SETTINGS, max_examples=count - begun, stateful_step_count=steps
                    ),
                )
            except Flaky:
                # Answers differ from one time to the next, and what follows with them.
                if seen:
                    raise
            else:
                return


@contextmanager
def _seen(failures: list[ContractBroken]) -> Iterator[None]:
    try:
        yield
    except ContractBroken as failure:
        failures.append(failure)
        raise


@contextmanager
def _told(failures: list[ContractBroken]) -> Iterator[None]:
    try:
        yield
    except (ContractBroken, Flaky, ExceptionGroup):
        if failures:
            raise failures[0] from None
        raise
