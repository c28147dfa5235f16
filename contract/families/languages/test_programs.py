"""A listed language runs programs, by each of its names, or the server says why it does not."""

import secrets
from contextlib import suppress

import pytest

from contract.api import member
from contract.execution import Result
from contract.families.languages.spoken import Languages
from contract.languages import LANGUAGES, Language
from contract.outcomes import NotRun, Unavailable
from contract.programs import Program


def greeted(result: Result, language: Language, who: str) -> None:
    """Assert that a result is that of a language's greeting."""
    assert (result["exit_code"], result["stdout"]) == (0, f"hello {who}\n"), result["stderr"]
    assert result["language"] == language.name


@pytest.fixture
def who() -> str:
    """Nothing that a server can know."""
    return f"contract-{secrets.token_hex(4)}"


@pytest.mark.operations("execute")
def test_a_listed_language_runs(languages: Languages, canonical: str, who: str) -> None:
    language = languages.chosen(canonical)
    program = Program(language.name, language.greeting)
    _, result = languages.run("execute", language, program, env={"WHO": who})
    greeted(result, language, who)


@pytest.mark.operations("execute")
def test_not_all_listed_languages_are_unavailable(languages: Languages, who: str) -> None:
    taken = languages.taken
    if not taken:
        raise NotRun("none of the languages that this run takes is listed")
    while taken and not languages.ran:
        with suppress(Unavailable):
            language = languages.chosen(taken.pop(0))
            program = Program(language.name, language.greeting)
            languages.run("execute", language, program, env={"WHO": who})
    assert languages.ran, "not one of the languages runs"


@pytest.mark.parametrize("name", [name for name, it in LANGUAGES.items() if it.line])
@pytest.mark.operations("execute")
def test_the_documented_line_prints_what_it_should(languages: Languages, name: str) -> None:
    language = languages.chosen(name, slow=True)
    _, result = languages.run("execute", language, Program(language.name, language.line))
    assert (result["exit_code"], result["stdout"].strip()) == (0, language.prints), result["stderr"]


@pytest.mark.operations("execute", "listLanguages")
def test_an_alias_is_the_language_that_it_stands_for(
    languages: Languages, alias: str, who: str
) -> None:
    if alias not in languages.aliases:
        raise NotRun("it is not listed as an alias")
    language = languages.chosen(languages.aliases[alias], slow=True)
    program = Program(alias, language.greeting)
    _, result = languages.run("execute", language, program, env={"WHO": who})
    greeted(result, language, who)


@pytest.mark.parametrize("name", [name for name, it in LANGUAGES.items() if it.interpreters])
@pytest.mark.parametrize("operation_id", ["run", "runAsync"])
def test_the_language_is_found_by_the_shebang(
    languages: Languages, operation_id: str, name: str, who: str
) -> None:
    language = languages.chosen(name, slow=True)
    for interpreter in language.interpreters:
        program = Program(language.name, language.greeting, interpreter)
        answer, result = languages.run(operation_id, language, program, env={"WHO": who})
        assert member(answer, "detected_language") == name
        greeted(result, language, who)
