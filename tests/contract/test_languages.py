"""The checks of languages find the faults that they are for, and tell what cannot run here."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract.cli import main
from contract.languages import CHEAP, LANGUAGES
from contract.mutants.faults import languages as faults
from contract.mutants.mutators import refusing
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed
from contract.preflight import COULD_NOT_RUN, KEPT
from contract.profiles import PROFILES, effort
from contract.report.matrix import LANGUAGE_RUNS
from contract.spec import SPEC, loaded
from scripts import contract as make_contract
from tests.contract.conftest import Seen
from tests.contract.runs import faulty, results
from tests.server import Server

FOUND_BY: Mapping[str, str] = {
    "language-unlisted": "test_every_language_of_the_contract_is_listed",
    "languages-unlisted": "test_every_language_of_the_contract_is_listed",
    "language-listed-twice": "test_as_many_are_listed_as_are_counted",
    "languages-miscounted": "test_as_many_are_listed_as_are_counted",
    "alias-led-elsewhere": "test_the_documented_aliases_are_listed",
    "alias-run-elsewhere": "test_an_alias_is_the_language_that_it_stands_for",
    "alias-told": "test_an_alias_is_the_language_that_it_stands_for",
    "alias-refused": "test_an_alias_is_the_language_that_it_stands_for",
    "listed-language-refused": "test_a_listed_language_runs",
    "language-run-as-another": "test_a_listed_language_runs",
    "language-without-output": "test_a_listed_language_runs",
    "line-refused": "test_the_documented_line_prints_what_it_should",
    "unavailable-without-reason": "test_a_listed_language_runs",
    "unavailable-by-another-code": "test_a_listed_language_runs",
    "every-language-unavailable": "test_not_all_listed_languages_are_unavailable",
    "language-undetected": "test_the_language_is_found_by_the_shebang",
    "language-detected-as-another": "test_the_language_is_found_by_the_shebang",
    "shebang-of-env-unknown": "test_the_language_is_found_by_the_shebang",
}
"""By the name of a mutant, the check that has to find it, alone."""

REASON = "language: c cannot run here: nobody installed it"
WAITS = "The image of c is being built"


def test_each_fault_of_the_family_has_its_check() -> None:
    assert set(FOUND_BY) == {mutant.name for mutant in faults.LANGUAGES}


@pytest.mark.parametrize(("name", "check"), FOUND_BY.items(), ids=FOUND_BY)
def test_a_fault_is_found_by_the_check_that_is_for_it(seen_by: Seen, name: str, check: str) -> None:
    seen_by(name, check)


def test_the_same_checks_find_nothing_where_nothing_is_wrong(
    server: Server, tmp_path: Path
) -> None:
    found = results(server.api, "languages", tmp_path)
    passed = {it["check"] for it in found if it["outcome"] == "passed"}
    checks = {name.removeprefix("test_").replace("_", " ") for name in FOUND_BY.values()}
    assert checks <= passed
    assert not [it for it in found if it["outcome"] == "failed"]


def test_the_suite_has_programs_in_every_language_of_the_contract() -> None:
    assert list(LANGUAGES) == loaded(SPEC).at("#/components/schemas/LanguageName/enum")
    assert set(LANGUAGES) > CHEAP
    for language in LANGUAGES.values():
        assert "hello" in language.greeting
        assert "WHO" in language.greeting
        assert all(re.match(r"/(usr/)?bin/", it) for it in language.interpreters)


def test_the_documented_lines_are_those_of_the_documentation() -> None:
    file = Path(__file__).parents[1] / "documented.toml"
    documented = tomllib.loads(file.read_text(encoding="utf-8"))
    lines = {name: (it.line, it.prints) for name, it in LANGUAGES.items() if it.line}
    assert lines == {name: (it["code"], it["stdout"].strip()) for name, it in documented.items()}


def test_a_wide_run_takes_every_language_and_a_small_one_those_that_are_cheap() -> None:
    broad = {name: effort(it, quick=False).broad for name, it in PROFILES.items()}
    assert broad == {"readonly": True, "free": False, "paid": True, "full": True}
    assert not any(effort(it, quick=True).broad for it in PROFILES.values())


def sent_in(name: str) -> Callable[[Call], bool]:
    """Whether a call brings a program in a language."""
    return lambda call: isinstance(call.document, dict) and call.document.get("language") == name


def outcomes(url: str, folder: Path, *arguments: str) -> dict[str, tuple[str, str]]:
    """What came of the languages of a run, by name, with the message."""
    found = results(url, "languages", folder, *arguments)
    own = [it for it in found if (it["family"], it["check"]) == LANGUAGE_RUNS]
    return {it["test"].partition("[")[2][:-1]: (it["outcome"], it["message"]) for it in own}


def told(folder: Path) -> Any:  # noqa: ANN401 - any JSON
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_language_that_cannot_run_is_told_with_the_reason_and_counted_last(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Answer.error(503, "Runtime unavailable", "RUNTIME_UNAVAILABLE", REASON)
    with faulty(server.api, refusing(sent_in("c"), lambda: replace(refused))) as url:
        found = outcomes(url, tmp_path)
    assert found["c"] == ("unsupported", f"unavailable: c: {REASON}")
    assert found["python"] == ("passed", "")
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert f"languages: 1 unavailable, {len(LANGUAGES) - len(CHEAP)} not run" in last
    assert told(tmp_path)["unavailable"] == {"c": REASON}
    assert told(tmp_path)["kept"]
    assert REASON in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "yellow" in (tmp_path / "badge.json").read_text(encoding="utf-8")


def pending(times: int) -> tuple[Build, list[str]]:
    """Jobs that wait for an image for so many reads, and the methods that they are read with."""
    asked: list[str] = []

    async def waits(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        if call.segments[0] == "jobs":
            asked.append(call.method)
            if answer.succeeded and call.method == "GET" and len(asked) <= times:
                kept = {name: answer.document[name] for name in ("job_id", "language")}
                answer.document = {**kept, "status": "pending", "message": WAITS}
        return answer

    def build() -> Mutator:
        return waits

    return build, asked


def test_a_language_that_has_to_be_made_ready_is_waited_for(server: Server, tmp_path: Path) -> None:
    waits, asked = pending(times=5)
    with faulty(server.api, waits) as url:
        assert outcomes(url, tmp_path, "--languages", "c")["c"] == ("passed", "")
    assert asked.count("GET") > 5


def test_a_language_that_is_not_ready_in_time_is_not_run_and_its_job_is_ended(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waits, asked = pending(times=1000)
    with faulty(server.api, waits) as url:
        found = outcomes(url, tmp_path, "--languages", "c", "--patience", "1")
    assert found["c"] == ("not run", f"c was not ready after 1 s: {WAITS}")
    assert "DELETE" in asked
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert f"languages: {len(LANGUAGES)} not run" in last


def test_languages_that_are_named_are_run_whatever_the_effort_and_no_others(
    server: Server, tmp_path: Path
) -> None:
    found = outcomes(server.api, tmp_path, "--languages", "bash, python")
    ran = {name for name, (outcome, _) in found.items() if outcome == "passed"}
    assert ran == {"bash", "python"}
    assert found["c"] == ("not run", "other languages were asked for (--languages)")


def test_a_name_that_is_no_language_is_refused(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["run", "--url", server.api, "--family", "languages", "--languages", "bash,basic"]
    assert main(argv) == COULD_NOT_RUN
    assert "there is no language basic" in capsys.readouterr().err


def test_a_failure_in_a_language_happens_again_in_a_replay_of_any_effort(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Answer.error(503, "Runtime unavailable", "RUNTIME_UNAVAILABLE", "")
    again = ["replay", str(tmp_path / "failures" / "001.json"), "--url"]
    with faulty(server.api, refusing(sent_in("php"), lambda: replace(refused))) as url:
        found = outcomes(url, tmp_path, "--languages", "php")
        assert found["php"][0] == "failed"
        assert main([*again, url]) == 1
    assert "no details say why" in capsys.readouterr().out
    with faulty(server.api, refusing(sent_in("php"), lambda: replace(refused, status=418))) as url:
        assert main([*again, url]) != KEPT


def test_make_contract_asks_for_all_but_what_would_have_to_be_built() -> None:
    listed: list[dict[str, Any]] = [
        {"name": "php", "kind": "language", "image_bytes": 1, "why_not": ""},
        {"name": "lua", "kind": "language", "image_bytes": None, "why_not": ""},
        {
            "name": "v",
            "kind": "language",
            "image_bytes": None,
            "why_not": "needs its makers' image",
        },
        {"name": "shell", "kind": "image", "image_bytes": None, "why_not": ""},
    ]
    assert make_contract.chosen(listed) == (["php", "v"], ["lua"])
    assert make_contract.languages(["--quick"]) == []
    assert make_contract.languages(["--languages=php"]) == []
    asked, patience = make_contract.languages([])
    assert set(asked.removeprefix("--languages=").split(",")) <= set(LANGUAGES)
    assert patience.startswith("--patience=")
