"""One run from start to end: its image, its share of the machine, a container, its steps."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from emulator.clock import Clock
from emulator.errors import NoCapacity, SandboxFailed
from emulator.sandbox.agent import AgentError
from emulator.sandbox.builder import Builder, built, unavailable
from emulator.sandbox.compile_cache import CompileCache
from emulator.sandbox.engine import Engine, EngineError
from emulator.sandbox.engine_faults import faulty
from emulator.sandbox.images import BuildFailed
from emulator.sandbox.limits import Budget, Limits
from emulator.sandbox.network import Network
from emulator.sandbox.origin import Origin
from emulator.sandbox.pool import Pool, Sandbox, StartFailed
from emulator.sandbox.program import NEVER_STARTED, Outcome, Program
from emulator.sandbox.runtimes import Runtime
from emulator.sandbox.steps import GRACE_SECONDS, Run
from emulator.stop import Stop, Stopped

logger = logging.getLogger(__name__)


class Executor:
    """Runs programs, each alone in a container that is as it was made."""

    def __init__(
        self,
        pool: Pool,
        builder: Builder,
        engine: Engine,
        networks: Mapping[str, Network],
        budget: Budget,
        clock: Clock,
        queue_seconds: int,
        compiles: CompileCache,
    ) -> None:
        self._pool = pool
        self._builder = builder
        self._compiles = compiles
        self._engine = engine
        self._networks = networks
        self._budget = budget
        self._usual = Limits.for_vcpu(1, budget.total)
        self._clock = clock
        self._queue_seconds = queue_seconds

    def check(self, runtime: Runtime) -> None:
        """Raise RuntimeUnavailable where the image could not be built a moment ago."""
        try:
            self._builder.check(runtime.name)
        except BuildFailed as error:
            raise unavailable(runtime.name, error) from error

    async def run(
        self,
        program: Program,
        *,
        origin: Origin,
        stop: Stop,
        started: Callable[[], None],
        told: Callable[[str], None] = lambda _: None,
        patient: bool = False,
    ) -> Outcome:
        """Run to the end, to the end of the ttl, or until `stop` is requested.

        Args:
            program: what to run.
            origin: whose it is, and the connections that it makes; accounts that wait for the
                machine are served in turn.
            stop: ends the program and whatever it waits for; what it made so far is the outcome.
            started: called once the program has its container.
            told: called with what it waits for, where that may take minutes.
            patient: whether it waits for its turn as long as that takes.

        Raises:
            NoCapacity: no container was free in time, or no image built.
            RuntimeUnavailable: the image of its language cannot be built.
            Unavailable: its network cannot be had now.
            SandboxFailed: the container, its agent or the engine went away, or none started.
        """
        seconds = None if patient else self._queue_seconds
        try:
            name = program.runtime.name
            await built(self._builder, name, self._clock, seconds, stop=stop, told=told)
            async with (
                self._admitted(program, origin, stop, seconds) as sandbox,
                faulty(sandbox, program.fault, self._engine, self._clock),
            ):
                stop.check()
                started()
                environment = self._networks[program.network_mode].environment
                run = Run(sandbox, program, environment, self._clock, stop, self._compiles)
                return await run.outcome()
        except Stopped:
            return NEVER_STARTED
        except StartFailed as error:
            self._builder.forget(program.runtime.name)
            logger.warning("a run of %s did not start: %s", program.runtime.name, error)
            raise SandboxFailed(
                "No sandbox could be started for the program; running it again may work"
            ) from error
        except (AgentError, EngineError) as error:
            logger.warning("a run of %s failed: %s", program.runtime.name, error)
            raise SandboxFailed(
                "The sandbox went away while the program ran; running it again may work"
            ) from error

    @asynccontextmanager
    async def _admitted(
        self, program: Program, origin: Origin, stop: Stop, seconds: int | None
    ) -> AsyncIterator[Sandbox]:
        """Memory for the run, then a container; waiting for them does not count as its time."""
        limits = Limits.for_vcpu(program.vcpu, self._budget.total)
        async with stop.heeded(self._clock, None):
            await self._networks[program.network_mode].require()
        async with AsyncExitStack() as stack:
            try:
                async with stop.heeded(self._clock, seconds):
                    if program.fault is not None:
                        await self._clock.sleep(program.fault.slow_start)
                    promise = self._budget.promise(
                        limits.memory_bytes, origin.account, program.ttl + GRACE_SECONDS
                    )
                    await stack.enter_async_context(promise)
                    sandbox = await stack.enter_async_context(
                        self._pool.lease(program.runtime, program.network_mode)
                    )
            except TimeoutError:
                raise NoCapacity(
                    f"No container was free within {seconds} seconds; try again later"
                ) from None
            if limits != self._usual:
                sandbox.resized = True
                await self._engine.resize(sandbox.container_id, limits)
            if sandbox.relay is not None:
                stack.enter_context(sandbox.relay.serving(origin))
            yield sandbox
