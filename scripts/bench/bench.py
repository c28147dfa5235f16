"""What measurements need: the engine, the images, and how much effort to make."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from emulator.life import open_engine
from emulator.sandbox.engine import Engine
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue
from emulator.settings import Settings

INSTANCE = "bench"
"""Marks the containers that the bench starts through the emulator's own parts."""


@dataclass(frozen=True)
class Effort:
    """What bounds the bench in count and in time.

    `samples` of each latency, `sustained_seconds` of the long load, `step_seconds` of each short
    one, `repeats` of what takes long by itself: a start, a `docker run`.
    """

    samples: int
    sustained_seconds: int
    step_seconds: int
    repeats: int


FULL = Effort(samples=100, sustained_seconds=60, step_seconds=5, repeats=9)
QUICK = Effort(samples=10, sustained_seconds=4, step_seconds=1, repeats=2)


@dataclass(frozen=True)
class Bench:
    """Shared by all measurements."""

    engine: Engine
    catalogue: Catalogue
    images: Images
    effort: Effort


@contextmanager
def opened(catalogue: Catalogue, effort: Effort) -> Iterator[Bench]:
    """Raises SettingError when no engine answers."""
    with closing(open_engine(INSTANCE, 2)) as engine:
        images = Images(engine.client, catalogue, Settings.load({}).extra_ca)
        yield Bench(engine, catalogue, images, effort)
