"""From settings to a ready emulator, and back to a clean machine."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import docker
from sqlalchemy import insert, select

from emulator import ids
from emulator.auth import Authenticator
from emulator.clock import Clock
from emulator.emulator import Emulator
from emulator.faults import FaultRules
from emulator.gateway import inner
from emulator.gateway.authority import Authority
from emulator.gateway.egress import Egress, EgressSettings
from emulator.gateway.host_ports import HostPorts
from emulator.gateway.inner import Inner
from emulator.gateway.reach import Reach
from emulator.gateway.semitrusted import Semitrusted
from emulator.gateway.trust import Trust
from emulator.jobs import Jobs
from emulator.journal import Journal
from emulator.limits import RateLimits, Slots
from emulator.logbook import LogBook
from emulator.paths import RUNTIMES, SPEC
from emulator.readiness import Readiness
from emulator.runs import Runs
from emulator.sandbox.build_log import BuildCancelled
from emulator.sandbox.builder import Builder
from emulator.sandbox.compile_cache import CompileCache
from emulator.sandbox.engine import Engine, EngineError
from emulator.sandbox.execution import Executor
from emulator.sandbox.images import BuildFailed, Images, build
from emulator.sandbox.limits import MIB, Budget, Limits, machine_memory
from emulator.sandbox.machine import Machines
from emulator.sandbox.network import SEMITRUSTED, ZEROTRUST, Network, Zerotrust
from emulator.sandbox.pool import RUNS_MAX, Policy, Pool
from emulator.sandbox.runtimes import Catalogue, Runtime
from emulator.sandbox.starting import Starter
from emulator.services.changes import Changing
from emulator.services.doors import ServiceDoors
from emulator.services.log import ServiceLogs
from emulator.services.services import Services
from emulator.services.vault import Vaults
from emulator.sessions.command import Commands
from emulator.sessions.disk import DiskWatch
from emulator.sessions.doors import Doors
from emulator.sessions.lives import Lives
from emulator.sessions.promises import Promises
from emulator.sessions.recording import Recordings
from emulator.sessions.sessions import Sessions
from emulator.sessions.states import States
from emulator.settings import SettingError, Settings
from emulator.spec import Spec
from emulator.store.accounts import open_accounts
from emulator.store.database import Database, DirectoryLock
from emulator.store.jobs import JobStore
from emulator.store.secrets import SecretBox, load_key
from emulator.store.services import ServiceStore
from emulator.store.sessions import MachineNames, SessionStore
from emulator.store.tables import properties
from emulator.store.vaults import VaultStore
from emulator.sudo import Challenges

logger = logging.getLogger(__name__)

EXPIRE_EVERY_SECONDS = 300
IDLE_EVERY_SECONDS = 10
"""How often services are looked through for those to be frozen."""
_ENGINE_CALLS_FOR_EACH_START = 4
"""At the same time: starts for programs, as many for sessions, removals, and what takes no time."""
Report = Callable[[str], None]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Emulator]:
    """An emulator of these settings, not ready yet; `prepare` makes it so.

    Raises:
        SettingError: the state, the engine or a file cannot be used.
        CatalogueError: the runtimes do not hold together.
        SpecError: openapi.yaml does not.
    """
    catalogue = Catalogue.load(RUNTIMES)
    clock, readiness = Clock(), Readiness()
    readiness.block("start", "the emulator is starting")
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(LogBook(clock).attached())
        stack.enter_context(DirectoryLock(settings.data_dir))
        spec = Spec(
            SPEC,
            closed_responses=settings.check_responses == "closed",
            kept=settings.data_dir / "cache",
        )
        database = stack.enter_context(Database(settings.data_dir))
        box = SecretBox(load_key(settings.key_file))
        accounts = open_accounts(settings, database, box)
        stack.callback(accounts.close)
        engine = open_engine(
            instance_of(database), settings.start_concurrency * _ENGINE_CALLS_FOR_EACH_START
        )
        stack.callback(engine.close)
        images = Images(engine.client, catalogue, settings.extra_ca)
        builder = Builder(engine.client, images, settings.data_dir / "logs", clock)
        compiles = CompileCache(
            settings.compile_cache * MIB, lambda runtime: images.image(runtime.name).reference
        )
        budget = Budget(_memory_budget(settings))
        journal = Journal(settings.journal_size, clock)
        authority = Authority.of(settings)
        listener = stack.enter_context(inner.bound())
        stack.push_async_callback(_remove_what_is_left, engine)
        egress = Egress(
            engine, images, builder, _egress_settings(settings), clock, journal.record_connection
        )
        stack.push_async_callback(egress.close)
        networks: dict[str, Network] = {
            ZEROTRUST: Zerotrust(),
            SEMITRUSTED: Semitrusted(
                egress,
                Inner(listener.getsockname(), clock, journal.record_connection),
                Trust(engine, images, authority.certificate_pem),
            ),
        }
        limits = Limits.for_vcpu(1, budget.total)
        starter = Starter(engine, images, limits, clock, networks)
        pool = Pool(starter, _policy(settings, budget.total // limits.memory_bytes), clock)
        stack.push_async_callback(pool.close)
        executor = Executor(
            pool, builder, engine, networks, budget, clock, settings.queue_timeout, compiles
        )
        stack.push_async_callback(builder.close)
        machines = Machines(
            engine,
            images,
            networks,
            clock,
            budget.total,
            settings.pool_idle,
            settings.start_concurrency,
            MachineNames(database).next,
        )
        jobs, slots = _jobs(settings, database, clock), Slots()
        runs = Runs(jobs, slots, executor, clock)
        stack.push_async_callback(runs.close)
        sessions = _sessions(settings, database, catalogue, builder, slots, budget, clock, machines)
        vaults = Vaults(VaultStore(database, box), clock)
        reach = Reach(clock)
        host_ports = HostPorts(
            settings.host, reach, clock, journal.record_passage, settings.service_ports
        )
        services = Services(
            machines,
            builder,
            catalogue.shells,
            ServiceStore(database),
            ServiceLogs(settings.data_dir / "services"),
            vaults,
            slots,
            sessions.promises,
            sessions.commands,
            host_ports,
            accounts.get,
            clock,
            settings.queue_timeout,
            settings.own_hosts,
        )
        watch = DiskWatch(
            engine,
            clock,
            settings.session_disk * MIB,
            settings.disk_floor * MIB,
            lambda: [*sessions.on_disk(), *services.on_disk()],
        )
        stack.push_async_callback(machines.close)
        stack.push_async_callback(sessions.recordings.close)
        stack.push_async_callback(sessions.close)
        stack.push_async_callback(services.close)
        stack.push_async_callback(host_ports.close_all)
        await stack.enter_async_context(_beside(watch.run()))
        if settings.service_idle:
            idling = _freeze_idle(services, clock, settings.service_idle)
            await stack.enter_async_context(_beside(idling))
        yield Emulator(
            settings=settings,
            spec=spec,
            clock=clock,
            accounts=accounts,
            authenticator=Authenticator(accounts, clock, strict=settings.strict),
            rates=RateLimits(clock),
            slots=slots,
            challenges=Challenges(clock),
            journal=journal,
            logs=logs,
            faults=FaultRules(spec),
            jobs=jobs,
            catalogue=catalogue,
            images=images,
            engine=engine,
            pool=pool,
            executor=executor,
            runs=runs,
            compiles=compiles,
            networks=networks,
            readiness=readiness,
            authority=authority,
            inner=listener,
            sessions=sessions,
            services=services,
            service_changes=Changing(services, machines, sessions.promises),
            reach=reach,
            service_doors=ServiceDoors(services, catalogue.shells),
            vaults=vaults,
        )


async def _freeze_idle(services: Services, clock: Clock, seconds: int) -> None:
    """Freeze services that nobody used for so long, for as long as the emulator runs."""
    while True:
        await clock.sleep(min(seconds, IDLE_EVERY_SECONDS))
        await services.freeze_idle(seconds)


@asynccontextmanager
async def _beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Work that goes on for as long as the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _egress_settings(settings: Settings) -> EgressSettings:
    return EgressSettings(settings.egress_allow, settings.egress_dns, settings.queue_timeout)


async def _remove_what_is_left(engine: Engine) -> None:
    """Networks and volumes, whose containers are gone by now; what fails goes at the next start."""
    try:
        await engine.remove_networks_and_volumes()
    except EngineError as error:
        logger.warning("cannot remove networks and volumes: %s", error)


def _jobs(settings: Settings, database: Database, clock: Clock) -> Jobs:
    return Jobs(
        JobStore(database, settings.job_store * MIB),
        clock,
        retention=settings.job_retention,
        pending_jobs=settings.pending_jobs,
        pending_bytes=settings.pending_memory * MIB,
    )


def _sessions(
    settings: Settings,
    database: Database,
    catalogue: Catalogue,
    builder: Builder,
    slots: Slots,
    budget: Budget,
    clock: Clock,
    machines: Machines,
) -> Sessions:
    store, shells = SessionStore(database), catalogue.shells
    lives = Lives(machines, store, clock)
    recordings = Recordings(settings.data_dir / "audit", clock)
    promises = Promises(budget, clock, settings.session_memory * MIB, settings.queue_timeout)
    return Sessions(
        lives=lives,
        states=States(lives, machines, store, promises, clock),
        doors=Doors(lives, shells, store, recordings),
        recordings=recordings,
        machines=machines,
        builder=builder,
        commands=Commands(clock),
        shells=shells,
        store=store,
        slots=slots,
        promises=promises,
        clock=clock,
        queue_seconds=settings.queue_timeout,
    )


def _policy(settings: Settings, most: int) -> Policy:
    return Policy(
        size=settings.pool_size,
        most=most,
        concurrency=settings.start_concurrency,
        runs=RUNS_MAX if settings.isolation == "reuse" else 1,
        idle_seconds=settings.pool_idle,
    )


def _memory_budget(settings: Settings) -> int:
    return settings.memory_budget * MIB or machine_memory() * 3 // 4


def chosen_runtimes(catalogue: Catalogue, names: Sequence[str]) -> list[Runtime]:
    """The runtimes of `names`, or the usual ones; raises SettingError."""
    if not names:
        return catalogue.usual()
    return [_chosen(catalogue, name) for name in names]


def _chosen(catalogue: Catalogue, name: str) -> Runtime:
    runtime = catalogue.find(name)
    if runtime is None:
        raise SettingError(f"languages: {name!r} is no language; see: runtimes list")
    if not runtime.available:
        raise SettingError(f"languages: {runtime.name}: {runtime.unavailable_reason}")
    return runtime


async def prepare(emulator: Emulator, report: Report) -> None:
    """Clear away what a killed emulator left, build what is missing, warm the pool.

    Raises:
        SettingError: a language that cannot be had was asked for.
        BuildFailed: an image cannot be built.
    """
    runtimes = chosen_runtimes(emulator.catalogue, emulator.settings.languages)
    kept = emulator.sessions.containers() | emulator.services.containers()
    leftovers = await emulator.engine.remove_leftovers(kept)
    if leftovers:
        report(f"Removed {leftovers} containers that an earlier run left behind.")
    states = await emulator.engine.states()
    sessions = await emulator.sessions.restore(states)
    services = await emulator.services.restore(states)
    if sessions or services:
        report(f"Took up {sessions} sessions and {services} services of an earlier run.")
    emulator.readiness.block("start", "images are being built")
    await _build(emulator, runtimes, report)
    for runtime in runtimes:
        emulator.pool.warm(runtime, ZEROTRUST)
    emulator.readiness.clear("start")


async def _build(emulator: Emulator, runtimes: list[Runtime], report: Report) -> None:
    """`build_missing` in a thread, which ends with its caller."""
    stop = threading.Event()
    engine, images, settings = emulator.engine, emulator.images, emulator.settings
    work = asyncio.create_task(
        asyncio.to_thread(build_missing, engine, images, runtimes, settings, report, stop)
    )
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        with suppress(BuildCancelled, BuildFailed):
            await work
        raise


def build_missing(
    engine: Engine,
    images: Images,
    runtimes: list[Runtime],
    settings: Settings,
    report: Report,
    stop: threading.Event | None = None,
) -> None:
    """Build what running programs of `runtimes` takes.

    Raises:
        BuildFailed: a step failed.
        BuildCancelled: `stop` was set.
    """
    steps = images.plan(runtimes)
    missing = [step.name for step in steps if not step.present]
    if missing:
        report(f"Building {len(missing)} of {len(steps)} images: {', '.join(missing)}")
    build(engine.client, steps, settings.data_dir / "logs", lambda event: report(str(event)), stop)


async def housekeeping(emulator: Emulator) -> None:
    """What recurs for as long as the emulator runs."""
    while True:
        emulator.jobs.expire()
        await emulator.sessions.tidy()
        await asyncio.sleep(EXPIRE_EVERY_SECONDS)


def open_engine(instance: str, workers: int) -> Engine:
    """The engine that the environment names (`DOCKER_HOST`, else the local socket).

    Raises:
        SettingError: it does not answer; the message says what to do.
    """
    try:
        client = docker.from_env(max_pool_size=workers)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise SettingError(
            f"no Docker engine answers ({error}). Install and start Docker, or set DOCKER_HOST; "
            "on Debian and Ubuntu, as root: apt-get install docker.io && dockerd &"
        ) from None
    return Engine(client, instance, workers)


def instance_of(database: Database) -> str:
    """The id that this data directory marks its containers with; made on first use."""
    with database.engine.begin() as connection:
        query = select(properties.c.value).where(properties.c.name == "instance")
        instance: str | None = connection.execute(query).scalar_one_or_none()
        if instance is None:
            instance = ids.instance_id()
            connection.execute(insert(properties).values(name="instance", value=instance))
    return instance
