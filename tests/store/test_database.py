from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from emulator.settings import SettingError
from emulator.store.database import Database, DirectoryLock, Write
from emulator.store.tables import properties


def put(name: str) -> Write:
    def write(connection: Connection) -> None:
        connection.execute(insert(properties).values(name=name, value="x"))

    return write


def test_what_was_submitted_is_written_before_the_end(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        for number in range(1000):
            database.submit(put(str(number)))
    with Database(tmp_path) as database, database.engine.connect() as connection:
        assert len(connection.execute(select(properties)).all()) == 1000


def test_what_is_urgent_takes_along_what_waits(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        patient = database.submit(put("patient"))
        database.submit(put("urgent"), urgent=True).result(timeout=10)
        assert patient.done()


def test_a_write_that_fails_does_not_take_its_batch_along(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        futures = [database.submit(put(name)) for name in ("a", "b", "a", "c")]
        failures = [future.exception(timeout=10) is not None for future in futures]
    assert failures == [False, False, True, False]


def test_a_write_that_nobody_waits_for_any_more_is_done_all_the_same(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        abandoned = database.submit(put("abandoned"))
        assert not abandoned.cancel()
        database.submit(put("next"), urgent=True).result(timeout=10)
        with database.engine.connect() as connection:
            assert len(connection.execute(select(properties)).all()) == 2


def test_what_was_to_be_written_is_in_no_message(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        database.submit(put("s3cret"))
        failure = database.submit(put("s3cret"), urgent=True).exception(timeout=10)
    assert failure is not None
    assert "s3cret" not in str(failure)


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Database(tmp_path) as database, database.engine.begin() as connection:
        connection.execute(text("PRAGMA user_version = 99"))
    with pytest.raises(SettingError, match="newer emulator"), Database(tmp_path):
        pass


def test_a_data_directory_has_one_emulator_at_a_time(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path), pytest.raises(SettingError, match="--data-dir"):
        DirectoryLock(tmp_path)
    with DirectoryLock(tmp_path):
        pass


def test_the_state_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    with Database(tmp_path / "data") as database:
        assert database.path.stat().st_mode & 0o077 == 0
        assert database.path.parent.stat().st_mode & 0o077 == 0
