"""What one account owns for the length of several checks, each kind once unless asked afresh."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from contract.api import Api
from contract.outcomes import ContractBroken, NotRun, Unsupported
from contract.things import KINDS, Thing, end, make

__all__ = ["Things", "opened"]


@dataclass(slots=True)
class Things:
    """Makes things as one account."""

    owner: Api
    made: list[Thing] = field(default_factory=list)
    _kept: dict[tuple[str, str], Thing | Unsupported | NotRun | ContractBroken] = field(
        default_factory=dict
    )

    def one(self, kind: str, label: str = "") -> Thing:
        """The thing of a kind, made when there is none (any more); another one for each label.

        Raises:
            Unsupported: the server cannot make one; told again whenever one is asked for.
            NotRun: the run may not make one.
            ContractBroken: making one failed.
        """
        found = self._kept.get((kind, label))
        if isinstance(found, BaseException):
            raise found
        if found is None or not found.exists():
            found = self._make(kind, label)
        return found

    def _make(self, kind: str, label: str) -> Thing:
        try:
            made = self._kept[kind, label] = self.fresh(kind)
        except (Unsupported, NotRun, ContractBroken) as error:
            self._kept[kind, label] = error
            raise
        return made

    def fresh(self, kind: str) -> Thing:
        """A new thing; raises as `one` does."""
        of = KINDS[kind].of
        thing = make(self.owner, kind, self.one(of) if of else None)
        self.made.append(thing)
        return thing


@contextmanager
def opened(owner: Api, end: Callable[[Thing], None] = end) -> Iterator[Things]:
    """Things that are ended after the block, the latest first."""
    things = Things(owner)
    try:
        yield things
    finally:
        for thing in reversed(things.made):
            end(thing)
