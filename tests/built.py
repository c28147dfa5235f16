"""Which languages can be run here: those whose images are built. The others' tests are not run."""

from functools import cache

import docker
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue, Runtime


@cache
def built() -> tuple[tuple[Runtime, ...], tuple[str, ...]]:
    """Languages whose images are here, and the names of all others."""
    catalogue = Catalogue.load(RUNTIMES)
    client = docker.from_env()
    try:
        images = Images(client, catalogue)
        there = tuple(it for it in catalogue.available() if images.image(it.name).exists(client))
    finally:
        client.close()
    names = {runtime.name for runtime in there}
    return there, tuple(name for name in catalogue.languages() if name not in names)


def needs(runtime: Runtime) -> pytest.MarkDecorator:
    """For a test of a language: it is skipped, and counted, where its image is not built."""
    missing = runtime not in built()[0]
    return pytest.mark.skipif(missing, reason=f"{runtime.name}: its image is not built here")


def not_run() -> str:
    """The line that says so after all others."""
    there, missing = built()
    total = len(there) + len(missing)
    if not missing:
        return f"languages: {total} of {total} were built here; not run: 0"
    return (
        f"languages: {len(there)} of {total} were built here; "
        f"not run: {len(missing)} ({' '.join(missing)})"
    )
