"""A request may leave out, add, or spell in another way what the contract lets it."""

from typing import Any

import pytest

from contract.api import Api
from contract.campaign import Campaign
from contract.execution import files, run
from contract.families.semantics.cases import decoded, with_files
from contract.outcomes import NotRun
from contract.programs import Programs

pytestmark = pytest.mark.usefixtures("lenient")

OPTIONAL = ("env", "network_mode", "ttl", "return_artifact", "return_wasm_artifact", "vcpu")


@pytest.fixture
def lenient(campaign: Campaign) -> None:
    if campaign.strict:
        raise NotRun("a strict server takes requests in the documented form alone")


@with_files
def test_null_counts_as_absent_and_unknown_members_are_ignored(
    api: Api, programs: Programs, operation_id: str
) -> None:
    further: dict[str, Any] = {**dict.fromkeys(OPTIONAL), "input_files": None, "unheard_of": [1]}
    result = run(api, operation_id, programs.some("where"), **further)
    assert (result["success"], result["network_mode"]) == (True, "zerotrust")


@pytest.mark.operations("validateKey")
@pytest.mark.parametrize("body", [b"", b"{}", b"[]"], ids=["empty", "object", "array"])
def test_an_empty_body_and_an_empty_array_count_as_an_empty_object(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.call("validateKey", content=body, headers=headers).json["valid"] is True


@pytest.mark.operations("execute")
def test_other_spellings_of_clients_are_understood(api: Api, programs: Programs) -> None:
    program = programs.some("keep_files")
    result = run(api, "execute", program, input_files=files({"a": b"\n"}), return_artifacts=True)
    assert [decoded(it["data"]) for it in result["artifacts"]] == [b"\n"]
