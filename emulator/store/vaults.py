"""The vaults of services on disk, sealed: what they hold is read with the master key alone."""

from collections.abc import Collection, Mapping
from concurrent.futures import Future

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from emulator.store.database import Database
from emulator.store.secrets import SecretBox
from emulator.store.tables import vaults


class VaultStore:
    """Writes through the database's writer thread; reads in the thread of its caller."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def read(self, service_id: str) -> tuple[dict[str, str], float] | None:
        """The variables of a service and when they were put there; None where it has none.

        Raises:
            SettingError: the master key is not the one that sealed them.
        """
        query = select(vaults.c.box, vaults.c.updated_at).where(vaults.c.service_id == service_id)
        with self._database.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        text = self._box.open(row.box, service_id)
        return msgspec.json.decode(text, type=dict[str, str]), row.updated_at

    def save(self, service_id: str, variables: Mapping[str, str], at: float) -> "Future[None]":
        """Queue `variables` in the place of others; the future resolves when they are on disk."""
        box = self._box.seal(msgspec.json.encode(variables).decode(), service_id)
        row = {"box": box, "updated_at": at}
        statement = upsert(vaults).values(service_id=service_id, **row)
        statement = statement.on_conflict_do_update(index_elements=[vaults.c.service_id], set_=row)

        def write(connection: Connection) -> None:
            connection.execute(statement)

        return self._database.submit(write, len(box), urgent=True)

    def remove(self, service_id: str) -> "Future[None]":
        """Queue the removal of a vault; the future resolves when it is gone."""
        statement = delete(vaults).where(vaults.c.service_id == service_id)

        def write(connection: Connection) -> None:
            connection.execute(statement)

        return self._database.submit(write, urgent=True)

    def keep_only(self, service_ids: Collection[str]) -> None:
        """Queue the removal of those of all other services."""
        statement = delete(vaults).where(vaults.c.service_id.not_in(service_ids))

        def write(connection: Connection) -> None:
            connection.execute(statement)

        self._database.submit(write)
