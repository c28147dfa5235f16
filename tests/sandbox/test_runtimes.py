import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue, CatalogueError, Runtime

CATALOGUE = Catalogue.load(RUNTIMES)

DOCUMENTED = (
    "python javascript typescript ruby perl php lua bash r elixir erlang tcl scheme powershell "
    "clojure commonlisp crystal groovy deno awk raku c cpp go rust java kotlin cobol fortran d zig "
    "nim v objc dart julia haskell ocaml fsharp csharp prolog forth"
)

AVAILABLE = [runtime for runtime in CATALOGUE if runtime.available]


def runtime(name: str) -> Runtime:
    found = CATALOGUE.find(name)
    assert found is not None
    return found


def test_the_documented_languages_are_all_there_in_their_order() -> None:
    assert " ".join(CATALOGUE.languages()) == DOCUMENTED
    assert len(CATALOGUE.languages()) == 42


def test_documented_aliases_lead_to_their_language() -> None:
    documented = {"js": "javascript", "node": "javascript", "ts": "typescript"}
    assert {**documented, "lisp": "commonlisp"}.items() <= CATALOGUE.aliases().items()


@pytest.mark.parametrize(
    ("name", "language"),
    [("python", "python"), (" python3\n", "python"), ("c++", "cpp"), ("lisp", "commonlisp")],
)
def test_a_language_is_found_by_name_and_alias(name: str, language: str) -> None:
    assert runtime(name).name == language


@pytest.mark.parametrize("name", ["", "Python", "klingon", "..", "base", "shell"])
def test_what_is_no_language_is_not_found(name: str) -> None:
    assert CATALOGUE.find(name) is None


@pytest.mark.parametrize(
    ("file", "language"),
    [("a/b.py", "python"), ("x.R", "r"), ("main.cc", "cpp"), ("x.p", "prolog"), ("x.m", "objc")],
)
def test_a_language_is_found_by_file_name(file: str, language: str) -> None:
    found = CATALOGUE.for_file(file)
    assert found is not None
    assert found.name == language


def test_a_file_of_no_language_is_not_found() -> None:
    assert CATALOGUE.for_file("Makefile") is None


SHEBANGS = {
    "#!/usr/bin/python": "python",
    "#!/usr/bin/python3": "python",
    "#!/usr/bin/python3.11": "python",
    "#!/usr/bin/python3-dbg": "python",
    "#!/usr/local/bin/pypy3.10": "python",
    "#!/usr/bin/env python3": "python",
    "#!/usr/bin/env -S python3 -u": "python",
    "#!/usr/bin/env -Spython3 -u": "python",
    "#!/usr/bin/env --split-string=python3 -u": "python",
    "#!/usr/bin/env -S -i FOO=bar BAZ= 'python3' -u": "python",
    "#!/usr/bin/env -u HOME -C /tmp python3": "python",
    "#!  /bin/sh -e": "bash",
    "#!/bin/bash\r": "bash",
    "#!bash": "bash",
    "#!/usr/bin/dash": "bash",
    "#!/usr/bin/env node": "javascript",
    "#!/usr/bin/nodejs": "javascript",
    "#!/usr/bin/env ts-node": "typescript",
    "#!/usr/bin/env bun": "typescript",
    "#!/usr/bin/env deno": "deno",
    "#!/usr/bin/ruby2.7": "ruby",
    "#!/usr/bin/lua5.4": "lua",
    "#!/usr/bin/tclsh8.6": "tcl",
    "#!/usr/bin/perl6": "raku",
    "#!/usr/bin/perl -w": "perl",
    "#!/usr/bin/Rscript --vanilla": "r",
    "#!/usr/bin/guile-3.0": "scheme",
    "#!/usr/bin/sbcl --script": "commonlisp",
    "#!/usr/bin/env escript": "erlang",
    "#!/usr/bin/swipl": "prolog",
    "#!/usr/bin/gforth": "forth",
    "#!/usr/bin/gawk -f": "awk",
    "#!/usr/bin/pwsh": "powershell",
}


@pytest.mark.parametrize(("line", "language"), SHEBANGS.items())
def test_a_shebang_tells_the_language(line: str, language: str) -> None:
    found = CATALOGUE.detect(f"{line}\nthe rest")
    assert found is not None
    assert found.name == language


