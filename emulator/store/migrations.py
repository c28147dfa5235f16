"""The steps that bring the file of an older version to the tables of this one."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, text

from emulator.store.documents import Document, pack
from emulator.store.tables import jobs, metadata, services, sessions, vaults

Migration = Callable[[Connection], None]

_DERIVED = ("job_id", "id", "status", "output", "execution_time", "execution_time_ms")
_TIMES = ("created_at", "started_at", "completed_at")
_KNOWN = ("language", "network_mode", "detected_language")


def _compact_jobs(connection: Connection) -> None:
    """Version 1 kept each finished job as one JSON document."""
    for statement in ("DROP INDEX jobs_by_owner", "ALTER TABLE jobs RENAME TO jobs_of_version_1"):
        connection.execute(text(statement))
    metadata.create_all(connection, tables=[jobs])
    old = connection.execute(
        text("SELECT job_id, owner, completed_at, document FROM jobs_of_version_1")
    )
    for job_id, owner, completed_at, document in old:
        row = _row(msgspec.json.decode(document, type=Document))
        row |= {"job_id": job_id, "owner": owner, "completed_at": completed_at}
        connection.execute(insert(jobs).values(row))
    connection.execute(text("DROP TABLE jobs_of_version_1"))


def _row(document: Document) -> Document:
    created, started = (_seconds(document.pop(name)) for name in _TIMES[:2])
    status = document["status"]
    known = {name: document.pop(name) for name in _KNOWN if name in document}
    for name in (*_DERIVED, *_TIMES):
        document.pop(name, None)
    for artifact in document.get("artifacts", ()):  # type: ignore[attr-defined]
        artifact.pop("content_base64", None)
    result = pack(document)
    return {
        "status": status,
        "known": pack(known),
        "created_at": created,
        "started_at": started,
        "bytes": len(result),
        "result": result,
    }


def _seconds(isoformat: object) -> float:
    return datetime.fromisoformat(str(isoformat)).timestamp()


def _add_sessions(connection: Connection) -> None:
    """Version 2 had none."""
    metadata.create_all(connection, tables=[sessions])


def _add_services(connection: Connection) -> None:
    """Version 3 had none, and no vaults of them."""
    metadata.create_all(connection, tables=[services, vaults])


MIGRATIONS: tuple[Migration, ...] = (_compact_jobs, _add_sessions, _add_services)
"""Step N brings a file of version N + 1 to version N + 2 (`PRAGMA user_version`)."""

VERSION = len(MIGRATIONS) + 1


def migrate(connection: Connection, version: int) -> None:
    """Bring a file of `version` (0: a new one) to VERSION."""
    if version == 0:
        metadata.create_all(connection)
    else:
        for step in MIGRATIONS[version - 1 :]:
            step(connection)
    connection.execute(text(f"PRAGMA user_version = {VERSION}"))
