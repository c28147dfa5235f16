"""How a container for the pool is started, greeted, made clean and removed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from emulator.clock import Clock
from emulator.sandbox.agent import Agent, Hello
from emulator.sandbox.attach import attach
from emulator.sandbox.engine import ContainerSpec, Engine
from emulator.sandbox.images import Images
from emulator.sandbox.limits import Limits
from emulator.sandbox.network import Network
from emulator.sandbox.pool import Sandbox, Unfit
from emulator.sandbox.runtimes import Runtime

HELLO_SECONDS = 15
"""How long an agent may take to answer when it is attached."""

CLEAN_SECONDS = 0.2
"""How long cleaning after a run may take: a new container costs about as much."""


class Starter:
    """Starts sandboxes of these limits, and makes used ones as they were."""

    def __init__(
        self,
        engine: Engine,
        images: Images,
        limits: Limits,
        clock: Clock,
        networks: Mapping[str, Network],
    ) -> None:
        self._engine = engine
        self._images = images
        self._limits = limits
        self._clock = clock
        self._networks = networks
        self._mounts = tuple(limits.tmpfs)

    async def start(self, runtime: Runtime, network_mode: str) -> Sandbox:
        """A container whose agent has answered, with its ways out.

        Raises:
            EngineError: the engine did not start it.
            AgentError: what runs in it does not answer as an agent should.
        """
        network = self._networks[network_mode]
        container_id, agent = await started(
            self._engine,
            ContainerSpec(
                image=self._images.image(runtime.name).reference,
                agent_volume=self._images.agent_volume.reference,
                runtime=runtime.name,
                limits=self._limits,
                options=await network.options(runtime.name),
            ),
        )
        try:
            relay = await network.join(container_id, agent)
        except BaseException:
            await asyncio.shield(self._end(container_id, agent))
            raise
        return Sandbox(container_id, runtime.name, network_mode, agent, relay)

    async def renew(self, sandbox: Sandbox) -> None:
        """Leave nothing of a run: processes, files, IPC objects, connections, another size.

        Raises:
            Unfit: something is left, or it took longer than CLEAN_SECONDS.
            EngineError: it has another size and cannot be given its own back.
            AgentError: the agent is gone.
        """
        began, report = self._clock.monotonic(), None
        with suppress(TimeoutError):
            async with self._clock.timeout(CLEAN_SECONDS):
                sandbox.agent.close_channels()
                report = await sandbox.agent.clean(self._mounts)
        if report is None or self._clock.monotonic() - began >= CLEAN_SECONDS:
            raise Unfit(f"it was not clean after {CLEAN_SECONDS} seconds")
        if not report.spotless or len(report.mounts) != len(self._mounts):
            raise Unfit(f"something was left: {report}")
        if sandbox.resized:
            await self._engine.resize(sandbox.container_id, self._limits)
            sandbox.resized = False

    async def remove(self, sandbox: Sandbox) -> None:
        """End the conversation and the container."""
        await self._end(sandbox.container_id, sandbox.agent)

    async def _end(self, container_id: str, agent: Agent) -> None:
        agent.close()
        await self._engine.remove(container_id)


async def started(engine: Engine, spec: ContainerSpec) -> tuple[str, Agent]:
    """The id of a new container, and its agent, which has answered.

    Raises:
        EngineError: the engine did not start it.
        AgentError: what runs in it does not answer as an agent should.
    """
    begun = await engine.start(spec)
    try:
        agent = await attach(begun.socket, begun.early)
        await greeted(agent)
    except BaseException:
        await asyncio.shield(engine.remove(begun.container_id))
        raise
    return begun.container_id, agent


@asynccontextmanager
async def passing(engine: Engine, spec: ContainerSpec) -> AsyncIterator[Agent]:
    """A container for one piece of the emulator's own work, removed after the block."""
    container_id, agent = await started(engine, spec)
    try:
        yield agent
    finally:
        agent.close()
        await asyncio.shield(engine.remove(container_id))


async def greeted(agent: Agent) -> Hello:
    """What an agent that was just attached says of itself; raises AgentError when it does not."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            return await agent.hello()
    except TimeoutError:
        agent.lose(f"an agent did not answer for {HELLO_SECONDS} seconds")
        raise agent.closed.result() from None
    except BaseException:
        agent.close()
        raise
