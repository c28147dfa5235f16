"""Jobs on disk, within a budget: what was accepted, and for a while what became of it."""

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from emulator.store.database import Database
from emulator.store.documents import Document, pack, unpack
from emulator.store.tables import jobs

_ROW_BYTES = 1024
"""About what a job takes besides its result: row, indexes, a page that is not full."""

_KEPT = 7 / 8
"""How much of the budget is left when results are dropped, so that it is not done every time."""

_COPIED = ("job_id", "owner", "created_at", "status", "started_at", "completed_at")
_SUMMARY = tuple(jobs.c[name] for name in (*_COPIED, "known"))
_UPSERT = insert(jobs)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[jobs.c.job_id],
    set_={
        name: _UPSERT.excluded[name]
        for name in ("status", "started_at", "completed_at", "bytes", "result")
    },
)
_OLDEST = (
    select(jobs.c.job_id, jobs.c.bytes)
    .where(jobs.c.completed_at.is_not(None), jobs.c.owner == bindparam("of"))
    .order_by(jobs.c.completed_at)
)
_TOTALS = select(jobs.c.owner, func.sum(jobs.c.bytes)).group_by(jobs.c.owner)
_DROP = delete(jobs).where(jobs.c.job_id == bindparam("dropped"))


@dataclass(slots=True)
class JobRecord:
    """A job as it is kept. `known` is certain from its start, `result` from its end.

    Times are seconds since 1970. Neither document repeats what follows from the rest.
    """

    job_id: str
    owner: str
    known: Document
    created_at: float
    status: str
    started_at: float | None = None
    completed_at: float | None = None
    result: Document = field(default_factory=dict)


class JobStore:
    """Writes through the database's writer thread; reads in the thread of its caller."""

    def __init__(self, database: Database, budget: int) -> None:
        """Take `budget` bytes at most for all results together."""
        self._database = database
        self._budget = budget
        self._estimate = 0
        """At least the bytes that are stored; known to the writer thread alone."""
        database.submit(self._count)

    def save(self, record: JobRecord, *, urgent: bool = False) -> "Future[None]":
        """Queue a job, or what has become of it; the future resolves when it is on disk."""
        row = {name: getattr(record, name) for name in _COPIED}
        known, result = record.known, record.result

        def write(connection: Connection) -> None:
            packed = self._packed(result)
            size = len(packed) + _ROW_BYTES
            document = {"known": pack(known), "bytes": size, "result": packed}
            connection.execute(_UPSERT, row | document)
            self._estimate += size
            if self._estimate > self._budget:
                self._trim(connection)

        return self._database.submit(write, weight_of(result), urgent=urgent)

    def get(self, job_id: str, owner: str, since: float) -> JobRecord | None:
        """An account's job that ended at `since` or later."""
        query = select(*_SUMMARY, jobs.c.result).where(
            jobs.c.job_id == job_id, jobs.c.owner == owner, jobs.c.completed_at >= since
        )
        with self._database.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _record(row, unpack(row.result))

    def ended(self, owner: str, since: float, limit: int) -> list[JobRecord]:
        """An account's jobs that ended at `since` or later, the latest first, without results."""
        query = select(*_SUMMARY).where(jobs.c.owner == owner, jobs.c.completed_at >= since)
        query = query.order_by(jobs.c.completed_at.desc()).limit(limit)
        with self._database.engine.connect() as connection:
            return [_record(row, {}) for row in connection.execute(query)]

    def end_unfinished(self, status: str, now: float, result: Document) -> None:
        """End every job that has none: nobody carries it out any more."""
        packed = pack(result)
        end = update(jobs).where(jobs.c.completed_at.is_(None))
        values = {
            "status": status,
            "completed_at": func.max(now, jobs.c.created_at),
            "result": packed,
            "bytes": len(packed) + _ROW_BYTES,
        }

        def write(connection: Connection) -> None:
            connection.execute(end.values(values))

        self._database.submit(write, urgent=True).result()

    def expire(self, before: float) -> None:
        """Queue the removal of what ended earlier than `before`; its space is given back."""

        def write(connection: Connection) -> None:
            connection.execute(delete(jobs).where(jobs.c.completed_at < before))
            self._count(connection)

        self._database.submit(write)
        self._database.give_space_back()

    def _packed(self, result: Document) -> bytes:
        """`result` as bytes; of one that is larger than the whole budget only what is short."""
        packed = pack(result)
        if len(packed) + _ROW_BYTES <= self._budget * _KEPT:
            return packed
        short = {name: value for name, value in result.items() if weight_of(value) < _ROW_BYTES}
        note = "Its output was larger than the emulator keeps; the setting is job_store"
        return pack({"stdout": "", "stderr": "", **short, "message": note})

    def _count(self, connection: Connection) -> None:
        self._estimate = connection.execute(select(func.sum(jobs.c.bytes))).scalar_one() or 0

    def _trim(self, connection: Connection) -> None:
        """Drop results until the rest is well within the budget: the oldest of who holds most."""
        self._count(connection)
        if self._estimate <= self._budget:
            return
        totals: dict[str, int] = dict(connection.execute(_TOTALS).all())
        share = fair_share(totals.values(), int(self._budget * _KEPT))
        dropped = [
            {"dropped": job_id}
            for owner, total in totals.items()
            for job_id in _oldest(connection, owner, total - share)
        ]
        if dropped:
            connection.execute(_DROP, dropped)
        self._count(connection)


def _oldest(connection: Connection, owner: str, over: int) -> Iterator[str]:
    """An account's oldest results, until they are `over` bytes together."""
    for job_id, size in connection.execute(_OLDEST, {"of": owner}):
        if over <= 0:
            return
        over -= size
        yield job_id


def fair_share(totals: Iterable[int], budget: int) -> int:
    """The most that each may keep, so that all is within `budget`: who holds less loses nothing."""
    ordered = sorted(totals)
    left = budget
    for smaller, total in enumerate(ordered):
        share = left // (len(ordered) - smaller)
        if total > share:
            return share
        left -= total
    return budget


def _record(row: Any, result: Document) -> JobRecord:  # noqa: ANN401 - a row of _SUMMARY
    copied = {name: getattr(row, name) for name in _COPIED}
    return JobRecord(known=unpack(row.known), result=result, **copied)


def weight_of(value: object) -> int:
    """About how many bytes of memory a document takes."""
    if isinstance(value, dict):
        return 64 + sum(64 + weight_of(item) for item in value.values())
    if isinstance(value, list):
        return 64 + sum(weight_of(item) for item in value)
    return sys.getsizeof(value) if isinstance(value, str) else 32
