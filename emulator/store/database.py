"""SQLite in WAL mode: any thread reads, one thread writes in batches."""

import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from emulator.settings import SettingError
from emulator.store.migrations import VERSION, migrate

logger = logging.getLogger(__name__)

Write = Callable[[Connection], None]
_BATCH = 256
_GATHER_SECONDS = 0.02
"""How long a write that nobody waits for waits for others, so that answers leave before it."""

_BATCH_BYTES = 8 * 1024 * 1024
"""A transaction lies in the write-ahead log as a whole, so what it writes is bounded."""

_LARGE_BYTES = 1024 * 1024
"""A batch of this size is moved from the log into the file at once, and the log cut off."""

_VACUUM_PAGES = 2048
_INCREMENTAL = 2
_PRAGMAS = (
    f"auto_vacuum={_INCREMENTAL}",  # counts for a new file, and only before all else
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "busy_timeout=5000",
    f"journal_size_limit={_BATCH_BYTES}",
)


class DirectoryLock:
    """Holds a data directory for one process; raises SettingError when another has it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise SettingError(
                f"another emulator uses the data directory {directory}; "
                "stop it, or choose another one with --data-dir"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


class Database:
    """A context manager; what was submitted before the end is written before it ends."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / "emulator.sqlite3"
        self.path.touch(mode=0o600)
        self.engine: Engine = create_engine(
            f"sqlite:///{self.path}",
            hide_parameters=True,  # errors are logged, and what programs print may be secret
        )
        event.listen(self.engine, "connect", _prepare_connection)
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._wasteful = threading.Event()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)

    def __enter__(self) -> Self:
        self._migrate()
        self._writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._hurry.set()
        self._writer.join()
        self.engine.dispose()

    def submit(self, write: Write, weight: int = 0, *, urgent: bool = False) -> Future[None]:
        """Queue `write` of about `weight` bytes; the future resolves when its batch is committed.

        Somebody waits for what is `urgent`: it is written at once, with all that is queued.
        """
        item = _Item(write, weight)
        item.written.set_running_or_notify_cancel()  # who gives up waiting takes nothing back
        self._queue.put(item)
        if urgent:
            self._hurry.set()
        return item.written

    def give_space_back(self) -> None:
        """Queue the return of pages that are no longer used to the file system."""
        self.submit(lambda _: self._wasteful.set())

    def _migrate(self) -> None:
        with self.engine.begin() as connection:
            version = int(connection.execute(text("PRAGMA user_version")).scalar_one())
            if version > VERSION:
                raise SettingError(f"{self.path} was written by a newer emulator")
            if version < VERSION:
                migrate(connection, version)
        with self.engine.connect() as connection:
            plain = connection.execution_options(isolation_level="AUTOCOMMIT")
            if plain.execute(text("PRAGMA auto_vacuum")).scalar_one() != _INCREMENTAL:
                plain.execute(text(f"PRAGMA auto_vacuum = {_INCREMENTAL}"))
                plain.execute(text("VACUUM"))
        self.path.chmod(0o600)

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            self._hurry.wait(_GATHER_SECONDS)
            self._hurry.clear()
            batch, weight = [first], first.weight
            stop = False
            with suppress(queue.Empty):
                while len(batch) < _BATCH and weight < _BATCH_BYTES:
                    item = self._queue.get_nowait()
                    if item is None:
                        stop = True
                        break
                    batch.append(item)
                    weight += item.weight
            self._commit(batch)
            self._tidy(weight)
            if stop:
                return

    def _commit(self, batch: "list[_Item]") -> None:
        """One transaction for all; where it fails, each alone, so that only the bad one is lost."""
        try:
            with self.engine.begin() as connection:
                for item in batch:
                    item.write(connection)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(batch) == 1:
                batch[0].written.set_exception(error)
                return
            for item in batch:
                self._commit([item])
            return
        for item in batch:
            item.written.set_result(None)

    def _tidy(self, weight: int) -> None:
        """Keep log and file small; what cannot be done now (disk full, a reader) is done later."""
        try:
            if weight >= _LARGE_BYTES:
                self._cut_log()
            if self._wasteful.is_set():
                self._vacuum()
                self._wasteful.clear()
        except (SQLAlchemyError, sqlite3.Error) as error:
            logger.warning("the state's file cannot be made smaller now: %s", error)

    def _vacuum(self) -> None:
        """In steps that the log can hold; `execute` would free one page, a script frees all."""
        before, free = None, -1
        while free and free != before:
            with self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the only driver
                driver.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                before, (free,) = free, driver.execute("PRAGMA freelist_count").fetchone()
            self._cut_log()

    def _cut_log(self) -> None:
        """Move the write-ahead log into the file and empty it, unless somebody still reads it."""
        with self.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


@dataclass(eq=False, slots=True)
class _Item:
    """A write in the queue."""

    write: Write
    weight: int
    written: "Future[None]" = field(default_factory=Future)


def _prepare_connection(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a DBAPI object
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
