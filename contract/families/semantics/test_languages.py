"""What is no language is refused, and shells are counted; the rest has a family of its own."""

import pytest

from contract.api import Api, member
from contract.families.semantics.cases import with_files


@with_files
def test_an_unknown_language_is_refused(api: Api, operation_id: str) -> None:
    body = {"language": "a-language-that-nobody-has", "code": ""}
    api.call(operation_id, json=body, expect=400, probe=True)


@pytest.mark.parametrize("operation_id", ["run", "runAsync"])
def test_text_in_no_language_is_refused(api: Api, operation_id: str) -> None:
    api.call(operation_id, content=b"", media_type="text/plain", expect=400, probe=True)


@pytest.mark.operations("listShells")
def test_as_many_shells_are_listed_as_are_counted(api: Api) -> None:
    answer = api.call("listShells")
    shells = member(answer, "shells")
    assert len(set(shells)) == len(shells) == member(answer, "count")
