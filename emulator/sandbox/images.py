"""Which images and volumes the runtimes need, and building those that are missing."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import docker
import requests
from docker.errors import DockerException

from emulator.sandbox import shells
from emulator.sandbox.build_log import BuildCancelled, BuildLog
from emulator.sandbox.build_targets import (
    AgentVolume,
    BuildError,
    DebianImage,
    DockerfileImage,
    OfficialImage,
    Target,
)
from emulator.sandbox.runtime import ImageFacts
from emulator.sandbox.runtimes import BASE, Catalogue, Runtime

WORKERS = 2
"""Builds at the same time: half of the time they wait for the network."""


class BuildFailed(Exception):
    """A step failed; the message has the cause, the end of the log and where the log is.

    `reason` is the cause alone, in one line.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Step:
    """A target, and whether it was there when the plan was made."""

    target: Target
    present: bool

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def state(self) -> str:
        return "present" if self.present else "missing"


@dataclass(frozen=True, slots=True)
class Progress:
    """A step has begun (`seconds` is None) or is done; as text, a line to show."""

    step: Step
    seconds: float | None = None
    size: int | None = None

    def __str__(self) -> str:
        if self.seconds is None:
            return f"{self.step.name:<14} building"
        size = "" if self.size is None else f", {self.size / 1e6:.0f} MB"
        return f"{self.step.name:<14} built in {self.seconds:.1f} s{size}"


class Images:
    """The images of a catalogue's languages, and the volume with the agent.

    Args:
        client: the engine.
        catalogue: whose languages; its folder has the Dockerfiles.
        extra_ca: a file of CA certificates that downloads in builds trust too.
    """

    def __init__(
        self, client: docker.DockerClient, catalogue: Catalogue, extra_ca: Path | None = None
    ) -> None:
        self._client = client
        self._folder = catalogue.folder
        self._facts = {runtime.name: runtime.image for runtime in catalogue}
        self._facts[shells.IMAGE] = catalogue.shells.image
        self._extra_ca = extra_ca
        self._images: dict[str, DockerfileImage] = {}

    @property
    def agent_volume(self) -> AgentVolume:
        """The volume that sandboxes mount at AGENT_MOUNT."""
        return AgentVolume(self.image("agent"))

    def image(self, name: str) -> DockerfileImage:
        """The image of a folder of `runtimes/`; containers are made of its `reference`."""
        if name not in self._images:
            self._images[name] = DockerfileImage.of(
                self._folder / name, self._arguments(name), extra_ca=self._extra_ca
            )
        return self._images[name]

    def _arguments(self, name: str) -> dict[str, Target]:
        """What the Dockerfile of a folder is built with, by the name of its build argument."""
        if name == BASE:
            return {"BASE": DebianImage.load(self._folder / BASE / "debian.toml")}
        facts = self._facts.get(name, ImageFacts())
        arguments: dict[str, Target] = {"BASE": self.image(facts.parent)}
        arguments.update((other.upper(), self.image(other)) for other in facts.uses)
        if facts.official is not None:
            arguments["OFFICIAL"] = OfficialImage(facts.official)
        return arguments

    def references(self) -> set[str]:
        """Every tag and volume that this version may use."""
        folders = [file.parent.name for file in self._folder.glob("*/Dockerfile")]
        targets: list[Target] = [self.agent_volume, *(self.image(name) for name in folders)]
        return {
            self.agent_volume.filled,
            *(step.reference for target in targets for step in _with_needs(target)),
        }

    def plan(self, runtimes: Iterable[Runtime], others: Iterable[str] = ()) -> list[Step]:
        """What running programs of `runtimes` takes, each after what it is built from.

        `others` are folders of `runtimes/` that are no languages.
        """
        names = [*(runtime.name for runtime in runtimes), *others]
        return plan(self._client, [self.agent_volume, *map(self.image, names)])


def plan(client: docker.DockerClient, targets: Iterable[Target]) -> list[Step]:
    """Steps for `targets` and all that they are built from, which comes first."""
    needed = {step.reference: step for target in targets for step in _with_needs(target)}
    return [Step(target, target.exists(client)) for target in needed.values()]


