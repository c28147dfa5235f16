"""Finished jobs on disk: one JSON document each, kept for a while."""

from concurrent.futures import Future

import msgspec
from sqlalchemy import Connection, delete, insert, select

from emulator.store.database import Database
from emulator.store.tables import jobs

Document = dict[str, object]
_decode = msgspec.json.Decoder(Document).decode


class JobStore:
    """Writes through the database's writer thread; reads where it is called."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, job_id: str, owner: str, completed_at: float, document: Document
    ) -> "Future[None]":
        """Queue a finished job; the future resolves when it is on disk."""

        def write(connection: Connection) -> None:
            row = {
                "job_id": job_id,
                "owner": owner,
                "completed_at": completed_at,
                "document": msgspec.json.encode(document),
            }
            connection.execute(insert(jobs).values(row))

        return self._database.submit(write)

    def get(self, job_id: str, owner: str, since: float) -> Document | None:
        """The document of an account's job that ended at `since` or later."""
        query = select(jobs.c.document).where(
            jobs.c.job_id == job_id, jobs.c.owner == owner, jobs.c.completed_at >= since
        )
        with self._database.engine.connect() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return None if document is None else _decode(document)

    def expire(self, before: float) -> None:
        """Forget what ended earlier than `before`; the write is queued."""

        def write(connection: Connection) -> None:
            connection.execute(delete(jobs).where(jobs.c.completed_at < before))

        self._database.submit(write)
