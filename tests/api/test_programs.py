import pytest

from emulator.accounts import DEFAULT_ACCOUNT
from emulator.api.programs import environment, input_files, program
from emulator.errors import BadRequest, TierRequired
from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from tests.client import test_account

RUNTIME = next(iter(Catalogue.load(RUNTIMES).available()))


def file(filename: str, content: str = "") -> dict[str, str]:
    return {"filename": filename, "content": content}


@pytest.mark.parametrize(
    ("filename", "path"),
    [
        ("data.csv", "data.csv"),
        ("./data.csv", "data.csv"),
        ("a/b//c.txt", "a/b/c.txt"),
        ("/home/me/data.csv", "home/me/data.csv"),
        ("ümlaut ☃.txt", "ümlaut ☃.txt"),
        ("-rf", "-rf"),
        ("$(id);`id`", "$(id);`id`"),
    ],
)
def test_file_names_become_relative_paths(filename: str, path: str) -> None:
    assert input_files([file(filename)])[0].path == path


@pytest.mark.parametrize(
    ("filename", "rule"),
    [
        ("..", "without .."),
        ("../etc/passwd", "without .."),
        ("a/../../b", "without .."),
        ("", "must name a file"),
        ("/", "must name a file"),
        (".", "must name a file"),
        ("a/", "must name a file"),
        ("a\0b", "control characters"),
        ("a\nb", "control characters"),
        ("x" * 256, "at most 255 bytes"),
        ("\ud800", "lone surrogates"),
    ],
)
def test_file_names_that_lead_elsewhere_are_refused(filename: str, rule: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        input_files([file(filename)])
    assert refusal.value.details.startswith("input_files[0].filename: ")
    assert rule in refusal.value.details


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (["a", "a"], "input_files[1].filename: stands twice"),
        (["a", "./a"], "input_files[1].filename: stands twice"),
        (["a", "a/b"], "input_files[0].filename: is also the directory"),
    ],
)
def test_files_that_exclude_each_other_are_refused(names: list[str], rule: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        input_files([file(name) for name in names])
    assert rule in refusal.value.details


@pytest.mark.parametrize("content", ["abc", "a", "####", "YQ=", "YQ==\n=", "ä"])
def test_content_that_is_no_base64_is_refused(content: str) -> None:
    with pytest.raises(BadRequest, match=r"input_files\[0\]\.content: must be base64"):
        input_files([file("a", content)])


def test_a_file_may_have_five_million_bytes_and_no_more() -> None:
    exact = "AAAA" * (5_000_000 // 3) + "AAA="
    assert len(input_files([file("a", exact)])[0].content) == 5_000_000
    with pytest.raises(BadRequest, match="at most 5000000 bytes decoded"):
        input_files([file("a", "AAAA" * (5_000_001 // 3 + 1))])


def test_files_may_have_ten_million_characters_together_and_no_more() -> None:
    half = "AAAA" * 1_250_000
    assert len(input_files([file("a", half), file("b", half)])) == 2
    with pytest.raises(BadRequest, match="at most 10000000 base64 characters together"):
        input_files([file("a", half), file("b", half), file("c", "AAAA")])


@pytest.mark.parametrize(
    ("variables", "rule"),
    [
        ({"A": "x\0y"}, "env.A: must not contain NUL"),
        ({"A": "x" * 131_072}, "env.A: must be at most 131071 bytes"),
        ({"A": "\ud800"}, "env.A: must not contain lone surrogates"),
        ({f"A{n}": "x" * 120_000 for n in range(9)}, "env: must be at most 1000000 bytes"),
    ],
)
def test_an_environment_that_no_process_can_have_is_refused(
    variables: dict[str, str], rule: str
) -> None:
    with pytest.raises(BadRequest) as refusal:
        environment(variables)
    assert rule in refusal.value.details


def test_what_this_version_lacks_is_told_and_the_free_tier_lacks_it_for_good() -> None:
    fields: dict[str, object] = {"network_mode": "semitrusted"}
    assert program(RUNTIME, "", fields, DEFAULT_ACCOUNT).network_mode == "semitrusted"
    with pytest.raises(TierRequired, match="network_mode: the free tier"):
        program(RUNTIME, "", fields, test_account("free"))


def test_the_defaults_are_the_documented_ones() -> None:
    made = program(RUNTIME, "x", {}, DEFAULT_ACCOUNT)
    assert (made.ttl, made.vcpu, made.network_mode) == (60, 1, "zerotrust")
    assert not made.return_artifact