def _with_needs(target: Target) -> Iterator[Target]:
    for needed in target.needs:
        yield from _with_needs(needed)
    yield target


def build(
    client: docker.DockerClient,
    steps: Sequence[Step],
    logs: Path,
    report: Callable[[Progress], None],
    stop: Event | None = None,
) -> None:
    """Build the steps that are missing, a few at a time.

    Args:
        client: the engine.
        steps: each after what it is built from.
        logs: a folder for what builds print, a file for each step.
        report: called from several threads.
        stop: set by another thread to end it early.

    Raises:
        BuildFailed: of the first step that failed; what was built before it stays.
        BuildCancelled: `stop` was set before everything was built.
    """
    work = _Work(client, logs, report, stop or Event(), Event())
    errors = _carried_out(work, steps, keep_going=False).values()
    for error in sorted(errors, key=lambda error: isinstance(error, BuildCancelled)):
        raise error


def build_possible(
    client: docker.DockerClient,
    steps: Sequence[Step],
    logs: Path,
    report: Callable[[Progress], None],
    stop: Event | None = None,
) -> dict[str, BuildFailed]:
    """As `build`, but what fails keeps only back what is built from it.

    Returns:
        What failed, by reference, that which was kept back by it included.

    Raises:
        BuildCancelled: `stop` was set before everything was tried.
    """
    work = _Work(client, logs, report, stop or Event(), Event())
    failures: dict[str, BuildFailed] = {}
    for reference, error in _carried_out(work, steps, keep_going=True).items():
        if not isinstance(error, BuildFailed):
            raise error
        failures[reference] = error
    return failures


def _carried_out(
    work: "_Work", steps: Sequence[Step], *, keep_going: bool
) -> dict[str, BaseException]:
    """Build what is missing, each step after what it is built from; what failed, by reference."""
    missing = {step.target.reference: step for step in steps if not step.present}
    running: dict[Future[None], str] = {}
    failed: dict[str, BaseException] = {}
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="build") as threads:
        try:
            while (missing or running) and (keep_going or not failed):
                for reference, step in list(missing.items()):
                    needs = {needed.reference for needed in step.target.needs}
                    if needs & failed.keys():
                        failed[reference] = next(failed[it] for it in failed if it in needs)
                        del missing[reference]
                    elif needs.isdisjoint(missing) and needs.isdisjoint(running.values()):
                        running[threads.submit(work.run, step)] = reference
                        del missing[reference]
                _collect(running, failed, FIRST_COMPLETED)
        finally:
            work.over.set()
    _collect(running, failed, ALL_COMPLETED)
    return failed


def _collect(
    running: "dict[Future[None], str]", failed: dict[str, BaseException], until: str
) -> None:
    """Wait for work that runs, and move what ended and failed."""
    for future in wait(running, return_when=until).done:
        reference, error = running.pop(future), future.exception()
        if error is not None:
            failed[reference] = error


@dataclass(frozen=True)
class _Work:
    """What the threads of one build share: `stop` is its caller's wish, `over` its own end."""

    client: docker.DockerClient
    logs: Path
    report: Callable[[Progress], None]
    stop: Event
    over: Event

    def run(self, step: Step) -> None:
        """Build one step; what it is built from is there."""
        log_file = self.logs / f"{re.sub('[^a-z0-9.-]+', '-', step.name)}.log"
        with BuildLog(log_file, self._is_cancelled) as log:
            log.check()
            try:
                self._make(step, log)
            except (BuildError, DockerException, requests.RequestException, OSError) as error:
                raise BuildFailed(_told(step, error, log), _reason(error)) from error

    def _is_cancelled(self) -> bool:
        return self.stop.is_set() or self.over.is_set()

    def _make(self, step: Step, log: BuildLog) -> None:
        started = time.monotonic()
        self.report(Progress(step))
        step.target.make(self.client, log)
        seconds = time.monotonic() - started
        self.report(Progress(step, seconds, step.target.size(self.client)))


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _told(step: Step, error: Exception, log: BuildLog) -> str:
    tail = "".join(f"\n    {line}" for line in log.tail())
    return f"{step.name} was not built: {error}{tail}\n  the whole log: {log.path}"
