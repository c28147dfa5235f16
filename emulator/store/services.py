"""Services on disk: all that is needed to have them again after a restart, of the engine too."""

from concurrent.futures import Future
from dataclasses import asdict, dataclass, field

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from emulator.store.database import Database
from emulator.store.documents import pack, unpack
from emulator.store.tables import services


@dataclass(slots=True, kw_only=True)
class ServiceRecord:
    """A service as it is kept. Times are seconds since 1970.

    `label` is the first of its host name; `script` its bootstrap; `exit_code` what that ended with
    last; `deployed` is false from when the script is to run until it does. `base_vcpu` is what it
    was made with, `vcpu` what it has.
    """

    service_id: str
    owner: str
    name: str
    label: str
    container_id: str
    container_name: str
    image: str
    network_mode: str
    service_type: str
    ports: list[int]
    custom_domains: list[str]
    script: str | None
    created_at: float
    base_vcpu: int
    vcpu: int
    unfreeze_on_demand: bool
    show_freeze_page: bool = True
    locked: bool = False
    frozen: bool = False
    exit_code: int | None = None
    deployed: bool = True
    host_ports: dict[str, int] = field(default_factory=dict)

    @property
    def added_vcpu(self) -> int:
        return max(0, self.vcpu - self.base_vcpu)

    @property
    def slots(self) -> int:
        """What it takes of its account's slots: none while frozen, more for added vCPUs."""
        return 0 if self.frozen else 1 + self.added_vcpu


class ServiceStore:
    """Writes through the database's writer thread; reads in the thread of its caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, record: ServiceRecord) -> "Future[None]":
        """Queue a service as it is now; the future resolves when it is on disk."""
        row = {
            "service_id": record.service_id,
            "owner": record.owner,
            "state": pack(asdict(record)),
        }
        statement = upsert(services).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=[services.c.service_id], set_={"state": row["state"]}
        )

        def write(connection: Connection) -> None:
            connection.execute(statement)

        return self._database.submit(write, urgent=True)

    def remove(self, service_id: str) -> "Future[None]":
        """Queue the removal of one that is destroyed; the future resolves when it is gone."""
        statement = delete(services).where(services.c.service_id == service_id)

        def write(connection: Connection) -> None:
            connection.execute(statement)

        return self._database.submit(write, urgent=True)

    def all(self) -> list[ServiceRecord]:
        """Every service there is."""
        with self._database.engine.connect() as connection:
            states = connection.execute(select(services.c.state)).scalars().all()
        return [msgspec.convert(unpack(state), ServiceRecord) for state in states]
