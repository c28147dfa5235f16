"""A container of the shells' image, shared by the tests of a module, each with an agent anew."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import docker
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.agent import Agent
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import INPUT_DIRECTORY, Catalogue
from emulator.sandbox.shells import IMAGE
from tests.sandbox.agent_container import Container, running_container
from tests.sandbox.session_container import OPTIONS


@contextmanager
def shell_container() -> Iterator[Container]:
    """One that runs; the test is skipped where the image is not built."""
    client = docker.from_env()
    try:
        image = Images(client, Catalogue.load(RUNTIMES)).image(IMAGE)
        if not image.exists(client):
            pytest.skip(f"{IMAGE}: its image is not built here")
        with running_container(client, image.reference, **OPTIONS) as container:
            yield container
    finally:
        client.close()


@asynccontextmanager
async def attached(container: Container) -> AsyncIterator[Agent]:
    """Its agent in a new epoch: what an earlier test started has ended."""
    agent = await container.attach()
    await agent.make_directory(INPUT_DIRECTORY, uid=0, gid=0)
    try:
        yield agent
    finally:
        agent.close()
