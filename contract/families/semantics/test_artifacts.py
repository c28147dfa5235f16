"""Files come back from a program as it left them."""

import pytest
from hypothesis import strategies as st

from contract.api import Api, member
from contract.campaign import Campaign
from contract.cases import for_all
from contract.execution import files, run
from contract.families.semantics.cases import ALL_BYTES, decoded, trees, with_files
from contract.outcomes import NotRun
from contract.programs import Program, Programs

BUILT = b"built from the source of the contract suite"


@with_files
def test_artifacts_come_back_byte_for_byte(
    api: Api, campaign: Campaign, programs: Programs, operation_id: str
) -> None:
    def check(case: tuple[Program, dict[str, bytes]]) -> None:
        program, tree = case
        result = run(api, operation_id, program, input_files=files(tree), return_artifact=True)
        found = [(it["filename"], decoded(it["data"])) for it in result.get("artifacts", ())]
        assert sorted(found) == sorted(tree.items())

    available = programs.every("keep_files")
    cases = st.tuples(st.sampled_from(available), trees)
    for_all(campaign, cases, check, (available[0], {"all": ALL_BYTES, "none": b"", "c": b"\r\n"}))


@pytest.mark.operations("execute")
def test_artifacts_come_when_they_are_asked_for_alone(api: Api, programs: Programs) -> None:
    program = programs.some("keep_files")
    result = run(api, "execute", program, input_files=files({"a": b"a"}))
    assert not result.get("artifacts")


@with_files
def test_what_the_compiler_built_comes_back(
    api: Api, programs: Programs, operation_id: str
) -> None:
    result = run(api, operation_id, programs.some("built"), return_artifact=True)
    assert result["stdout"].encode() == BUILT + b"\n"
    artifact = result.get("artifact")
    assert artifact, "there is no artifact"
    assert artifact in result["artifacts"]
    assert BUILT in decoded(artifact["data"])


@pytest.mark.operations("execute")
def test_a_webassembly_module_comes_back(api: Api, programs: Programs) -> None:
    program = programs.some("built")
    body = {"language": program.language, "code": program.code, "return_wasm_artifact": True}
    answer = api.call("execute", json=body, expect=(200, 400))
    if answer.status != 200:
        raise NotRun(f"{program.language} has no WebAssembly target here")
    module = member(answer, "wasm_artifact")
    content = decoded(module["data"])
    assert content.startswith(b"\0asm")
    assert BUILT in content
    assert module in member(answer, "artifacts")
