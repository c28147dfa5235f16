"""What a mutant is: a fault with a name, and who has to notice it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from contract.mutants.mutators import for_operations, using
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed

__all__ = ["Kind", "Mutant"]


class Kind(StrEnum):
    """Classes of faults."""

    AUTH = "auth"
    TENANCY = "tenancy"
    STATUS = "status"
    SCHEMA = "schema"
    STATE = "state"
    ISOLATION = "isolation"
    TIME = "time"
    STREAMS = "streams"
    LIMITS = "limits"
    DATA_LOSS = "data loss"


async def _healthy(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A faulty server.

    Args:
        name: unique.
        fault: what it does wrong, in one sentence.
        kind: the class of the fault.
        family: that has to kill it.
        operations: that the fault is in; none means the whole server.
        seen_at: operations whose checks have to notice, where that is not those that the fault is
            in: some of the whole server's, since all would take long and tell no more, or those
            that make what the others show.
        build: the fault, for a proxy.
        rule: a fault of `/_emulator/faults` instead; it strikes whoever calls, so it runs alone.
        check: the name of the check that has to notice, as pytest's `-k`; every check when empty.
        thorough: whether it takes more cases than a quick run has, and slow checks.
        sees_all: whether the fault sees every call, to remember what it needs; it keeps to its
            operations by itself.
        equivalent: why nobody can tell it from a right server; it has to survive then.
    """

    name: str
    fault: str
    kind: Kind
    family: str
    operations: tuple[str, ...] = ()
    build: Build = field(default=using(_healthy), repr=False)
    rule: Mapping[str, object] | None = None
    check: str = ""
    thorough: bool = False
    sees_all: bool = False
    seen_at: tuple[str, ...] = ()
    equivalent: str = ""

    def mutator(self) -> Mutator:
        """The fault, with nothing remembered, for the operations that it is in."""
        operations = frozenset(() if self.sees_all else self.operations)
        return for_operations(self.build, operations)()
