"""Services from their start to their end, and over restarts of the emulator and the engine."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from emulator import ids
from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Locked,
    NoCapacity,
    NotFound,
    SandboxFailed,
)
from emulator.limits import Holding, Slots
from emulator.sandbox.agent import AgentError
from emulator.sandbox.builder import Builder, built
from emulator.sandbox.engine import EngineError
from emulator.sandbox.inputs import Inputs
from emulator.sandbox.machine import ROOT_USER, Machine, Machines
from emulator.sandbox.program import InputFile, Outcome
from emulator.sandbox.shells import IMAGE, Shells
from emulator.services import bootstrap, names
from emulator.services.log import ServiceLogs
from emulator.services.ports import HostPorts, keep_open
from emulator.services.running import FAULTS, Running
from emulator.services.served import ServedService
from emulator.services.service import Service, State
from emulator.services.vault import Variables, Vaults
from emulator.sessions.command import Commands
from emulator.sessions.disk import OnDisk
from emulator.sessions.ending import Ending, forced
from emulator.sessions.failures import failures
from emulator.sessions.promises import Promises
from emulator.stop import Stop
from emulator.store.services import ServiceRecord, ServiceStore

logger = logging.getLogger(__name__)

_DESTROYED = "The service was destroyed"
_REMOVED = "Its container was removed, with its files; destroy the service and create it again"
_ALIVE = ("running", "paused")

AccountOf = Callable[[str], Account | None]
"""The account of a public key; None when it was revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A service as asked for, every part checked."""

    name: str
    ports: tuple[int, ...]
    script: str | None
    network_mode: str
    service_type: str
    custom_domains: tuple[str, ...]
    vcpu: int
    unfreeze_on_demand: bool
    input_files: tuple[InputFile, ...] = ()
    variables: Variables = field(default_factory=dict, repr=False)


class Services:
    """All services; raises ApiError for what cannot be done with one."""

    def __init__(
        self,
        machines: Machines,
        builder: Builder,
        shells: Shells,
        store: ServiceStore,
        logs: ServiceLogs,
        vaults: Vaults,
        slots: Slots,
        promises: Promises,
        commands: Commands,
        host_ports: HostPorts,
        account_of: AccountOf,
        clock: Clock,
        queue_seconds: int,
        own_hosts: Collection[str],
    ) -> None:
        """`own_hosts` are names of the API, beside those that no service has anywhere."""
        self._commands = commands
        self._host_ports = host_ports
        self._account_of = account_of
        self.running = Running(machines, store, logs, vaults, clock)
        self.logs = logs
        self.vaults = vaults
        self._machines = machines
        self._builder = builder
        self._shells = shells
        self._store = store
        self._slots = slots
        self._promises = promises
        self._clock = clock
        self._queue_seconds = queue_seconds
        self._own_hosts = frozenset(names.lowered(own_hosts))
        self._services: dict[str, Service] = {}

    # --- finding ---------------------------------------------------------------------------

    def all(self) -> list[Service]:
        """The oldest first."""
        return list(self._services.values())

    def of(self, owner: str) -> list[Service]:
        """Those of an account."""
        return [service for service in self.all() if service.record.owner == owner]

    def find(self, name: str, owner: str) -> Service:
        """An account's service by id, name or container name; raises NotFound."""
        for service in self.of(owner):
            if service.goes_by(name):
                return service
        raise NotFound("No service of this key has this id or name; GET /services lists them")

    def find_by_id(self, service_id: str) -> Service | None:
        """Anybody's service, for who knows its whole id."""
        return self._services.get(service_id)

    def free_domains(
        self, wanted: Sequence[str], owner: str, others: Sequence[Service]
    ) -> list[str]:
        """Custom domains as they are kept; raises BadRequest or DomainTaken."""
        return names.domains(wanted, owner, others, self._own_hosts)

    # --- starting and ending ---------------------------------------------------------------

    async def create(self, account: Account, wanted: Wanted, stop: Stop) -> Service:
        """Start a service; its script runs when this returns.

        Raises:
            BadRequest: no process can have its variables.
            Conflict: the account has one of this name.
            DomainTaken: another service has one of its domains.
            ConcurrencyLimited: no slot is free.
            NoCapacity: there was no memory for it in time, or no image.
            SandboxFailed: its container did not start.
            Stopped: `stop` was requested.
        """
        names.require_free_name(wanted.name, account.public_key, self.all())
        self.free_domains(wanted.custom_domains, account.public_key, self.all())
        slots = Holding(self._slots, account.public_key)
        slots.take(account)
        async with AsyncExitStack() as undo:
            undo.callback(slots.end)
            await built(self._builder, IMAGE, self._clock, self._queue_seconds, stop=stop)
            memory = await self._promises.make(wanted.vcpu, account.public_key, stop)
            undo.push_async_callback(memory.aclose)
            with failures():
                machine = await self._machines.take(
                    IMAGE, wanted.network_mode, wanted.vcpu, account.public_key, stop
                )
                undo.push_async_callback(self._remove, machine)
                await Inputs(machine.agent, wanted.input_files, ROOT_USER).written()
            record = self._record(account, wanted, machine)
            service = Service(record, machine, slots, memory)
            undo.callback(service.stop_work)
            self._services[service.id] = service  # at once: names and domains are taken by it
            undo.callback(self._services.pop, service.id, None)
            undo.push_async_callback(self._host_ports.close, service.id)
            await self.open_ports(service)
            if wanted.variables:
                undo.push_async_callback(self.vaults.forget, service.id)
                await self.vaults.fill(service.id, wanted.variables)
            stop.check()
            undo.callback(self._store.remove, service.id)
            with failures():
                await self.running.start(service)
            if service.over:
                raise SandboxFailed(_DESTROYED)
            await self.saved(service)  # whole: what is not when all ends is removed after that
            undo.pop_all()
        return service

    def _record(self, account: Account, wanted: Wanted, machine: Machine) -> ServiceRecord:
        """Checked once more: others may have been made meanwhile."""
        service_id, others = ids.service_id(), self.all()
        names.require_free_name(wanted.name, account.public_key, others)
        return ServiceRecord(
            service_id=service_id,
            owner=account.public_key,
            name=wanted.name,
            label=names.label(wanted.name, service_id, others),
            container_id=machine.container_id,
            container_name=machine.name,
            image=machine.image,
            network_mode=wanted.network_mode,
            service_type=wanted.service_type,
            ports=list(wanted.ports),
            custom_domains=self.free_domains(wanted.custom_domains, account.public_key, others),
            script=wanted.script,
            created_at=self._clock.time(),
            base_vcpu=wanted.vcpu,
            vcpu=wanted.vcpu,
            unfreeze_on_demand=wanted.unfreeze_on_demand,
        )

    async def destroy(self, service: Service) -> None:
        """End it; nothing is left of it. Raises Locked."""
        self.check_unlocked(service)
        if service.over:
            return
        service.over = True
        self._services.pop(service.id, None)
        service.stop_work()
        await asyncio.wrap_future(self._store.remove(service.id))  # before anything of it goes
        service.end_clients(forced("exit", _DESTROYED))
        service.slots.end()
        await self._host_ports.close(service.id)
        await service.boost.aclose()
        await service.memory.aclose()
        await self._remove(service.machine)
        await self.logs.remove(service.id)
        await self.vaults.forget(service.id)

    def check_unlocked(self, service: Service) -> None:
        """Raise Locked where it must not be destroyed."""
        if service.record.locked:
            raise Locked("This service is locked; unlock it first: POST /services/{id}/unlock")

    async def _remove(self, machine: Machine) -> None:
        try:
            await asyncio.shield(self._machines.remove(machine))
        except EngineError as error:
            logger.warning("a service's container is not removed yet: %s", error)

    # --- changes ---------------------------------------------------------------------------

    @asynccontextmanager
    async def held(self, service: Service) -> AsyncIterator[None]:
        """Nobody else changes it during the block; NotFound when it is destroyed by its end."""
        async with service.changing:
            self._require(service)
            try:
                yield
            finally:
                self._require(service)

    def _require(self, service: Service) -> None:
        if service.over:
            raise NotFound(_DESTROYED)

    async def freeze(self, service: Service) -> None:
        """Stop its processes where they are; its connections end, it takes no slot."""
        async with self.held(service):
            if service.record.frozen:
                return
            service.end_clients(Ending("detached"))
            if not service.stopped:
                with failures():
                    await self._machines.pause(service.machine)
            service.slots.give_back(service.record.slots)
            service.record.frozen = True
            service.end_connections()
            await self.saved(service)

    async def unfreeze(self, service: Service, account: Account) -> float:
        """Let it go on; returns the seconds that this took. Once for all who ask at once.

        Raises:
            ConcurrencyLimited: no slot is free; it stays frozen.
            SandboxFailed: its container is gone.
        """
        async with self.held(service):
            if not service.record.frozen:
                return 0.0
            began, count = self._clock.monotonic(), 1 + service.record.added_vcpu
            service.slots.take(account, count)
            try:
                await self._go_on(service)
            except (AgentError, EngineError) as error:
                service.slots.give_back(count)
                logger.warning(
                    "service %s is not unfrozen: %s",
                    service.id,
                    error,
                    extra={"account": service.record.owner},
                )
                raise SandboxFailed("The service's container does not answer") from error
            service.record.frozen, service.message = False, None
            self.use(service)
            seconds = self._clock.monotonic() - began
            await self.saved(service)
            return seconds

    async def _go_on(self, service: Service) -> None:
        if service.machine.attached and not service.stopped:
            self.running.renew_environment(service)
            with suppress(EngineError):  # others may have let it go on, or ended it
                await self._machines.resume(service.machine)
                return
        await self.running.revive(service)

    async def redeploy(
        self, service: Service, script: str | None, files: Sequence[InputFile]
    ) -> None:
        """Run another script, or the same again, after all that runs was ended.

        Raises:
            BadRequest: there is no script, neither stored nor sent.
            Conflict: it is frozen.
            SandboxFailed: its container does not run, or does not answer.
        """
        if script is None and service.record.script is None:
            raise BadRequest(
                "No bootstrap script is stored; send `bootstrap` or `bootstrap_content`"
            )
        async with self.held(service):
            _require_thawed(service)
            service.record.script = service.record.script if script is None else script
            service.record.deployed = False
            await self.saved(service)  # whoever takes it up runs the script
            try:
                with failures():
                    await self._deploy(service, files)
            except BaseException:
                self.running.try_again(service)
                raise
            await self.saved(service)

    async def _deploy(self, service: Service, files: Sequence[InputFile]) -> None:
        await self.running.make_room(service)
        service.state = State.REDEPLOYING
        await _replaced(service.machine, files)
        await self.running.tell(service, "redeployed")
        await self.running.start(service)

    @contextmanager
    def _used(self, service: Service) -> Iterator[None]:
        service.visitors += 1
        try:
            yield
        finally:
            service.visitors -= 1
            self.use(service)

    async def wake(self, service: Service) -> None:
        """Let it go on, in its owner's name, as a request to it asks for; raises ApiError."""
        account = self._account_of(service.record.owner)
        if account is None:
            raise SandboxFailed("The key of this service was revoked")
        await self.unfreeze(service, account)

    async def open_ports(self, service: Service) -> None:
        """Open the ports of this machine that it asks for, and no others; raises NoCapacity."""
        await keep_open(self._host_ports, ServedService(service, self))

    def use(self, service: Service) -> None:
        """Somebody uses it now: it is not idle."""
        service.active_at = self._clock.monotonic()

    async def freeze_idle(self, seconds: float) -> None:
        """Freeze those that nobody used for so long, and that a request would wake."""
        before = self._clock.monotonic() - seconds
        for service in self.all():
            if _is_idle(service, before):
                with suppress(ApiError):  # it stays as it is, and is tried again
                    await self.freeze(service)

    async def saved(self, service: Service) -> None:
        """Return when what it is now is on disk."""
        await self.running.saved(service)

    async def execute(
        self,
        service: Service,
        line: str,
        files: Sequence[InputFile],
        seconds: float | None,
        stop: Stop,
    ) -> Outcome:
        """Run a command line in it, to its end.

        Raises:
            Conflict: it does not run.
            SandboxFailed: its container does not answer.
        """
        require_running(service)
        with failures(), self._used(service):
            await _replaced(service.machine, files)
            words = (*self._shells.runs_lines, line)
            return await self._commands.run(
                service.machine,
                service.record.owner,
                words,
                stop,
                seconds=seconds,
                env=service.environment,
            )

    def on_disk(self) -> list[OnDisk]:
        """Those that run, as what writes to the engine's disk."""
        running = (it for it in self.all() if not it.record.frozen and not it.stopped)
        return [OnDisk(it.machine, partial(self._stop_for_disk, it)) for it in running]

    async def _stop_for_disk(self, service: Service, reason: str) -> None:
        """Freeze it, and tell its owner why."""
        await self.freeze(service)
        service.message = reason

    # --- restarts --------------------------------------------------------------------------

    def containers(self) -> set[str]:
        """The containers of what an earlier emulator left, which are to be kept."""
        return {record.container_id for record in self._store.all()}

    async def restore(self, states: Mapping[str, str]) -> int:
        """Take up what an earlier emulator left; how many services there are then."""
        records = sorted(self._store.all(), key=lambda record: record.created_at)
        for record in records:
            slots = Holding(self._slots, record.owner)
            place = (record.container_id, record.container_name, record.image, record.network_mode)
            service = Service(record, self._machines.paused(*place), slots)
            self._services[record.service_id] = service
        await asyncio.gather(
            *(self._restore(it, states.get(it.record.container_id)) for it in self.all())
        )
        await self.logs.keep_only(list(self._services))
        self.vaults.keep_only(list(self._services))
        return len(records)

    async def _restore(self, service: Service, state: str | None) -> None:
        record = service.record
        if state in _ALIVE:
            record.frozen = state == "paused"  # whatever was killed between a change and its record
        service.slots.resume(record.slots)
        service.memory = await self._promises.keep(record.base_vcpu, record.owner)
        service.boost = await self._promises.keep(record.added_vcpu, record.owner)
        try:
            await self.open_ports(service)
        except NoCapacity as error:
            logger.warning(
                "service %s: %s", service.id, error.details, extra={"account": service.record.owner}
            )
        service.stopped = state not in _ALIVE
        if state is None:
            service.state, service.message = State.FAILED, _REMOVED
        elif record.frozen:
            service.state = State.RUNNING
        else:
            await self._go_on_without(service)

    async def _go_on_without(self, service: Service) -> None:
        """Whoever ran it before has ended, and perhaps its container too."""
        async with service.changing:
            try:
                await self.running.revive(service)
            except FAULTS as error:
                self.running.tell_failure(service, error)
                self.running.try_again(service)

    async def close(self) -> None:
        """Leave them as they are: the next emulator takes them up."""
        for service in self.all():
            service.stop_work()
            service.end_clients(Ending("detached"))
            service.machine.leave()


def _is_idle(service: Service, before: float) -> bool:
    """Whether it waits for requests alone, and had none since `before`."""
    used = service.clients or service.visitors or service.active_at >= before
    runs = service.state is State.RUNNING and not service.record.frozen
    return runs and not used and service.record.unfreeze_on_demand and bool(service.record.ports)


def require_running(service: Service) -> None:
    """Raise Conflict where nothing runs in it."""
    _require_thawed(service)
    if service.stopped:
        raise Conflict(f"The service's container does not run. {service.message or ''}".strip())


def _require_thawed(service: Service) -> None:
    if service.record.frozen:
        raise Conflict("The service is frozen; unfreeze it first: POST /services/{id}/unfreeze")


async def _replaced(machine: Machine, files: Sequence[InputFile]) -> None:
    """Input files are written, over those of the same names."""
    if files:
        paths = [f"./{file.path}" for file in files]
        async with bootstrap.in_time():
            await machine.spawn(("rm", "-rf", "--", *paths), output_limit=4096).collect()
        await Inputs(machine.agent, files, ROOT_USER).written()
