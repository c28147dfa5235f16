"""A language is what its name, its aliases and its shebangs say."""

import pytest

from contract.api import Api, member
from contract.execution import ended, run
from contract.families.semantics.cases import with_files
from contract.outcomes import NotRun
from contract.programs import Program, Programs


@pytest.mark.operations("execute", "listLanguages")
def test_a_listed_language_runs(api: Api, programs: Programs) -> None:
    listed = member(api.call("listLanguages"), "languages")
    assert listed, "no language is listed"
    known = [language for language in programs.known if language in listed]
    if not known:
        raise NotRun("the target lists none of the languages that the suite has programs in")
    assert any(programs.runs(language) for language in known), f"none of {', '.join(known)} runs"


@pytest.mark.operations("execute", "listLanguages")
def test_an_alias_is_the_language_that_it_stands_for(api: Api, programs: Programs) -> None:
    aliases = member(api.call("listLanguages"), "aliases")
    known = [
        (alias, program)
        for program in programs.every("where")
        for alias, language in aliases.items()
        if language == program.language
    ]
    if not known:
        raise NotRun("the target lists no alias of a language that the suite has programs in")
    for alias, program in known:
        result = run(api, "execute", Program(alias, program.code))
        assert (result["language"], result["exit_code"]) == (program.language, 0)


@with_files
def test_an_unknown_language_is_refused(api: Api, operation_id: str) -> None:
    body = {"language": "a-language-that-nobody-has", "code": ""}
    api.call(operation_id, json=body, expect=400, probe=True)


@pytest.mark.parametrize("operation_id", ["run", "runAsync"])
def test_the_language_is_found_by_the_shebang(
    api: Api, programs: Programs, operation_id: str
) -> None:
    for program in programs.every("where"):
        for interpreter in programs.shebangs[program.language]:
            code = f"#!{interpreter}\n{program.code}".encode()
            answer = api.call(operation_id, content=code, media_type="text/plain")
            assert member(answer, "detected_language") == program.language
            job = ended(api, member(answer, "job_id"))
            assert (job["language"], job["exit_code"]) == (program.language, 0)


@pytest.mark.parametrize("operation_id", ["run", "runAsync"])
def test_text_in_no_language_is_refused(api: Api, operation_id: str) -> None:
    api.call(operation_id, content=b"", media_type="text/plain", expect=400, probe=True)


@pytest.mark.parametrize(
    ("operation_id", "name"), [("listLanguages", "languages"), ("listShells", "shells")]
)
def test_as_many_are_listed_as_are_counted(api: Api, operation_id: str, name: str) -> None:
    answer = api.call(operation_id)
    assert len(set(member(answer, name))) == len(member(answer, name)) == member(answer, "count")
