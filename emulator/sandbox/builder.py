"""Images built when they are first needed, each once however many wait for it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from emulator.clock import Clock
from emulator.errors import NoCapacity, RuntimeUnavailable
from emulator.sandbox.build_log import BuildCancelled
from emulator.sandbox.images import BuildFailed, Images, Progress, build
from emulator.stop import Stop

logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
"""How long a failure answers for the next ones who ask: a build that fails may take long."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BuildFailed
    at: float


class Builder:
    """Images of folders of `runtimes/`, by their names; one plan is carried out at a time.

    Args:
        client: the engine.
        images: what each name stands for.
        logs: a folder for what builds print.
        clock: tells when a failure is old.
    """

    def __init__(
        self, client: docker.DockerClient, images: Images, logs: Path, clock: Clock
    ) -> None:
        self._client = client
        self._images = images
        self._logs = logs
        self._clock = clock
        self._there: set[str] = set()
        self._failures: dict[str, _Failure] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._closing = threading.Event()

    async def close(self) -> None:
        """End what is being built; who waits for it is told that it was cancelled."""
        self._closing.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def there(self, name: str) -> bool:
        """Whether nothing has to be built for `name`, as far as the engine can be asked."""
        if name in self._there:
            return True
        try:
            steps = await asyncio.to_thread(self._images.plan, [], [name])
        except (DockerException, requests.RequestException) as error:
            logger.warning("cannot ask for images: %s", error)
            return True  # who then starts a container hears of it too
        if all(step.present for step in steps):
            self._there.add(name)
        return name in self._there

    async def require(self, name: str) -> None:
        """Return once the image is there.

        Raises:
            BuildFailed: it cannot be built, or could not a moment ago.
        """
        self.check(name)
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(self._build(name))
            task.add_done_callback(lambda done: self._ended(name, done))
        await asyncio.shield(task)

    def check(self, name: str) -> None:
        """Raise the BuildFailed of a moment ago, if there was one."""
        failure = self._failures.get(name)
        if failure is not None and self._clock.monotonic() - failure.at < RETRY_SECONDS:
            raise failure.error

    def forget(self, name: str) -> None:
        """What was there may have been removed: look again when it is needed next."""
        self._there.discard(name)

    async def _build(self, name: str) -> None:
        async with self._turn:
            if await self.there(name):
                return
            try:
                await asyncio.to_thread(self._carry_out, name)
            except BuildCancelled:
                raise BuildFailed("the emulator is shutting down", "shutting down") from None

    def _carry_out(self, name: str) -> None:
        """In a thread, which ends soon after `close`."""
        steps = self._images.plan([], [name])
        build(self._client, steps, self._logs, _tell, self._closing)

    def _ended(self, name: str, task: "asyncio.Task[None]") -> None:
        del self._tasks[name]
        with suppress(asyncio.CancelledError):
            error = task.exception()
            if isinstance(error, BuildFailed):
                logger.warning("%s", error)
                self._failures[name] = _Failure(error, self._clock.monotonic())
            elif error is None:
                self._failures.pop(name, None)
                self._there.add(name)


async def built(
    builder: Builder,
    name: str,
    clock: Clock,
    seconds: int | None,
    *,
    stop: Stop,
    told: Callable[[str], None] = lambda _: None,
) -> None:
    """Build an image that nobody needed before; that is not the time of what runs in it.

    `told` is called with what is waited for, where that may take minutes.

    Raises:
        NoCapacity: it was not built in time.
        RuntimeUnavailable: it cannot be built.
        Stopped: `stop` was requested meanwhile.
    """
    if await builder.there(name):
        return
    told(f"The image of {name} is being built, which happens once; the program runs after it")
    try:
        async with stop.heeded(clock, seconds):
            await builder.require(name)
    except TimeoutError:
        raise NoCapacity(
            f"The image of {name} is still being built after {seconds} seconds; try again later. "
            "What runs programs can be sent as a job, which waits for it"
        ) from None
    except BuildFailed as error:
        raise unavailable(name, error) from error


def unavailable(name: str, error: BuildFailed) -> RuntimeUnavailable:
    """The answer to who asked for what cannot be built."""
    return RuntimeUnavailable(
        f"{name} cannot run here: {error.reason}. "
        f"To try it and see more: unsandbox-emulator runtimes build {name}"
    )


def _tell(progress: Progress) -> None:
    logger.info("%s", progress)
