"""The data of shells and REPLs; what each does: tests/sessions/test_every_shell.py."""

from pathlib import Path

import msgspec
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue, CatalogueError
from emulator.sandbox.shells import IMAGE, Shells

CATALOGUE = Catalogue.load(RUNTIMES)
SHELLS = CATALOGUE.shells

DOCUMENTED = (
    "bash dash sh zsh fish ksh tcsh csh elvish xonsh ash python3 bpython ipython node ruby irb lua "
    "php perl guile scheme ghci erl iex sbcl clisp r julia clojure python sqlite3"
)


def test_the_documented_shells_are_all_there_once_and_in_alphabetical_order() -> None:
    assert SHELLS.names() == sorted(DOCUMENTED.split())


def test_documented_groups_are_made_of_them() -> None:
    assert list(SHELLS.categories) == [
        "unix",
        "python",
        "javascript",
        "ruby",
        "lisp",
        "erlang",
        "data",
    ]
    assert {name for names in SHELLS.categories.values() for name in names} <= set(SHELLS.names())


@pytest.mark.parametrize(("alias", "name"), [("python", "python3"), ("ruby", "irb")])
def test_a_shell_is_found_by_name_and_alias(alias: str, name: str) -> None:
    assert SHELLS.find(alias) is SHELLS.find(name) is SHELLS.shells[name]


def test_what_is_no_shell_is_not_found() -> None:
    assert SHELLS.find("klingon") is None


@pytest.mark.parametrize("name", SHELLS.shells)
def test_a_shell_is_in_the_shells_image_or_in_a_languages(name: str) -> None:
    assert SHELLS.shells[name].image in {IMAGE, *CATALOGUE.languages()}


def test_languages_are_known_by_all_their_names_but_those_of_shells() -> None:
    for name, shell in {"javascript": "node", "js": "node", "rb": "irb", "lisp": "sbcl"}.items():
        assert CATALOGUE.shell_of_language[name] == shell
    assert not CATALOGUE.shell_of_language.keys() & set(SHELLS.names())
    for language in ("c", "go", "rust", "java"):
        assert language not in CATALOGUE.shell_of_language


def test_a_shell_is_of_known_languages() -> None:
    shells = msgspec.structs.replace(SHELLS.shells["node"], languages=("klingon",))
    wrong = msgspec.structs.replace(SHELLS, shells={"node": shells})
    with pytest.raises(CatalogueError, match=r"shells.node.languages: 'klingon' is no language"):
        Catalogue(RUNTIMES, CATALOGUE, wrong)


BROKEN = {
    "an unknown key": ("prompt =", "promt =", r"shells.toml: shells.*: .*`promt`"),
    "no command": ('command = ["bash"]', "command = []", r"shells.toml: shells.*command: "),
    "an alias of two": ('["python"]\nlang', '["bash"]\nlang', r"shells: 'bash' is 2 shells"),
    "a group of others": ('["node"]', '["deno"]', r"categories.javascript: 'deno' is no shell"),
    "a language of two": (
        'languages = ["lua"]',
        'languages = ["php"]',
        r"'php' is the language of 2",
    ),
    "an answer in the question": ('"+ 40 2"', '"put 42"', r"shells.elvish.expression: contains"),
}


@pytest.mark.parametrize(("old", "new", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_data_is_refused_with_file_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = (RUNTIMES / "shell" / "shells.toml").read_text()
    assert old in text
    file = tmp_path / "shells.toml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CatalogueError, match=message):
        Shells.load(file)