@pytest.mark.parametrize(
    "code",
    [
        "",
        "print(1)",
        "#!",
        "#!/",
        "#! \n/bin/sh",
        "#!/usr/bin/env",
        "#!/usr/bin/env -S",
        "#!/usr/bin/env -u python3",
        "#!/usr/bin/env klingon",
        "#!/usr/bin/3",
        "\n#!/bin/sh",
        "echo '#!/bin/sh'",
        "#!" + " " * 300 + "/bin/sh",
    ],
)
def test_code_without_a_known_interpreter_tells_no_language(code: str) -> None:
    assert CATALOGUE.detect(code) is None


@given(st.one_of(st.text(), st.text("#!/ envbashpyto3-S=u.\n\"'").map(lambda text: f"#!{text}")))
def test_detection_survives_any_text(code: str) -> None:
    found = CATALOGUE.detect(code)
    assert found is None or found in list(CATALOGUE)


@pytest.mark.parametrize("known", AVAILABLE, ids=lambda known: known.name)
def test_what_runs_has_a_program_for_every_common_expectation(known: Runtime) -> None:
    names = {"hello", "env", "file", "stdin", "stderr", "error", "loop", "long", "utf8"}
    assert names <= {test.name for test in known.tests}
    assert all(test.code for test in known.tests)


def test_commands_are_filled_with_paths_in_the_sandbox() -> None:
    compiled = runtime("c")
    assert compiled.source_path == "/tmp/code/main.c"
    assert compiled.binary_path == "/tmp/code/main"
    assert compiled.run_command == ("/tmp/code/main",)
    assert {compiled.source_path, compiled.binary_path} < set(compiled.compile_command)
    interpreted = runtime("python")
    assert interpreted.run_command[-1] == "/tmp/code/main.py"
    assert interpreted.compile_command == ()
    assert interpreted.binary_path is None


@pytest.fixture
def naming(folder: Path) -> Runtime:
    """A language whose code names its file."""
    file = folder / "c" / "runtime.toml"
    replace(file, "[run]", "[run]\nnamed_by = '(?m)^module (\\S+)'")
    replace(file, '"{source}"', '"{source}", "{name}"')
    found = Catalogue.load(folder).find("c")
    assert found is not None
    return found


def test_code_names_its_source(naming: Runtime) -> None:
    named = naming.for_code("// a comment\nmodule Hello\n")
    assert (named.name, named.source_path) == ("c", "/tmp/code/Hello.c")
    assert {"/tmp/code/Hello.c", "Hello"} < set(named.compile_command)
    assert naming.source_path == "/tmp/code/main.c"


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-o", "x" * 101, "é", "a\0"])
def test_code_cannot_name_a_file_anywhere_else(naming: Runtime, name: str) -> None:
    assert naming.for_code(f"module {name}").source_path == "/tmp/code/main.c"


def test_the_environment_has_what_every_program_needs_and_the_language_adds_to_it() -> None:
    assert runtime("bash").environment["HOME"] == "/tmp"
    assert runtime("python").environment == {
        **runtime("bash").environment,
        "PYTHONPATH": "/tmp/input",
    }


