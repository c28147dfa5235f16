"""The documentation is run, or compared with what it describes."""

import re
import subprocess
import tomllib
from pathlib import Path

from emulator.accounts import TEST_ACCOUNTS, Account
from emulator.paths import ROOT
from scripts import settings_docs
from tests.server import Server

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, after: str = "") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)


def test_the_tour_does_what_it_shows(server: Server, tmp_path: Path) -> None:
    """Every command's output holds what its comment below it shows."""
    tour = blocks("sh", "<!-- tour -->")[0].replace("http://127.0.0.1:8042", server.api)
    shown = [line.removeprefix("# ") for line in tour.splitlines() if line.startswith("# ")]
    run = subprocess.run(
        ["bash", "-euc", tour],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    printed = run.stdout.strip().splitlines()
    assert run.stderr == ""
    assert len(printed) == len(shown) == 8
    for line, expected in zip(printed, shown, strict=True):
        assert expected in line


def test_every_test_key_is_documented_with_its_behaviour() -> None:
    rows = dict(re.findall(r"^\| `(unsb-pk-test-\S+)` \| (.*?) \|$", README, re.MULTILINE))
    assert rows == {account.public_key: purpose for purpose, account in TEST_ACCOUNTS.items()}


def test_the_seed_file_of_the_readme_is_one() -> None:
    (entry,) = tomllib.loads(blocks("toml")[0])["accounts"]
    assert Account(**entry).burst == 10


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_docs.page(), "run: python -m scripts.settings_docs"


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
