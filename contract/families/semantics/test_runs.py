"""No run has anything of another one."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from contract.api import Api
from contract.execution import found, run
from contract.families.semantics.cases import every_execution, with_files
from contract.programs import Programs


@pytest.mark.operations("execute")
def test_nothing_of_one_run_is_left_for_the_next(api: Api, programs: Programs) -> None:
    mark = f"contract-{secrets.token_hex(8)}"
    leave, find = programs.some("leave_traces"), programs.some("find_traces")
    assert run(api, "execute", leave, env={"MARK": mark, "STAY": ""})["stdout"] == "left\n"
    for _ in range(4):
        assert found(api, find, mark) == ""


@with_files
def test_runs_at_once_do_not_mix(api: Api, programs: Programs, operation_id: str) -> None:
    program = programs.some("repeat")

    def result(word: str) -> dict[str, Any]:
        return dict(run(api, operation_id, program, env={"WORD": word}))

    sent = [secrets.token_hex(8) for _ in range(10)]
    with ThreadPoolExecutor(len(sent)) as threads:
        results = list(threads.map(result, sent))
    for word, came in zip(sent, results, strict=True):
        lines = "".join(f"{word} {number}\n" for number in range(100))
        assert (came["stdout"], came["stderr"]) == (lines, lines)
    assert len({came["job_id"] for came in results}) == len(sent)


@every_execution
def test_the_same_request_is_carried_out_again(
    api: Api, programs: Programs, operation_id: str
) -> None:
    """A signature may be used again, and twice within a second it is the same."""
    results = [run(api, operation_id, programs.some("tell_once")) for _ in range(3)]
    assert len({result["job_id"] for result in results}) == len(results)
    assert len({result["stdout"] for result in results}) == len(results)
