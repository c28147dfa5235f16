import base64
import stat
from pathlib import Path

import pytest

from emulator.settings import SettingError
from emulator.store.secrets import MASTER_KEY_VARIABLE, SecretBox, load_key


def test_a_sealed_secret_opens_in_its_own_context_only() -> None:
    box = SecretBox(b"k" * 32)
    sealed = box.seal("s3cret", "row 1")
    assert b"s3cret" not in sealed
    assert box.open(sealed, "row 1") == "s3cret"
    with pytest.raises(SettingError, match="row 2 does not open"):
        box.open(sealed, "row 2")


def test_another_key_opens_nothing() -> None:
    sealed = SecretBox(b"k" * 32).seal("s3cret", "row")
    with pytest.raises(SettingError, match="is not the one"):
        SecretBox(b"x" * 32).open(sealed, "row")


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "config" / "secret.key"
    key = load_key(file)
    assert len(key) == 32
    assert load_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    load_key(file)
    file.chmod(0o644)
    with pytest.raises(SettingError, match="chmod 600"):
        load_key(file)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MASTER_KEY_VARIABLE, base64.b64encode(b"e" * 32).decode())
    assert load_key(tmp_path / "secret.key") == b"e" * 32
    assert not (tmp_path / "secret.key").exists()


def test_a_malformed_key_is_refused_without_showing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MASTER_KEY_VARIABLE, "hunter2")
    with pytest.raises(SettingError) as refusal:
        load_key(tmp_path / "secret.key")
    assert "hunter2" not in str(refusal.value)
