"""SQLite in WAL mode: any thread reads, one thread writes in batches."""

import fcntl
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text

from emulator.settings import SettingError
from emulator.store.tables import MIGRATIONS

Write = Callable[[Connection], None]
_BATCH = 256


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
        self.engine: Engine = create_engine(f"sqlite:///{self.path}")
        event.listen(self.engine, "connect", _prepare_connection)
        self._queue: queue.SimpleQueue[tuple[Write, Future[None]] | None] = queue.SimpleQueue()
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
        self._writer.join()
        self.engine.dispose()

    def submit(self, write: Write) -> Future[None]:
        """Queue `write`; the future resolves when its batch is committed."""
        future: Future[None] = Future()
        self._queue.put((write, future))
        return future

    def _migrate(self) -> None:
        with self.engine.begin() as connection:
            version = int(connection.execute(text("PRAGMA user_version")).scalar_one())
            if version > len(MIGRATIONS):
                raise SettingError(f"{self.path} was written by a newer emulator")
            for step in MIGRATIONS[version:]:
                step(connection)
            connection.execute(text(f"PRAGMA user_version = {len(MIGRATIONS)}"))
        self.path.chmod(0o600)

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            stop = False
            with suppress(queue.Empty):
                while len(batch) < _BATCH:
                    item = self._queue.get_nowait()
                    if item is None:
                        stop = True
                        break
                    batch.append(item)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[tuple[Write, Future[None]]]) -> None:
        """One transaction for all; where it fails, each alone, so that only the bad one is lost."""
        try:
            with self.engine.begin() as connection:
                for write, _ in batch:
                    write(connection)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for item in batch:
                self._commit([item])
            return
        for _, future in batch:
            future.set_result(None)


def _prepare_connection(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a DBAPI object
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
