import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.services.env_file import BLANKS_MOST, EnvFileError, read, write

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
TRICKY = st.text(st.sampled_from("aA1_ =#'\"\\$`{}()\n\r\t\v\f\x1c\x85\u2028\ufeff\x00\x1b\0ü☃😀"))
VALUES = st.one_of(TRICKY, st.text(st.characters(exclude_categories=["Cs"])))


def variables(text: str) -> dict[str, str]:
    return {it.name: it.value for it in read(text)}


@settings(max_examples=60)
@given(st.dictionaries(NAMES, VALUES), st.sampled_from(["", "\n", "\r\n# end"]))
def test_what_is_written_reads_as_the_same_variables(given: dict[str, str], end: str) -> None:
    assert variables(write(given) + end) == given


def outcome(text: str) -> dict[str, str] | str:
    try:
        return variables(text)
    except EnvFileError as error:
        return str(error)


@given(st.text())
def test_any_text_reads_as_variables_or_is_refused_without_being_quoted(text: str) -> None:
    found = outcome(text)
    if isinstance(found, dict):
        assert variables(write(found)) == found
    else:
        assert re.fullmatch(r"line \d+: [^\d]{1,60}(256[^\d]{1,40})?", found)


def test_most_values_are_written_as_they_are() -> None:
    plain = {
        "SPACED": "two words",
        "URL": "postgres://user:pass@host/db?a=b&c=d#e",
        "JSON": '{"a":[1,2]}',
        "APOSTROPHE": "it's",
        "EMPTY": "",
    }
    assert write(plain) == "\n".join(f"{name}={value}" for name, value in plain.items())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (" padded ", "' padded '"),
        ("a # b", "'a # b'"),
        ("'", '"\'"'),
        ("one\ntwo", '"one\\ntwo"'),
        ('it\'s # "so"', '"it\'s # \\"so\\""'),
    ],
)
def test_other_values_are_quoted(value: str, written: str) -> None:
    assert write({"A": value}) == f"A={written}"


PEM = "-----BEGIN KEY-----\nMIIB/+==\n-----END KEY-----"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'KEY="{PEM}"', {"KEY": PEM}),
        (f"KEY='{PEM}'", {"KEY": PEM}),
        ("export A=1\n  export   B='2'", {"A": "1", "B": "2"}),
        ("# A=0\n\nA=1 # B=2\nC=1#2\nD= # nothing", {"A": "1", "C": "1#2", "D": ""}),
        (
            "A=$HOME\nB=${HOME}\nC=\"${HOME}\"\nD='$(id)'",
            dict(zip("ABCD", ("$HOME", "${HOME}", "${HOME}", "$(id)"), strict=True)),
        ),
        ("A=1\nB=2\nA=3", {"A": "3", "B": "2"}),
        ("\ufeffA=1\r\nB = 2 \rC=a=b==", {"A": "1", "B": "2", "C": "a=b=="}),
        ("A=\"\\n\\t\\\"\\\\\"\nB='\\n\\''\nC=\\n", {"A": '\n\t"\\', "B": "\\n'", "C": "\\n"}),
        ("", {}),
    ],
)
def test_files_are_read_as_users_of_dotenv_expect(text: str, found: dict[str, str]) -> None:
    assert variables(text) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A=1\nhunter2", "line 2: there is no ="),
        (f"A={PEM}", "line 3: it is not"),
        ("\n\n# c\n\nA='x\ny\nB=1", "line 5: it is not"),
        ("A='1\n2'\n\nB='x' hunter2", "line 4: it is not"),
        ("A=1\r\n'B'=hunter2", "line 2: a name has no quotes"),
        ("export hunter2", "line 1: there is no ="),
    ],
)
def test_what_cannot_be_read_is_told_by_its_line(text: str, told: str) -> None:
    with pytest.raises(EnvFileError, match=told) as refusal:
        read(text)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("beginning", ["A=x", "export A=x", "A = x", "B=1\nA=it's x", "A="])
def test_blanks_that_would_take_the_parser_long_are_refused(beginning: str) -> None:
    with pytest.raises(EnvFileError, match="blanks in a row"):
        read(f"{beginning}{'y' if beginning == 'A=' else ''}{' ' * 65_000}y")


def test_blanks_within_quotes_are_taken() -> None:
    blanks = " " * (BLANKS_MOST + 1)
    assert variables(f"A='{blanks}'\nB= '{blanks}'") == {"A": blanks, "B": blanks}
    assert variables(write({"A": f"x{blanks}y"})) == {"A": f"x{blanks}y"}
