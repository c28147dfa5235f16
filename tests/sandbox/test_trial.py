"""What is wrong with a run of a test program is told; that right ones pass is in tests/test_cli."""

from dataclasses import replace

import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.program import Ending, Outcome, Stream
from emulator.sandbox.runtimes import Catalogue
from emulator.sandbox.trial import faults

TESTS = {test.name: test for test in next(iter(Catalogue.load(RUNTIMES))).tests}
RIGHT = Outcome(Ending.EXITED, 3, Stream(b"to stdout\n"), Stream(b"to stderr\n"))


def test_what_a_program_should_do_is_no_fault() -> None:
    assert list(faults(TESTS["stderr"], RIGHT)) == []
    ended = Outcome(Ending.TIMED_OUT, 124, Stream(b"started\n"), Stream())
    assert list(faults(TESTS["loop"], ended)) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (replace(RIGHT, stdout=Stream(b"x" * 1000)), "stdout: 'xxx"),
        (replace(RIGHT, stderr=Stream()), "stderr: '' does not contain 'to stderr"),
        (replace(RIGHT, exit_code=0), "exit code 0, not 3"),
        (replace(RIGHT, ending=Ending.TIMED_OUT), "its end: timed out, not exited"),
        (replace(RIGHT, ending=Ending.OUT_OF_MEMORY), "its end: out of memory, not exited"),
    ],
)
def test_a_fault_is_told_in_one_line(wrong: Outcome, told: str) -> None:
    (fault,) = faults(TESTS["stderr"], wrong)
    assert fault.startswith(told)
    assert len(fault) < 500


def test_words_on_stderr_are_a_fault_where_none_are_expected() -> None:
    noisy = Outcome(Ending.EXITED, 0, Stream(b"Hello, world!\n"), Stream(b"warning: old\n"))
    assert list(faults(TESTS["hello"], noisy)) == ["stderr: 'warning: old\\n', not empty"]
