"""What runs in services: scripts started and followed, output kept, losses made good."""

import asyncio
import logging
import signal
from collections.abc import Coroutine

from emulator.clock import Clock
from emulator.sandbox.agent import AgentError, AgentLost, Process
from emulator.sandbox.engine import EngineError
from emulator.sandbox.frames import StreamId
from emulator.sandbox.machine import Machines
from emulator.sandbox.origin import Origin
from emulator.services import bootstrap
from emulator.services.control import Control
from emulator.services.log import ServiceLogs
from emulator.services.ports import answering
from emulator.services.service import Service, State
from emulator.services.unit import Unit
from emulator.services.vault import Vaults
from emulator.sessions.ending import forced
from emulator.store.services import ServiceStore

logger = logging.getLogger(__name__)

PORT_SECONDS = 0.2
"""How often a service that starts is asked whether its first port answers."""

WORKER_SECONDS = 1.0
"""How long a script without ports is taken to prepare something, before it is taken to work."""

REVIVALS = (0.5, 1, 2, 5, 10, 30, 60)
"""Seconds between attempts to start a container again that has ended: the engine may be away."""

REACHED_SECONDS = 5.0
"""How long the first port of a service may not answer yet, after its script has ended well."""

FAULTS = (AgentError, EngineError, OSError)
"""What an attempt may meet; OSError where the log cannot be written."""

STOPPED = "What its bootstrap script started was ended by systemctl stop"
GONE = "The service's container ended: it was killed, or the engine was restarted"
_ENDED = forced("error", GONE, GONE)


