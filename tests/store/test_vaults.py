import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from emulator.settings import SettingError
from emulator.store.database import Database
from emulator.store.migrations import VERSION
from emulator.store.secrets import SecretBox
from emulator.store.vaults import VaultStore

BOX = SecretBox(b"k" * 32)
VALUES = {"A": "hunter2", "B": "\n☃"}


def test_a_vault_is_there_after_a_restart_and_its_values_are_not_in_the_file(
    tmp_path: Path,
) -> None:
    with Database(tmp_path) as database:
        store = VaultStore(database, BOX)
        store.save("one", {"OLD": "value"}, 1.0)
        store.save("one", VALUES, 2.5).result(10)
    assert b"hunter2" not in database.path.read_bytes()
    with Database(tmp_path) as database:
        store = VaultStore(database, BOX)
        assert store.read("one") == (VALUES, 2.5)
        assert store.read("two") is None
        store.remove("one").result(10)
        assert store.read("one") is None


def test_a_vault_opens_for_its_own_service_under_its_own_key(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        VaultStore(database, BOX).save("one", VALUES, 1.0).result(10)
        with pytest.raises(SettingError, match="secret of one does not open") as refusal:
            VaultStore(database, SecretBox(b"x" * 32)).read("one")
        assert "hunter2" not in str(refusal.value)
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE vaults SET service_id = 'two'"))
        with pytest.raises(SettingError, match="secret of two does not open"):
            VaultStore(database, BOX).read("two")


def test_a_file_of_the_version_before_gets_vaults(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        pass
    with sqlite3.connect(database.path) as connection:
        connection.executescript("DROP TABLE vaults; PRAGMA user_version = 3")
    with Database(tmp_path) as database:
        VaultStore(database, BOX).save("one", VALUES, 1.0).result(10)
        with database.engine.connect() as read:
            assert read.execute(text("PRAGMA user_version")).scalar_one() == VERSION
