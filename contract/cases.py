"""Generated cases of a check, as many as the run's effort says."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis.strategies import SearchStrategy

from contract.campaign import Campaign

__all__ = ["for_all"]

T = TypeVar("T")


def for_all(
    campaign: Campaign, cases: SearchStrategy[T], check: Callable[[T], None], *known: T
) -> None:
    """Call `check` with every known case, then with generated ones.

    A case that fails is made smaller, which takes many requests: not on a real service.
    """
    phases = {Phase.explicit, Phase.generate} | (set() if campaign.target.real else {Phase.shrink})
    judged: Callable[..., None] = given(cases)(check)
    for case in reversed(known):
        judged = example(case)(judged)
    settings(
        max_examples=campaign.effort.examples,
        phases=sorted(phases, key=list(Phase).index),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(judged)()
