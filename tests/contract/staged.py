"""A server with a fault in front of a healthy one."""

from collections.abc import Iterator
from contextlib import contextmanager

from contract.mutants.serving import Stage
from contract.mutants.traffic import Build
from contract.spec import Spec
from contract.target import resolve


@contextmanager
def faulty(url: str, fault: Build) -> Iterator[str]:
    """Its address."""
    inner = resolve(None, url)
    with Stage.opened(inner, Spec()) as stage, stage.serving(fault()) as made:
        yield made
