"""How a container for the pool is started, greeted and removed."""

import asyncio

from emulator.sandbox.agent import Agent, AgentLost
from emulator.sandbox.attach import attach
from emulator.sandbox.engine import ContainerSpec, Engine
from emulator.sandbox.images import Images
from emulator.sandbox.limits import Limits
from emulator.sandbox.pool import Sandbox
from emulator.sandbox.runtimes import Runtime

HELLO_SECONDS = 15
"""How long a new agent may take to answer."""


class Starter:
    """Starts sandboxes of one vCPU; `memory_budget` bounds what one may be given, in bytes."""

    def __init__(self, engine: Engine, images: Images, memory_budget: int) -> None:
        self._engine = engine
        self._images = images
        self._limits = Limits.for_vcpu(1, memory_budget)

    async def start(self, runtime: Runtime, network_mode: str, uid: int) -> Sandbox:
        """A container whose agent has answered.

        Raises:
            EngineError: the engine did not start it.
            AgentError: what runs in it does not answer as an agent should.
        """
        started = await self._engine.start(
            ContainerSpec(
                image=self._images.image(runtime.name).reference,
                agent_volume=self._images.agent_volume.reference,
                runtime=runtime.name,
                network_mode=network_mode,
                limits=self._limits,
            )
        )
        try:
            agent = await attach(started.socket)
            await _greet(agent)
        except BaseException:
            await asyncio.shield(self._engine.remove(started.container_id))
            raise
        return Sandbox(started.container_id, runtime.name, network_mode, uid, agent)

    async def remove(self, sandbox: Sandbox) -> None:
        """End the conversation and the container."""
        sandbox.agent.close()
        await self._engine.remove(sandbox.container_id)


async def _greet(agent: Agent) -> None:
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            await agent.hello()
    except TimeoutError:
        raise AgentLost(f"a new agent did not answer for {HELLO_SECONDS} seconds") from None
