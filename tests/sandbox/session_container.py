"""Containers for tests as sessions and services have them: root, whose root can be written."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

import docker

from emulator.sandbox.agent import Agent, Spawn
from emulator.sandbox.runtimes import INPUT_DIRECTORY
from emulator.sandbox.shells import ENVIRONMENT
from tests.sandbox.agent_container import Container, contained_agent, running_container
from tests.sandbox.terminal import COLUMNS, LINES

OPTIONS = {
    "read_only": False,
    "cap_add": [
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"),
        *("KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"),
    ],
    "tmpfs": {"/run": "rw,nosuid,nodev,size=64m", "/dev/shm": "rw,nosuid,nodev,size=64m"},
    "mem_limit": 2 << 30,
    "memswap_limit": 2 << 30,
}


@asynccontextmanager
async def session_agent(client: docker.DockerClient, image: str) -> AsyncIterator[Agent]:
    """An agent in a container of its own; the working directory is there."""
    async with contained_agent(client, image, **OPTIONS) as agent:
        await agent.make_directory(INPUT_DIRECTORY, uid=0, gid=0)
        yield agent


def session_container(client: docker.DockerClient, image: str) -> AbstractContextManager[Container]:
    """A container that several agents are attached to in turn."""
    return running_container(client, image, **OPTIONS)


@asynccontextmanager
async def attached(container: Container) -> AsyncIterator[Agent]:
    """Its agent, without what earlier ones started; the working directory is there."""
    agent = await container.attach()
    try:
        await agent.make_directory(INPUT_DIRECTORY, uid=0, gid=0)
        yield agent
    finally:
        agent.close()


def on_terminal(*argv: str) -> Spawn:
    """A program as sessions start it."""
    return Spawn(
        argv=argv, env=ENVIRONMENT, cwd=INPUT_DIRECTORY, uid=0, gid=0, pty=(COLUMNS, LINES)
    )
