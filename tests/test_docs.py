"""The documentation is run, or compared with what it describes."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from emulator.accounts import TEST_ACCOUNTS, Account
from emulator.control.routes import ENDPOINTS
from emulator.faults import Rule
from emulator.paths import ROOT, RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from scripts import languages_docs, settings_docs
from tests.server import Server, running, settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTROL = (ROOT / "docs" / "control.md").read_text(encoding="utf-8")
SESSIONS = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
SERVICES = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")


def blocks(language: str, after: str = "", text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text[text.index(after) :], re.DOTALL)


def assert_does_what_it_shows(script: str, server: Server, directory: Path, count: int) -> None:
    """Every command's output holds what its comment below it shows."""
    script = script.replace("http://127.0.0.1:8042", server.api)
    script = script.replace("http://127.0.0.1:8043", server.admin)
    script = script.replace(".on.localhost:8042", f".on.localhost:{urlsplit(server.api).port}")
    shown = [line.removeprefix("# ") for line in script.splitlines() if line.startswith("# ")]
    run = subprocess.run(
        ["bash", "-ec", script],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    printed = run.stdout.strip().splitlines()
    assert run.stderr == ""
    assert len(printed) == len(shown) == count
    for line, expected in zip(printed, shown, strict=True):
        assert expected in line


def test_the_tour_does_what_it_shows(server: Server, tmp_path: Path) -> None:
    tour = blocks("sh", "<!-- tour -->")[0]
    assert_does_what_it_shows(f"set -u\n{tour}", server, tmp_path, 9)


def test_the_service_of_the_readme_does_what_it_shows(server: Server, tmp_path: Path) -> None:
    tour, service = blocks("sh", "<!-- tour -->")[0], blocks("sh", "<!-- service -->")[0]
    definitions = tour.partition('curl -sS "$API/health"')[0]
    script = f"{definitions}\n{service}"
    assert_does_what_it_shows(script, server, tmp_path, 8)


def test_the_page_of_the_control_surface_does_what_it_shows(tmp_path: Path) -> None:
    script = "\n".join(blocks("sh", text=CONTROL))
    with running(settings(tmp_path, languages="bash", pool_size="1")) as server:
        assert_does_what_it_shows(script, server, tmp_path, 19)


def test_the_page_of_sessions_does_what_it_shows(server: Server, tmp_path: Path) -> None:
    assert_does_what_it_shows("\n".join(blocks("sh", text=SESSIONS)), server, tmp_path, 6)


def test_the_page_of_services_does_what_it_shows(server: Server, tmp_path: Path) -> None:
    assert_does_what_it_shows("\n".join(blocks("sh", text=SERVICES)), server, tmp_path, 12)


def test_the_page_of_the_control_surface_has_every_endpoint() -> None:
    told = set(re.findall(r"^\| `([A-Z]+) (/_emulator/\S+)` \|", CONTROL, re.MULTILINE))
    assert told == {(method, path) for method, path, _ in ENDPOINTS}


def test_the_page_of_the_control_surface_has_every_field_of_a_rule() -> None:
    told = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", CONTROL, re.MULTILINE))
    assert {name for names in told for name in names if name} == {*Rule.__struct_fields__}


def test_every_test_key_is_documented_with_its_behaviour() -> None:
    rows = dict(re.findall(r"^\| `(unsb-pk-test-\S+)` \| (.*?) \|$", README, re.MULTILINE))
    assert rows == {account.public_key: purpose for purpose, account in TEST_ACCOUNTS.items()}


def test_the_seed_file_of_the_readme_is_one() -> None:
    (entry,) = tomllib.loads(blocks("toml")[0])["accounts"]
    assert Account(**entry).burst == 10


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_docs.page(), "run: python -m scripts.settings_docs"


def test_the_page_of_languages_is_up_to_date() -> None:
    written = languages_docs.FILE.read_text(encoding="utf-8")
    assert written == languages_docs.written(), "run: python -m scripts.languages_docs"


def test_the_page_of_languages_has_each_of_them_once_and_no_figure_of_another_version() -> None:
    measured = json.loads(languages_docs.MEASURED.read_text(encoding="utf-8"))
    names = [*(row["language"] for row in measured["languages"]), *measured["not_run"]]
    assert sorted(names) == sorted(Catalogue.load(RUNTIMES).languages())


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
