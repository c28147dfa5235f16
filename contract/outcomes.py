"""What may come of a check, and the exceptions by which one says so.

Exception
 +- AssertionError
 |   +- ContractBroken     the server answered what the contract does not allow
 +- Skipped (pytest's, so that hypothesis lets it through)
     +- Unsupported        the server says, as the contract allows, that it lacks an operation
     |   +- Unavailable    ... or that it cannot run a language, and why
     +- NotRun             the run may not, or cannot, send what the check takes
         +- Limited        ... because of its own limits: its profile, its pace
         |   +- OutOfBudget    ... or what it may send, use up and create in all
         +- Rehearsed      ... in a dry run, which sends nothing
         +- SendAgain      the server refused for the moment; the wire waits and sends it again
"""

from enum import StrEnum

from _pytest.outcomes import Skipped

LIMIT, OUT_OF_BUDGET, UNAVAILABLE = "limit: ", "out of budget: ", "unavailable: "
"""How messages of Limited, OutOfBudget and Unavailable begin, by which reports know them."""


class Outcome(StrEnum):
    """Ordered from the worst: several of one operation and check count as the worst of them."""

    FAILED = "failed"
    DEVIATION = "deviation"
    NOT_RUN = "not run"
    UNSUPPORTED = "unsupported"
    PASSED = "passed"


class ContractBroken(AssertionError):
    """The server's answer breaks a rule; `check` names it."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


class Unsupported(Skipped):
    """501 where the contract has it."""


class Unavailable(Unsupported):
    """503 with the reason why a language that is listed cannot run."""

    def __init__(self, language: str, reason: str) -> None:
        super().__init__(f"{UNAVAILABLE}{language}: {reason}")


class NotRun(Skipped):
    """A reason that lies with the run: its profile, its budget, an account that it lacks."""


class Limited(NotRun):
    """The run is limited so; without the limit there would be a result."""

    prefix = LIMIT

    def __init__(self, reason: str) -> None:
        super().__init__(f"{self.prefix}{reason}")


class OutOfBudget(Limited):
    """The run has used up what it was given: what is left has no result, and is not passed."""

    prefix = OUT_OF_BUDGET


class Rehearsed(NotRun):
    """A dry run: what the answer would lead to is not known."""


class SendAgain(NotRun):
    """429: nothing was done; who cannot send it again has no result."""
