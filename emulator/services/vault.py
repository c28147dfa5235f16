"""The vault of a service: its secret environment variables.

Values are shown by the export alone, and given to programs of the service. On disk they are sealed;
no repr, error, log line or list has any of them.
"""

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from emulator.clock import Clock
from emulator.errors import BadRequest
from emulator.services import env_file
from emulator.services.env_file import EnvFileError
from emulator.store.vaults import VaultStore

VAULT_BYTES: Final = 65_536
"""Of a vault as `.env` text, in UTF-8; clients send no more either."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
"""What a shell can use: the contract's rule for environments."""

Variables = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vault:
    """What a service has; `updated_at` is in seconds since 1970, None where it never had any."""

    variables: Variables = field(default_factory=dict, repr=False)
    updated_at: float | None = None


class Vaults:
    """The vaults of all services, by the services' ids. One that is empty is none."""

    def __init__(self, store: VaultStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._changing = asyncio.Lock()

    def look(self, service_id: str) -> Vault:
        kept = self._store.read(service_id)
        return Vault() if kept is None else Vault(*kept)

    def environment(self, service_id: str) -> dict[str, str]:
        """What programs of a service that start now get."""
        return dict(self.look(service_id).variables)

    async def fill(self, service_id: str, variables: Variables) -> Vault:
        """Put `variables` in the place of all that was in the vault; they are on disk then.

        Raises:
            BadRequest: no process can have them, or they are too large together.
        """
        await asyncio.to_thread(_check, variables)
        async with self._changing:
            return await self._keep(service_id, variables)

    async def take_out(self, service_id: str, names: Collection[str] | None) -> list[str]:
        """Delete variables, or with None all of them; the names of those that were there."""
        async with self._changing:
            variables = self.look(service_id).variables
            gone = [name for name in variables if names is None or name in names]
            if gone:
                left = {name: variables[name] for name in variables if name not in gone}
                await self._keep(service_id, left)
            return gone

    async def forget(self, service_id: str) -> None:
        """Remove the vault of a service that is deleted."""
        await self.take_out(service_id, None)

    def keep_only(self, service_ids: Collection[str]) -> None:
        """Remove those of all other services."""
        self._store.keep_only(service_ids)

    async def _keep(self, service_id: str, variables: Variables) -> Vault:
        now = self._clock.time()
        if variables:
            await asyncio.wrap_future(self._store.save(service_id, variables, now))
        else:
            await asyncio.wrap_future(self._store.remove(service_id))
        return Vault(variables, now)


async def from_text(text: str) -> Variables:
    """The variables of a `.env` file, in which the last one of a name counts.

    Raises:
        BadRequest: a line cannot be read, or no process can have what it says.
    """
    try:
        return await asyncio.to_thread(_from_text, text)
    except EnvFileError as error:
        raise BadRequest(f"env: {error}") from None


def _from_text(text: str) -> Variables:
    assignments = env_file.read(text)
    for line, name, value in assignments:
        _check_variable(name, value, f"line {line}")
    return {it.name: it.value for it in assignments}


async def as_text(variables: Variables) -> str:
    """A `.env` file that reads as `variables`."""
    return await asyncio.to_thread(env_file.write, variables)


def _check(variables: Variables) -> None:
    for name, value in variables.items():
        _check_variable(name, value, "env")
    size = _size(variables)
    if size > VAULT_BYTES:
        raise BadRequest(
            f"env: a vault has at most {VAULT_BYTES} bytes as a .env file; this one has {size}"
        )


def _check_variable(name: str, value: str, where: str) -> None:
    """Neither may be told: what stands for a name in a broken file may be a part of a secret."""
    if NAME.fullmatch(name) is None:
        raise BadRequest(
            f"{where}: a name has letters, digits and _, at most 255, and no digit first"
        )
    if "\0" in value:
        raise BadRequest(f"{where}: a value must not contain NUL")


def _size(variables: Variables) -> int:
    least = sum(len(name) + len(value) for name, value in variables.items())
    return least if least > VAULT_BYTES else len(env_file.write(variables).encode())
