"""Sessions on disk: what is needed to find them again after a restart."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass

import msgspec
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from emulator.store.database import Database
from emulator.store.documents import pack, unpack
from emulator.store.tables import properties, sessions

_LAST_MACHINE = "last_machine"
_FIRST_MACHINE = 10_000
_RESERVED = 100
"""Numbers that are written down at once: those not used by the end of the emulator are lost."""


@dataclass(slots=True, kw_only=True)
class SessionRecord:
    """A session as it is kept. Times are seconds since 1970; a `ttl` of 0 has no end.

    `base_vcpu` is what it was made with, `vcpu` what it has; `opened` is true once a shell was
    opened, `audited` when what it shows is recorded.
    """

    session_id: str
    owner: str
    container_id: str
    container_name: str
    image: str
    shell: str
    network_mode: str
    multiplexer: str | None
    ttl: int
    created_at: float
    base_vcpu: int
    vcpu: int
    audited: bool
    locked: bool = False
    frozen: bool = False
    opened: bool = False

    @property
    def expires_at(self) -> float | None:
        return self.created_at + self.ttl if self.ttl else None

    @property
    def boosted(self) -> bool:
        return self.vcpu > self.base_vcpu

    @property
    def added_vcpu(self) -> int:
        return self.vcpu - self.base_vcpu

    @property
    def slots(self) -> int:
        """What it takes of its account's slots: none while frozen, more while boosted."""
        return 0 if self.frozen else 1 + self.added_vcpu


class SessionStore:
    """Writes through the database's writer thread; reads in the thread of its caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: SessionRecord) -> "Future[None]":
        """Queue a session as it is now; the future resolves when it is on disk."""
        row = {
            "session_id": record.session_id,
            "owner": record.owner,
            "state": pack(asdict(record)),
        }
        statement = upsert(sessions).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=[sessions.c.session_id], set_={"state": row["state"]}
        )

        def write(connection: Connection) -> None:
            connection.execute(statement)

        return self._database.submit(write, urgent=True)

    def remove(self, session_id: str) -> None:
        """Queue the removal of one that has ended."""
        statement = delete(sessions).where(sessions.c.session_id == session_id)

        def write(connection: Connection) -> None:
            connection.execute(statement)

        self._database.submit(write)

    def all(self) -> list[SessionRecord]:
        """Every session that has not ended."""
        with self._database.engine.connect() as connection:
            states = connection.execute(select(sessions.c.state)).scalars().all()
        return [msgspec.convert(unpack(state), SessionRecord) for state in states]


class MachineNames:
    """`unsb-vm-10001` and so on: no name is given twice, over restarts neither."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names = self._count(self._last())

    def next(self) -> str:
        return next(self._names)

    def _last(self) -> int:
        query = select(properties.c.value).where(properties.c.name == _LAST_MACHINE)
        with self._database.engine.connect() as connection:
            value = connection.execute(query).scalar_one_or_none()
        return _FIRST_MACHINE if value is None else int(value)

    def _count(self, last: int) -> Iterator[str]:
        while True:
            self._reserve(last + _RESERVED)
            for number in range(last + 1, last + _RESERVED + 1):
                yield f"unsb-vm-{number}"
            last += _RESERVED

    def _reserve(self, last: int) -> None:
        def write(connection: Connection) -> None:
            connection.execute(delete(properties).where(properties.c.name == _LAST_MACHINE))
            connection.execute(insert(properties).values(name=_LAST_MACHINE, value=str(last)))

        self._database.submit(write, urgent=True)
