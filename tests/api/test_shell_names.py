import pytest

from emulator.api.shell_names import check_shell_name
from emulator.errors import UnknownShell
from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue

CATALOGUE = Catalogue.load(RUNTIMES)


def test_every_shell_passes() -> None:
    for name in CATALOGUE.shells.names():
        check_shell_name(CATALOGUE, name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bsh", "did you mean bash"),
        ("python2", "did you mean python"),
        ("javascript", "the one of javascript is node"),
        ("lisp", "the one of commonlisp is sbcl"),
        ("golang", "go has none, these languages have one: bash, clojure"),
        ("klingon", "no such shell; GET /shells"),
        ("", "no such shell; GET /shells"),
    ],
)
def test_what_is_no_shell_is_told_with_what_was_meant(name: str, told: str) -> None:
    with pytest.raises(UnknownShell) as refused:
        check_shell_name(CATALOGUE, name)
    assert told in refused.value.details
    assert "GET /shells" in refused.value.details
