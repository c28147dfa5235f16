"""`python -m tests.contract.standin`: the mutants of what the emulator lacks, on the stand-in.

Further options are those of `unsandbox-contract mutants`, such as `--jobs` and `--report`.
"""

import sys
from collections.abc import Sequence

from contract import cli
from contract.mutants.table import MUTANTS
from emulator.api.table import NOT_IMPLEMENTED
from tests.contract.standin import running

__all__ = ["lacked_by_the_emulator"]


PASSES_NOT = "limits"
"""The family that the stand-in fails: it counts neither slots nor requests."""


def lacked_by_the_emulator() -> list[str]:
    """The names of the mutants some of whose operations answer 501 there."""
    return [
        mutant.name
        for mutant in MUTANTS.values()
        if mutant.family != PASSES_NOT and set(mutant.operations) & NOT_IMPLEMENTED
    ]


def main(further: Sequence[str]) -> int:
    """The exit status of the hunt; with no mutant left, it is one of a command line."""
    names = lacked_by_the_emulator() or ["none"]
    chosen = (word for name in names for word in ("--only", name))
    with running() as standin:
        return cli.main(["mutants", "--url", standin.url, *chosen, *further])


# The hunt's processes are forked from one that imports this module anew.
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
