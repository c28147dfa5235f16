"""Files, source and environment reach the program as they were sent."""

import base64
import json

import pytest
from hypothesis import strategies as st

from contract.api import JSON, Api
from contract.campaign import Campaign
from contract.cases import for_all
from contract.execution import files, run
from contract.families.semantics.cases import (
    ALL_BYTES,
    decoded,
    every_execution,
    texts,
    trees,
    variables,
    with_files,
)
from contract.outcomes import NotRun
from contract.programs import Program, Programs

NO_SOURCE_FILE = 77


@with_files
def test_input_files_reach_the_program_byte_for_byte(
    api: Api, campaign: Campaign, programs: Programs, operation_id: str
) -> None:
    def check(case: tuple[Program, dict[str, bytes]]) -> None:
        program, tree = case
        result = run(api, operation_id, program, input_files=files(tree))
        lines = (line.split(" ") for line in result["stdout"].splitlines())
        assert {decoded(name).decode(): decoded(content) for name, content in lines} == tree

    available = programs.every("tell_files")
    known = {"all": ALL_BYTES, "empty": b"", "lines": b"a\r\nb\rc\n", "below/it.txt": b"\0"}
    cases = st.tuples(st.sampled_from(available), trees)
    for_all(campaign, cases, check, (available[0], known))


@with_files
def test_base64_may_come_in_lines(api: Api, programs: Programs, operation_id: str) -> None:
    """As the contract's pattern allows, and as programs write it that encode for mail."""
    lines = base64.encodebytes(ALL_BYTES).decode()
    for content in (lines, lines.replace("\n", "\r\n")):
        given = [{"filename": "lines", "content": content}]
        result = run(api, operation_id, programs.some("tell_files"), input_files=given)
        name, told = result["stdout"].split()
        assert (decoded(name), decoded(told)) == (b"lines", ALL_BYTES)


@every_execution
def test_the_source_reaches_the_program_unchanged(
    api: Api, campaign: Campaign, programs: Programs, operation_id: str
) -> None:
    program = programs.some("tell_source")

    def check(tail: str) -> None:
        longer = Program(program.language, program.code + tail, program.interpreter)
        result = run(api, operation_id, longer)
        if result["exit_code"] == NO_SOURCE_FILE:
            raise NotRun("a program cannot read its own source here")
        sent = longer.code if "xecute" in operation_id else longer.script
        assert decoded(result["stdout"]) == sent.encode()

    for_all(
        campaign, texts, check, "a\r\nb\rc\n\n\n", "\ufeff\0 é 漢 🎉\u2028", "no end", " \t\r\n"
    )


@pytest.mark.parametrize(
    ("operation_id", "media_type"),
    [("run", "application/octet-stream"), ("run", JSON), ("execute", JSON)],
)
def test_the_source_is_the_same_in_every_form(
    api: Api, programs: Programs, operation_id: str, media_type: str
) -> None:
    """Letters in JSON may stand for themselves."""
    program = programs.some("tell_source")
    code = program.script + "é漢🎉\r\nb\0\n"
    body = {"code": code} if operation_id == "run" else {"language": program.language, "code": code}
    written = json.dumps(body, ensure_ascii=False) if media_type == JSON else code
    result = api.call(operation_id, content=written.encode(), media_type=media_type).json
    if result["exit_code"] == NO_SOURCE_FILE:
        raise NotRun("a program cannot read its own source here")
    assert decoded(result["stdout"]) == code.encode()


@every_execution
def test_the_environment_reaches_the_program(
    api: Api, campaign: Campaign, programs: Programs, operation_id: str
) -> None:
    program = programs.some("tell_environment")

    def check(given: dict[str, str]) -> None:
        result = run(api, operation_id, program, env=given)
        pairs = decoded(result["stdout"]).decode(errors="surrogateescape").split("\0")
        seen = dict(pair.split("=", 1) for pair in pairs if pair)
        assert {name: seen.get(name) for name in given} == given

    known = {"CONTRACT_A": " a=b\n'\"$(x)`\\ ", "CONTRACT_B": "", "CONTRACT_C": "é漢🎉 & co + %41"}
    for_all(campaign, variables, check, known)


@pytest.mark.operations("execute")
def test_programs_start_in_the_directory_of_the_input_files(api: Api, programs: Programs) -> None:
    for program in programs.every("where"):
        assert run(api, "execute", program)["stdout"].strip() == "/tmp/input"  # noqa: S108 - the documented one