def test_a_language_without_run_facts_is_known_but_not_available(folder: Path) -> None:
    file = folder / "c" / "runtime.toml"
    file.write_text(file.read_text().partition("[run]")[0])
    missing = Catalogue.load(folder).find("c")
    assert missing is not None
    assert not missing.available
    assert missing.unavailable_reason == "not available in this version"
    assert missing.tests == ()
    with pytest.raises(CatalogueError, match="c: not available in this version"):
        _ = missing.run_command
    assert runtime("bash").unavailable_reason is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data, small and free to be broken."""
    for name in ("catalogue.toml", "tests.toml"):
        shutil.copy(RUNTIMES / name, tmp_path)
    for name in ("shell", "base", "bash", "gcc", "c"):
        shutil.copytree(RUNTIMES / name, tmp_path / name)
    (tmp_path / "catalogue.toml").write_text('languages = ["c"]')
    shells = tmp_path / "shell" / "shells.toml"
    shells.write_text(re.sub(r"^languages = .*$", "", shells.read_text(), flags=re.MULTILINE))
    return tmp_path


def test_a_new_folder_is_a_new_language_after_the_ordered_ones(folder: Path) -> None:
    assert Catalogue.load(folder).languages() == ["c", "bash"]


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


BROKEN = {
    "an unknown key": ("aliases", "alias", r"c/runtime.toml: .*`alias`"),
    "a missing key": ('source = "main.c"', "", r"c/runtime.toml: run: .*`source`"),
    "a wrong type": ('binary = "main"', "binary = 1", r"c/runtime.toml: run.binary: .*int"),
    "no TOML": ("aliases = []", "aliases = [", r"c/runtime.toml: .*line"),
    "a path for a file name": ('"main.c"', '"../main.c"', r"c/runtime.toml: run.source: "),
    "an upper-case alias": ("aliases = []", 'aliases = ["C"]', r"c/runtime.toml: aliases\[0\]"),
    "an unknown placeholder": ("{source}", "{sauce}", r"run.compile: '{sauce}' is no placeholder"),
    "no source": (
        '"{source}",\n    "gcc", "-O1", "-I/tmp/input", "-o", "{binary}", "{source}"',
        '"gcc"',
        r"c/runtime.toml: run.command: no command takes {source}",
    ),
    "no binary": ('binary = "main"', "", r"c/runtime.toml: run.*: uses {binary}, but run.binary"),
    "an empty command": ('["{binary}"]', "[]", r"c/runtime.toml: run.command: "),
    "a module named like the program": ('"main.wasm"', '"main"', r"c/runtime.toml: wasm: stands "),
    "no path for the module": ('"-s", "-I/tmp/input", "-o", "{binary}"', '"-s"', r"no {binary}"),
    "an unknown expectation": ("stderr =", "stdeer =", r"c/runtime.toml: tests.error: .*stdeer"),
    "a test without program": ("[tests.error]", "[tests.x]", r"c/runtime.toml: tests.x: 0 prog"),
    "a parent that is not there": (
        'from = "gcc"',
        'from = "nowhere"',
        r"c/runtime.toml: image: .*c -> nowhere",
    ),
    "a parent that is itself": (
        'from = "gcc"',
        'from = "c"',
        r"c/runtime.toml: image: .*c -> c",
    ),
    "another image that is not there": (
        'from = "gcc"',
        'from = "gcc"\nuses = ["nowhere"]',
        r"c/runtime.toml: image: .*c -> nowhere",
    ),
    "a file name that is no pattern": (
        "[run]",
        "[run]\nnamed_by = '('",
        r"c/runtime.toml: run.named_by: missing \)",
    ),
    "a file name in no group": (
        "[run]",
        "[run]\nnamed_by = 'class'",
        r"c/runtime.toml: run.named_by: has 0 groups",
    ),
    "another language's alias": ("aliases = []", 'aliases = ["sh"]', r"alias 'sh': both c and b"),
    "another language's name": ("aliases = []", 'aliases = ["bash"]', r"'bash': both c and bash"),
}


@pytest.mark.parametrize(("old", "new", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_data_is_refused_with_file_and_key(
    folder: Path, old: str, new: str, message: str
) -> None:
    replace(folder / "c" / "runtime.toml", old, new)
    with pytest.raises(CatalogueError, match=message):
        Catalogue.load(folder)


def test_an_ordered_language_without_a_folder_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "c")
    with pytest.raises(CatalogueError, match=r"catalogue.toml: languages: no folder c"):
        Catalogue.load(folder)


def test_two_programs_for_one_test_are_refused(folder: Path) -> None:
    shutil.copy(folder / "c" / "tests" / "hello.c", folder / "c" / "tests" / "hello.cc")
    with pytest.raises(CatalogueError, match=r"c/runtime.toml: tests.hello: 2 programs"):
        Catalogue.load(folder)


def test_a_folder_that_is_no_language_name_is_refused(folder: Path) -> None:
    (folder / "bash").rename(folder / "Bash")
    with pytest.raises(CatalogueError, match=r"Bash/runtime.toml: a language folder"):
        Catalogue.load(folder)
