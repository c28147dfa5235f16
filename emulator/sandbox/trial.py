"""The test programs of languages, run as the API runs programs, and what differs told in words."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from emulator.errors import ApiError
from emulator.sandbox.execution import Executor
from emulator.sandbox.network import ZEROTRUST
from emulator.sandbox.origin import Origin
from emulator.sandbox.program import Ending, InputFile, Outcome, Program
from emulator.sandbox.runtime import Runtime, RuntimeTest
from emulator.stop import Stop

SHOWN_CHARACTERS = 200
"""Of what a program printed, in a line that tells why it failed."""

_ACCOUNT = "trial"


@dataclass(frozen=True, slots=True)
class Result:
    """One program in one isolation mode; `faults` says what it did not do, empty when all is well.

    `seconds` is the time from asking for a container to the end.
    """

    test: str
    seconds: float
    faults: tuple[str, ...]


def program(runtime: Runtime, test: RuntimeTest) -> Program:
    """The execution that a client would ask for."""
    return Program(
        account=_ACCOUNT,
        runtime=runtime.for_code(test.code),
        code=runtime.readable(test.code).encode(),
        env=test.env,
        network_mode=ZEROTRUST,
        ttl=test.ttl,
        vcpu=1,
        input_files=tuple(InputFile(name, text.encode()) for name, text in test.files.items()),
        return_artifact=False,
    )


async def tried(executor: Executor, runtime: Runtime, test: RuntimeTest) -> Result:
    """Run one test program; never raises for what it does."""
    origin = Origin(_ACCOUNT, _ACCOUNT)
    began = time.monotonic()
    try:
        outcome = await executor.run(
            program(runtime, test), origin=origin, stop=Stop(), started=lambda: None
        )
    except ApiError as error:
        return Result(test.name, time.monotonic() - began, (f"it did not run: {error.details}",))
    return Result(test.name, time.monotonic() - began, tuple(faults(test, outcome)))


def faults(test: RuntimeTest, outcome: Outcome) -> Iterator[str]:
    """What a program did that it should not have."""
    stdout, stderr = outcome.stdout.text(), outcome.stderr.text()
    if stdout != test.stdout:
        yield f"stdout: {_shown(stdout)}, not {_shown(test.stdout)}"
    if test.stderr not in stderr:
        yield f"stderr: {_shown(stderr)} does not contain {test.stderr!r}"
    if stderr and not test.stderr:
        yield f"stderr: {_shown(stderr)}, not empty"
    ending = Ending.TIMED_OUT if test.times_out else Ending.EXITED
    if outcome.ending is not ending:
        yield f"its end: {outcome.ending.value}, not {ending.value}"
    elif not test.times_out and outcome.exit_code != test.exit_code:
        yield f"exit code {outcome.exit_code}, not {test.exit_code}"


def median_ms(results: list[Result]) -> float:
    """Milliseconds."""
    return median(result.seconds for result in results) * 1000


def _shown(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    return repr(cut)
