"""A container of one's own: what a session or a service lives in, and where they come from.

Unlike those that run programs it has a root that can be written, its user is root, and it may
outlive the emulator, which then attaches to it again. A paused one cannot be attached to: it has no
agent until it goes on.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field, replace

from emulator.clock import Clock
from emulator.sandbox import shells
from emulator.sandbox.agent import (
    Agent,
    AgentError,
    AgentLost,
    FileRefused,
    Hello,
    Process,
    Spawn,
)
from emulator.sandbox.attach import attach
from emulator.sandbox.engine import ContainerSpec, Engine, EngineError
from emulator.sandbox.images import Images
from emulator.sandbox.limits import MIB, Budget, Limits
from emulator.sandbox.network import Network, overlaid
from emulator.sandbox.origin import Origin
from emulator.sandbox.relay import Relay
from emulator.sandbox.runtime import ARTIFACTS_DIRECTORY, INPUT_DIRECTORY
from emulator.sandbox.starting import greeted, started
from emulator.stop import Stop

logger = logging.getLogger(__name__)

ROOT_USER = 0

CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL"),
    *("NET_BIND_SERVICE", "SETGID", "SETUID"),
)
"""What root may do in a container that is its own: no more than with files and ports of it."""

PIDS = 512
"""Processes and threads: a person compiles, and runs a server and a database beside it."""

TERMINALS = 128
"""Windows of multiplexers, their clients, and what programs open."""

_NOFILE, _SIGPENDING, _MSGQUEUE = 7, 11, 12
RLIMITS = {_NOFILE: (4096, 4096), _SIGPENDING: (4096, 4096), _MSGQUEUE: (400 * 1024, 400 * 1024)}
"""Linux's numbers: descriptors of a process; and of what root holds, here and on the host, less
than root may elsewhere."""

_NOBODY = ""
"""The owner of what waits for who comes next, in the line of those who wait."""

_MOUNTED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
_HIDDEN = 64 * 1024
HIDES_SECONDS = 2.0
"""How long the agent may take to look at them."""

_MOUNT = f"rw,nosuid,nodev,noexec,size={64 * MIB}"
_OPTIONS: Mapping[str, object] = {
    "read_only": False,
    "cap_add": list(CAPABILITIES),
    "tmpfs": {"/run": f"{_MOUNT},mode=755", "/dev/shm": f"{_MOUNT},mode=1777"},  # noqa: S108
}


@dataclass(eq=False, slots=True)
class Machine:
    """A container with its agent, which it has not while it is paused after a restart.

    `name` is its host name; `image` the folder of `runtimes/` that it was made from.
    """

    container_id: str
    name: str
    image: str
    network_mode: str
    environment: Mapping[str, str]
    kept: tuple[str, ...] = ()
    relay: Relay | None = None
    _agent: Agent | None = None
    _ways: ExitStack = field(default_factory=ExitStack)

    @property
    def agent(self) -> Agent:
        """Raises AgentLost while there is none."""
        if self._agent is None:
            raise AgentLost("the container is paused")
        return self._agent

    @property
    def attached(self) -> bool:
        return self._agent is not None

    def greet(self, agent: Agent, hello: Hello, relay: Relay | None) -> None:
        """Its agent from now on; `hello` names the programs that it kept."""
        self._agent, self.kept, self.relay = agent, hello.kept, relay

    def connects_for(self, origin: Origin) -> None:
        """Whom its connections belong to, from now on."""
        self.disconnect()
        if self.relay is not None:
            self._ways.enter_context(self.relay.serving(origin))

    def disconnect(self) -> None:
        """End its connections; further ones are for nobody, and end at once."""
        self._ways.close()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        pty: tuple[int, int] | None = None,
        key: str | None = None,
        output_limit: int | None = None,
        env: Mapping[str, str] | None = None,
        rlimits: Mapping[int, tuple[int, int]] | None = None,
    ) -> Process:
        """Start a program as root in the working directory.

        `env` goes over the usual environment, `rlimits` over the usual limits.

        Raises:
            AgentLost: the agent is gone.
        """
        return self.agent.spawn(
            Spawn(
                argv=argv,
                env=overlaid({**shells.ENVIRONMENT, **self.environment}, env or {}),
                cwd=INPUT_DIRECTORY,
                uid=ROOT_USER,
                gid=ROOT_USER,
                pty=pty,
                key=key,
                output_limit=output_limit,
                rlimits={**RLIMITS, **(rlimits or {})},
                umask=0o022,
            )
        )

    async def hides(self) -> bool:
        """Whether much was written to files that the engine mounts from the host and never counts.

        They cannot be removed or replaced, so there are no others. False where nobody answers.
        """
        reads = (
            self.agent.read_tree(path, uid=ROOT_USER, gid=ROOT_USER, max_files=1, max_bytes=_HIDDEN)
            for path in _MOUNTED
        )
        with suppress(AgentError, TimeoutError):
            async with asyncio.timeout(HIDES_SECONDS):
                found = await asyncio.gather(*reads, return_exceptions=True)
            refusals = (one for one in found if isinstance(one, FileRefused))
            return any(refusal.errno == errno.EFBIG for refusal in refusals)
        return False

    async def lost(self) -> None:
        """Return when its agent has gone; never while it has none."""
        if self._agent is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.shield(self._agent.closed)

    def leave(self) -> None:
        """End the conversation; the container goes on."""
        self._ways.close()
        if self._agent is not None:
            self._agent.close()


class Machines:
    """Makes machines, and keeps one ready for who comes next, for a while.

    Owners who wait for machines get one each in turn; a flood of one keeps no other waiting.
    """

    def __init__(
        self,
        engine: Engine,
        images: Images,
        networks: Mapping[str, Network],
        clock: Clock,
        memory_budget: int,
        idle_seconds: int,
        concurrency: int,
        next_name: Callable[[], str],
    ) -> None:
        """`next_name` gives a host name that no machine had before.

        As many start at the same time as `concurrency` says, and as many are removed.
        """
        self._engine = engine
        self._images = images
        self._networks = networks
        self._clock = clock
        self._memory_budget = memory_budget
        self._idle_seconds = idle_seconds
        self._turns = Budget(concurrency)
        self._removals = asyncio.Semaphore(concurrency)
        self._next_name = next_name
        self._spares: dict[tuple[str, str], list[Machine]] = {}
        self._starting: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def close(self) -> None:
        """Remove what waits for nobody in particular; machines that were taken stay."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        spares = [machine for waiting in self._spares.values() for machine in waiting]
        self._spares.clear()
        await asyncio.gather(*map(self.remove, spares), return_exceptions=True)

    async def take(
        self, image: str, network_mode: str, vcpu: int, owner: str, stop: Stop
    ) -> Machine:
        """A new machine of an image that is built.

        Raises:
            Unavailable: its network cannot be had now.
            EngineError: the engine did not start it.
            AgentError: what runs in it does not answer as an agent should.
            Stopped: `stop` was requested before its owner's turn came.
        """
        await self._networks[network_mode].require()
        machine = self._spare(image, network_mode)
        if machine is None:
            machine = await self._made(image, network_mode, owner, stop)
        self._later(self._keep_one(image, network_mode))
        if vcpu != 1:
            try:
                await self.resize(machine, vcpu)
            except BaseException:
                await asyncio.shield(self.remove(machine))
                raise
        return machine

    async def again(self, container_id: str, name: str, image: str, network_mode: str) -> Machine:
        """A machine of an earlier emulator, which runs; raises EngineError or AgentError."""
        machine = self.paused(container_id, name, image, network_mode)
        await self._attach(machine)
        return machine

    def paused(self, container_id: str, name: str, image: str, network_mode: str) -> Machine:
        """A machine of an earlier emulator, which is paused."""
        environment = self._networks[network_mode].environment
        return Machine(container_id, name, image, network_mode, environment)

    async def pause(self, machine: Machine) -> None:
        """Stop all its processes where they are; raises EngineError, and they go on."""
        try:
            await self._engine.pause(machine.container_id)
        except EngineError:
            with suppress(EngineError):  # which may have done it all the same
                await self._engine.unpause(machine.container_id)
            raise

    async def resume(self, machine: Machine) -> None:
        """Let a paused machine go on; raises EngineError or AgentError."""
        await self._engine.unpause(machine.container_id)
        if not machine.attached:
            await self._attach(machine)

    async def resize(self, machine: Machine, vcpu: int) -> None:
        """Give it other CPU and memory limits; raises EngineError."""
        await self._engine.resize(machine.container_id, self.limits(vcpu))

    async def memory_in_use(self, machine: Machine) -> int:
        """Bytes; raises EngineError."""
        return await self._engine.memory_in_use(machine.container_id)

    def limits(self, vcpu: int) -> Limits:
        """What a machine of this size may use."""
        return replace(Limits.for_vcpu(vcpu, self._memory_budget), pids=PIDS, terminals=TERMINALS)

    async def remove(self, machine: Machine) -> None:
        """End it and all that is in it; raises EngineError when it could not be removed yet."""
        machine.leave()
        async with self._removals:
            await self._engine.remove(machine.container_id)

    async def _made(self, image: str, network_mode: str, owner: str, stop: Stop) -> Machine:
        """A new one in the owner's turn, unless one has come to wait until then."""
        async with AsyncExitStack() as turn:
            async with stop.heeded(self._clock, None):
                await turn.enter_async_context(self._turns.promise(1, owner))
            return self._spare(image, network_mode) or await self._start(image, network_mode)

    async def _start(self, image: str, network_mode: str) -> Machine:
        network, name = self._networks[network_mode], self._next_name()
        container_id, agent = await started(
            self._engine,
            ContainerSpec(
                image=self._images.image(image).reference,
                agent_volume=self._images.agent_volume.reference,
                runtime=image,
                limits=self.limits(1),
                options={**_OPTIONS, **await network.options(image)},
                hostname=name,
                lasting=True,
            ),
        )
        try:
            for path in (INPUT_DIRECTORY, ARTIFACTS_DIRECTORY):
                await agent.make_directory(path, uid=ROOT_USER, gid=ROOT_USER)
            relay = await network.join(container_id, agent)
        except BaseException:
            agent.close()
            await asyncio.shield(self._engine.remove(container_id))
            raise
        machine = self.paused(container_id, name, image, network_mode)
        machine.greet(agent, Hello(b"", ()), relay)
        return machine

    async def attach_again(self, machine: Machine) -> bool:
        """Attach to a machine that still runs, or is paused and goes on; False where it has ended.

        Raises:
            EngineError: the engine does not answer.
            AgentError: what runs in it does not answer as an agent should.
        """
        machine.leave()
        state = (await self._engine.states()).get(machine.container_id)
        if state == "paused":
            await self._engine.unpause(machine.container_id)
        elif state != "running":
            return False
        await self._attach(machine)
        return True

    async def start_again(self, machine: Machine) -> None:
        """Start a machine that has ended; of what it was its files are left.

        Raises:
            EngineError: the engine does not start it: it may be gone.
            AgentError: what runs in it does not answer as an agent should.
        """
        machine.leave()
        await self._greet(machine, await self._engine.start_again(machine.container_id))

    async def _attach(self, machine: Machine) -> None:
        await self._greet(machine, await self._engine.attach(machine.container_id))

    async def _greet(self, machine: Machine, attached: tuple[socket.socket, bytes]) -> None:
        agent = await attach(*attached)
        hello = await greeted(agent)
        try:
            relay = await self._networks[machine.network_mode].join(machine.container_id, agent)
        except BaseException:
            agent.close()
            raise
        machine.greet(agent, hello, relay)

    # --- spares ----------------------------------------------------------------------------

    def _spare(self, image: str, network_mode: str) -> Machine | None:
        """One that waits; those whose agents have gone are thrown away."""
        waiting = self._spares.get((image, network_mode), [])
        while waiting:
            machine = waiting.pop()
            if not machine.agent.closed.done():
                return machine
            self._later(self.remove(machine))
        return None

    async def _keep_one(self, image: str, network_mode: str) -> None:
        """Start one for who comes next, unless one waits; remove it when nobody came."""
        kind = (image, network_mode)
        waiting = self._spares.setdefault(kind, [])
        if waiting or kind in self._starting or self._closed:
            return
        self._starting.add(kind)
        try:
            async with self._turns.promise(1, _NOBODY):
                machine = await self._start(image, network_mode)
        finally:
            self._starting.discard(kind)
        waiting.append(machine)
        await self._clock.sleep(self._idle_seconds)
        if machine in waiting:
            waiting.remove(machine)
            await self.remove(machine)

    def _later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _quietly(work: Coroutine[object, object, None]) -> None:
    """Nobody waits for it: who needs a machine next hears what is wrong."""
    with suppress(AgentError):
        try:
            await work
        except EngineError as error:
            logger.warning("a spare container: %s", error)
