from pathlib import Path

import pytest

from emulator import spec_file
from emulator.paths import SPEC


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "openapi.yaml"
    made.write_text("openapi: 3.1.0\npaths: {}\n")
    return made


def test_the_document_is_the_same_from_yaml_and_from_what_was_kept(tmp_path: Path) -> None:
    parsed = spec_file.load(SPEC)
    assert parsed[0] == SPEC.read_bytes()
    for _ in range(2):
        assert spec_file.load(SPEC, tmp_path / "cache") == parsed


def test_what_was_kept_is_read_in_place_of_the_yaml(file: Path, tmp_path: Path) -> None:
    spec_file.load(file, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text('{"openapi":"kept"}')
    assert spec_file.load(file, tmp_path / "cache")[1] == {"openapi": "kept"}


def test_a_changed_file_is_parsed_and_takes_the_place_of_the_old(
    file: Path, tmp_path: Path
) -> None:
    spec_file.load(file, tmp_path / "cache")
    file.write_text("openapi: 3.2.0\n")
    assert spec_file.load(file, tmp_path / "cache")[1] == {"openapi": "3.2.0"}
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("broken", ["", "{", "[]"])
def test_what_was_kept_broken_is_made_anew(file: Path, tmp_path: Path, broken: str) -> None:
    spec_file.load(file, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(broken)
    assert spec_file.load(file, tmp_path / "cache")[1] == {"openapi": "3.1.0", "paths": {}}
    assert kept.read_text() == '{"openapi":"3.1.0","paths":{}}'


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert spec_file.load(file, tmp_path / "taken")[1]["openapi"] == "3.1.0"