class Running:
    """Starts what services are for, and knows how it goes."""

    def __init__(
        self,
        machines: Machines,
        store: ServiceStore,
        logs: ServiceLogs,
        vaults: Vaults,
        clock: Clock,
    ) -> None:
        self._machines = machines
        self._store = store
        self._logs = logs
        self._vaults = vaults
        self._clock = clock

    async def start(self, service: Service) -> None:
        """Run the script, if there is one, in a machine where nothing of it runs.

        Raises:
            AgentError: the container does not answer.
        """
        record, machine = service.record, service.machine
        machine.connects_for(Origin(service.id, record.owner, "service_id"))
        self.renew_environment(service)
        record.exit_code, service.message = None, None
        service.active_at = self._clock.monotonic()
        pipe = await bootstrap.open_pipe(machine)
        service.hearing = self._follow(service, self._hear(service, pipe))
        self._follow(service, self._until_lost(service))
        if record.script is None:
            service.state, record.deployed = State.RUNNING, True
            return
        if service.state is not State.REDEPLOYING:
            service.state = State.STARTING
        await bootstrap.write_script(machine, record.script)
        script = await bootstrap.run_script(machine, service.environment)
        record.deployed = True
        self._watch(service, script)

    async def take_up(self, service: Service) -> None:
        """Go on with what was started before its agent was attached to; raises AgentError."""
        record, machine = service.record, service.machine
        if not record.deployed:
            await self._deploy_again(service)
            return
        machine.connects_for(Origin(service.id, record.owner, "service_id"))
        self.renew_environment(service)
        service.message, service.active_at = None, self._clock.monotonic()
        agent = machine.agent
        if bootstrap.PIPE_KEY in machine.kept:
            pipe = agent.adopt(bootstrap.PIPE_KEY)
        else:
            pipe = await bootstrap.open_pipe(machine)
        service.hearing = self._follow(service, self._hear(service, pipe))
        self._follow(service, self._until_lost(service))
        service.state = State.RUNNING
        if record.script is None or record.exit_code is not None:
            self._judge(service, record.exit_code or 0)
            return
        service.state = State.STARTING
        self._watch(service, agent.adopt(bootstrap.SCRIPT_KEY))

    async def _deploy_again(self, service: Service) -> None:
        """Whoever was to run its script ended before."""
        await self.stop(service)
        await self.tell(service, "the bootstrap script is started again")
        await self.start(service)
        await self.saved(service)

    async def stop(self, service: Service) -> None:
        """End everything that runs in it, and keep what it printed; raises AgentError."""
        hearing, service.hearing = service.hearing, None
        service.work.discard(hearing)
        service.stop_work()
        agent = service.machine.agent
        unheard = [agent.adopt(key) for key in service.machine.kept]  # in vain where it was done
        agent.signal_all(signal.SIGKILL)
        async with bootstrap.in_time():
            await agent.ping()
            await asyncio.gather(*map(bootstrap.exit_code, unheard))
            if hearing is not None:
                await hearing

    async def make_room(self, service: Service) -> None:
        """Have its container run, and nothing in it; raises EngineError or AgentError."""
        if service.stopped and not await self._machines.attach_again(service.machine):
            await self._machines.start_again(service.machine)
        service.stopped = False
        await self.stop(service)

    async def revive(self, service: Service) -> None:
        """Have its container run again, and what it is for.

        One that has ended is started, and the script in it; one that only was not attached to any
        more goes on as it is.

        Raises:
            EngineError: the engine does not start it: it may be gone.
            AgentError: what runs in it does not answer as an agent should.
        """
        service.stop_work()
        service.stopped = True
        if await self._machines.attach_again(service.machine):
            service.stopped = False
            await self.take_up(service)
            return
        service.record.deployed = False
        await self.saved(service)
        await self._machines.start_again(service.machine)
        service.stopped, service.state = False, State.STARTING
        await self.tell(service, "the container was started again, and the bootstrap script in it")
        await self.start(service)
        await self.saved(service)

    async def saved(self, service: Service) -> None:
        """Return when what it is now is on disk."""
        if not service.over:
            await asyncio.wrap_future(self._store.save(service.record))

    def try_again(self, service: Service) -> None:
        """Go on trying to have it run again, which has failed."""
        service.stopped = True
        self._follow(service, self._try_again(service))

    async def tell(self, service: Service, line: str) -> None:
        """A line of ours in the service's log."""
        await self._logs.write(service.id, f"[unsandbox: {line}]\n".encode())

    def tell_failure(self, service: Service, error: BaseException) -> None:
        """A line in the emulator's log: an attempt failed."""
        logger.warning(
            "service %s does not start again: %s",
            service.id,
            error,
            extra={"account": service.record.owner},
        )

    def renew_environment(self, service: Service) -> None:
        """What its vault holds now is what starts from now on finds."""
        service.environment = self._vaults.environment(service.id)

    # --- what programs in it ask for (`unit.Script`) ------------------------------------------

    async def run_again(self, service: Service) -> None:
        """End what came of the script, and run it as it lies there; all else goes on.

        Raises:
            AgentError: the container does not answer, or was frozen meanwhile.
            TimeoutError: something does not end.
        """
        async with service.changing:
            _require_running(service)
            record = service.record
            record.exit_code, record.deployed = None, False
            await self.saved(service)
            await self._end_script(service)
            service.state, service.message = State.STARTING, None
            self.renew_environment(service)
            await self.tell(service, "systemctl runs the bootstrap script again")
            script = await bootstrap.run_script(service.machine, service.environment)
            record.deployed = True
            self._watch(service, script)
            await self.saved(service)

    async def end(self, service: Service) -> None:
        """End what came of the script; raises what `run_again` does."""
        async with service.changing:
            _require_running(service)
            await self._end_script(service)
            await self.tell(service, "systemctl ended what the bootstrap script started")
            service.record.exit_code = service.record.exit_code or 0
            if service.state is not State.FAILED:
                service.state, service.message = State.RUNNING, STOPPED
            await self.saved(service)

    async def processes(self, service: Service) -> list[str]:
        """What lives of the script; raises AgentError."""
        return await bootstrap.processes(service.machine)

    async def _end_script(self, service: Service) -> None:
        service.stop_watch()
        try:
            await bootstrap.end_script(service.machine)
        except TimeoutError:
            service.state, service.message = State.FAILED, "Its processes do not end"
            raise

    # --- following -------------------------------------------------------------------------

    def _follow(
        self, service: Service, work: Coroutine[object, object, None]
    ) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        service.work.add(task)
        task.add_done_callback(service.work.discard)
        return task

    def _watch(self, service: Service, script: Process) -> None:
        follows = self._until_exit(service, script), self._until_reached(service)
        service.watch = [self._follow(service, one) for one in follows]

    async def _hear(self, service: Service, pipe: Process) -> None:
        """Keep what is printed; the service waits while the disk does not take it."""
        unit = Unit(service, self, self._logs, self._clock)
        control = Control(service.machine, unit.run, lambda work: self._follow(service, work))
        kept = True
        async for stream, piece in pipe.output():
            if stream is StreamId.ERR:
                await control.hear(piece)
            elif kept:
                kept = await self._keep(service, piece)

    async def _keep(self, service: Service, piece: bytes) -> bool:
        """Whether it is in the log."""
        try:
            await self._logs.write(service.id, piece)
        except OSError as error:
            logger.warning(
                "the log of service %s is not written: %s",
                service.id,
                error.strerror,
                extra={"account": service.record.owner},
            )
            return False
        return True

    async def _until_exit(self, service: Service, script: Process) -> None:
        try:
            code = await bootstrap.exit_code(script)
            if code is None:
                code = await bootstrap.ended_with(service.machine)
        except AgentLost:
            return
        service.record.exit_code = code
        await self.saved(service)
        if not code and answering(service.record):
            await self._clock.sleep(REACHED_SECONDS)  # `_until_reached` may know it before
        self._judge(service, code or 0)

    def _judge(self, service: Service, code: int) -> None:
        """A script that did its work leaves a service that runs."""
        service.state = State.FAILED if code else State.RUNNING
        service.message = f"The bootstrap script ended with exit code {code}" if code else None

    async def _until_reached(self, service: Service) -> None:
        """It runs once its first port answers; without any, when its script goes on for long."""
        ports = answering(service.record)[:1]
        for port in ports:
            while not await self._answers(service, port):
                await self._clock.sleep(PORT_SECONDS)
        if not ports:
            await self._clock.sleep(WORKER_SECONDS)
        if service.state in (State.STARTING, State.REDEPLOYING):
            service.state = State.RUNNING

    async def _answers(self, service: Service, port: int) -> bool:
        if service.record.frozen:
            return False
        try:
            (await service.connect(port)).close()
        except AgentError:
            return False
        return True

    async def _until_lost(self, service: Service) -> None:
        """Start a container again whose engine was restarted, unless it is frozen."""
        await service.machine.lost()
        if service.over:
            return
        service.stopped = True
        service.end_clients(_ENDED)
        if service.record.frozen:
            return
        await self._try_again(service)

    async def _try_again(self, service: Service) -> None:
        service.state, service.message = State.STARTING, GONE
        task = asyncio.current_task()
        service.work -= {task}  # it goes on when all other work is stopped
        for pause in REVIVALS:
            await self._clock.sleep(pause)
            async with service.changing:
                if service.over or not service.stopped or service.record.frozen:
                    return
                try:
                    await self.revive(service)
                except FAULTS as error:
                    self.tell_failure(service, error)
                    service.stopped = True
                else:
                    return
        service.state, service.message = State.FAILED, GONE


def _require_running(service: Service) -> None:
    """Raise AgentLost where it was frozen, or ended, while its programs asked for something."""
    if service.over or service.stopped or service.record.frozen:
        raise AgentLost("the service does not run any more")
