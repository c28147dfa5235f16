"""What measurements need: the engine, the images, and how many samples to take."""

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
class Bench:
    """Shared by all measurements."""

    engine: Engine
    catalogue: Catalogue
    images: Images
    samples: int


@contextmanager
def opened(catalogue: Catalogue, samples: int) -> Iterator[Bench]:
    """Raises SettingError when no engine answers."""
    with closing(open_engine(INSTANCE, 2)) as engine:
        images = Images(engine.client, catalogue, Settings.load({}).extra_ca)
        yield Bench(engine, catalogue, images, samples)
