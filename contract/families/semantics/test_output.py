"""Output, exit codes and signals are told as they were."""

import pytest
from hypothesis import strategies as st

from contract.api import Api
from contract.campaign import Campaign
from contract.cases import for_all
from contract.execution import files, run
from contract.families.semantics.cases import (
    ALL_BYTES,
    contents,
    every_execution,
    readable,
    text,
    texts,
    with_files,
)
from contract.programs import Program, Programs

MIB = 1 << 20


@with_files
def test_streams_are_told_apart_byte_for_byte(
    api: Api, campaign: Campaign, programs: Programs, operation_id: str
) -> None:
    def check(case: tuple[Program, bytes, bytes]) -> None:
        program, out, err = case
        result = run(api, operation_id, program, input_files=files({"out": out, "err": err}))
        assert (readable(result["stdout"]), readable(result["stderr"])) == (text(out), text(err))

    available = programs.every("copy_streams")
    cases = st.tuples(
        st.sampled_from(available), st.one_of(contents, texts.map(str.encode)), contents
    )
    known = (
        (b"\x1b[1mout\x1b[0m\r\n\n", b"err"),
        (ALL_BYTES, b"\x1b[31mred\x1b[0m\b\a"),
        ("é\ufeff🎉\0".encode(), b"\xff\xfe\n"),
    )
    for_all(campaign, cases, check, *((available[0], out, err) for out, err in known))


@with_files
def test_large_output_is_whole_or_said_to_be_cut(
    api: Api, programs: Programs, operation_id: str
) -> None:
    out = "".join(f"{number} ü\n" for number in range(MIB // 9)).encode()
    err = bytes(reversed(range(32, 127))) * 4000
    program = programs.some("copy_streams")
    result = run(api, operation_id, program, input_files=files({"out": out, "err": err}))
    for name, sent in (("stdout", out.decode()), ("stderr", err.decode())):
        came = result[name]
        cut = bool(result.get(f"{name}_truncated"))
        right = came == sent or (cut and sent.startswith(came))
        assert right, f"{len(came)} of {len(sent)} characters of {name} came, said to be cut: {cut}"


@every_execution
def test_the_exit_code_is_told_and_decides_on_success(
    api: Api, campaign: Campaign, programs: Programs, operation_id: str
) -> None:
    def check(case: tuple[Program, int]) -> None:
        program, code = case
        result = run(api, operation_id, program, env={"CODE": str(code)})
        assert (result["exit_code"], result["success"]) == (code, code == 0)
        assert "error" not in result, "error is for faults of the platform alone"

    available = programs.every("exit")
    cases = st.tuples(st.sampled_from(available), st.integers(0, 255))
    for_all(campaign, cases, check, *((available[0], code) for code in (0, 1, 255)))


@pytest.mark.operations("execute")
@pytest.mark.parametrize("signal", [1, 6, 9, 11, 15])
def test_a_death_by_signal_is_told(api: Api, programs: Programs, signal: int) -> None:
    for program in programs.every("die"):
        result = run(api, "execute", program, env={"SIGNAL": str(signal)})
        assert (result["exit_code"], result["success"]) == (128 + signal, False)
