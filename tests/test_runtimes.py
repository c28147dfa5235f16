"""What `unsandbox-emulator runtimes build` is asked for by the names given to it."""

import pytest

from emulator.paths import RUNTIMES
from emulator.runtimes import OTHERS, chosen
from emulator.sandbox.runtimes import Catalogue
from emulator.settings import SettingError

CATALOGUE = Catalogue.load(RUNTIMES)


def names(*asked: str, everything: bool = False) -> tuple[list[str], set[str]]:
    runtimes, others = chosen(CATALOGUE, asked, everything=everything)
    return [runtime.name for runtime in runtimes], set(others)


def test_without_names_the_usual_languages_are_built_without_the_shell_image() -> None:
    usual = [runtime.name for runtime in CATALOGUE.usual()]
    assert usual
    assert names() == (usual, {"egress"})


def test_the_shell_image_is_built_alone_or_beside_languages() -> None:
    assert names("shell") == ([], {"egress", "shell"})
    assert names("bash", "shell", "js") == (["bash", "javascript"], {"egress", "shell"})


def test_all_builds_every_language_and_every_other_image() -> None:
    assert names(everything=True) == ([it.name for it in CATALOGUE.available()], set(OTHERS))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(SettingError, match="'klingon' is no language"):
        names("shell", "klingon")
