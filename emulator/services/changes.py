"""Changes of a service's record: its name, size, ports, domains, and how it wakes."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from emulator.accounts import Account
from emulator.sandbox.machine import Machines
from emulator.services import names
from emulator.services.service import Service
from emulator.services.services import Services, require_running
from emulator.sessions.promises import Promises
from emulator.sessions.sizing import Sizing
from emulator.stop import Stop

_TOO_SMALL = "The service uses {used} MiB of memory, and would have {limit} MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be otherwise; None is left as it is."""

    name: str | None = None
    custom_domains: Sequence[str] | None = None
    vcpu: int | None = None
    ports: Sequence[int] | None = None
    unfreeze_on_demand: bool | None = None
    show_freeze_page: bool | None = None


class Changing:
    """Changes services, each change whole or not at all."""

    def __init__(self, services: Services, machines: Machines, promises: Promises) -> None:
        self._services = services
        self._sizing = Sizing(machines, promises, _TOO_SMALL)

    async def update(self, service: Service, changes: Changes, account: Account) -> None:
        """Make all changes, or none.

        Raises:
            BadRequest: a domain is no name that could be had.
            Conflict: the name is taken, or it uses more memory than it would have, or is frozen
                while its size is to change.
            DomainTaken: another service has one of its domains.
            ConcurrencyLimited: each vCPU over what it was made with takes a slot.
            NoCapacity: there was no memory, or no port of this machine, in time.
        """
        record = service.record
        async with self._services.held(service), AsyncExitStack() as undo:
            self._check(service, changes)
            if changes.ports is not None:
                before = record.ports
                await self._set_ports(service, changes.ports)
                undo.push_async_callback(self._set_ports, service, before)
            if changes.vcpu is not None and changes.vcpu != record.vcpu:
                require_running(service)
                await self._sizing.change(service, changes.vcpu, account, Stop())
            self._check(service, changes)  # others may have taken what was free
            self._apply(service, changes)
            undo.pop_all()
            await self._services.saved(service)

    async def set_domains(
        self,
        service: Service,
        replaced: Sequence[str] | None,
        added: Sequence[str],
        removed: Sequence[str],
    ) -> None:
        """Replace its domains, or without that add some and remove others.

        Raises:
            BadRequest: one is no name that could be had.
            DomainTaken: another service has one.
        """
        async with self._services.held(service):
            gone = set(names.lowered(removed))
            kept = [name for name in service.record.custom_domains if name not in gone]
            wanted = [*kept, *added] if replaced is None else replaced
            service.record.custom_domains = self._domains(service, wanted)
            await self._services.saved(service)

    def _check(self, service: Service, changes: Changes) -> None:
        """Raise what names and domains do, and change nothing."""
        if changes.name is not None:
            names.require_free_name(changes.name, service.record.owner, self._others(service))
        if changes.custom_domains is not None:
            self._domains(service, changes.custom_domains)

    def _apply(self, service: Service, changes: Changes) -> None:
        record = service.record
        if changes.custom_domains is not None:
            record.custom_domains = self._domains(service, changes.custom_domains)
        if changes.name is not None and changes.name != record.name:
            record.name = changes.name
            record.label = names.label(changes.name, service.id, self._others(service))
        if changes.unfreeze_on_demand is not None:
            record.unfreeze_on_demand = changes.unfreeze_on_demand
        if changes.show_freeze_page is not None:
            record.show_freeze_page = changes.show_freeze_page

    async def _set_ports(self, service: Service, ports: Sequence[int]) -> None:
        before, service.record.ports = service.record.ports, list(ports)
        try:
            await self._services.open_ports(service)
        except BaseException:
            service.record.ports = before
            raise

    def _domains(self, service: Service, wanted: Sequence[str]) -> list[str]:
        return self._services.free_domains(wanted, service.record.owner, self._others(service))

    def _others(self, service: Service) -> list[Service]:
        return [one for one in self._services.all() if one is not service]
