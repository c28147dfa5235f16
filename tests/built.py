"""Which languages can be run here: those whose images are built. The others' tests are not run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import docker
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue, Runtime


@contextmanager
def _images() -> Iterator[tuple[Catalogue, Callable[[str], bool]]]:
    """The data, and whether the image of a folder is here."""
    catalogue, client = Catalogue.load(RUNTIMES), docker.from_env()
    images = Images(client, catalogue)
    try:
        yield catalogue, lambda name: images.image(name).exists(client)
    finally:
        client.close()


@cache
def built() -> tuple[tuple[Runtime, ...], tuple[str, ...]]:
    """Languages whose images are here, and the names of all others."""
    with _images() as (catalogue, is_here):
        there = tuple(it for it in catalogue.available() if is_here(it.name))
    names = {runtime.name for runtime in there}
    return there, tuple(name for name in catalogue.languages() if name not in names)


def shells_missing() -> list[str]:
    """Shells and REPLs whose images are not here."""
    with _images() as (catalogue, is_here):
        return [name for name, it in catalogue.shells.shells.items() if not is_here(it.image)]


def needs(runtime: Runtime) -> pytest.MarkDecorator:
    """For a test of a language: it is skipped, and counted, where its image is not built."""
    missing = runtime not in built()[0]
    return pytest.mark.skipif(missing, reason=f"{runtime.name}: its image is not built here")


def not_run() -> str:
    """The line that says so after all others."""
    there, missing = built()
    total = len(there) + len(missing)
    return (
        f"languages: {len(there)} of {total} were built here; "
        f"not run: {_counted(missing)}; shells not run: {_counted(shells_missing())}"
    )


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} ({' '.join(names)})" if names else "0"
