"""Every shell and REPL of `GET /shells`, on a terminal in a container as sessions have it."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import docker
import msgspec
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.agent import Agent
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue, CatalogueError
from emulator.sandbox.shells import ANSWER, IMAGE, Shells
from tests.sandbox.agent_process import scenario
from tests.sandbox.session_container import on_terminal, session_agent
from tests.sandbox.terminal import Terminal

CATALOGUE = Catalogue.load(RUNTIMES)
SHELLS = CATALOGUE.shells

DOCUMENTED = (
    "bash dash sh zsh fish ksh tcsh csh elvish xonsh ash python3 bpython ipython node ruby irb lua "
    "php perl guile scheme ghci erl iex sbcl clisp r julia clojure python sqlite3"
)


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


Session = Callable[[str], AbstractAsyncContextManager[Agent]]


@pytest.fixture
def session(client: docker.DockerClient) -> Session:
    """Starts a container of an image, as sessions have it; skips where the image is not built."""

    def start(name: str) -> AbstractAsyncContextManager[Agent]:
        image = Images(client, CATALOGUE).image(name)
        if not image.exists(client):
            pytest.skip(f"{name}: its image is not built here")
        return session_agent(client, image.reference)

    return start


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


def waits_at(prompt: str) -> Callable[[Terminal], bool]:
    return lambda terminal: terminal.before_cursor.endswith(prompt)


def shows_the_answer(terminal: Terminal) -> bool:
    return any(re.search(rf"\b{ANSWER}\W*$", line) for line in terminal.lines)


@pytest.mark.parametrize("name", SHELLS.shells)
@scenario
async def test_a_shell_works_out_what_is_typed_and_ends(session: Session, name: str) -> None:
    shell = SHELLS.shells[name]
    async with session(shell.image) as agent:
        terminal = Terminal(agent.spawn(on_terminal(*shell.command)))
        await terminal.until(waits_at(shell.prompt))
        assert not shows_the_answer(terminal)
        await terminal.type_line(shell.expression)
        await terminal.until(shows_the_answer)
        await terminal.until(waits_at(shell.prompt))
        await terminal.type_line(shell.leave)
        assert (await terminal.end()).code == 0
