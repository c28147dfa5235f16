"""Agents for tests as what they are: PID 1 of a container, hardened as sandboxes are."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import docker
from docker.types import LogConfig

from emulator.sandbox.agent import Agent
from emulator.sandbox.attach import attach, take_over
from emulator.sandbox.limits import Limits
from tests.sandbox.agent_process import built

LABEL = "com.unsandbox.emulator.test-agent"
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"]
UID = GID = 2000
"""The user of a run: no capabilities, nothing of the agent's."""


class Container:
    """A started container; an agent can be attached to it any number of times."""

    def __init__(self, client: docker.DockerClient, container_id: str) -> None:
        self._api: Any = client.api
        self.id = container_id

    async def reach(self) -> Agent:
        """An agent that has not been greeted yet."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        return await attach(*take_over(self._api.attach_socket(self.id, params=params)))

    async def attach(self) -> Agent:
        agent = await self.reach()
        await agent.hello()
        return agent


def _create(client: docker.DockerClient, image: str, options: dict[str, Any]) -> str:
    api: Any = client.api
    host: dict[str, Any] = {
        "binds": {str(built().parent): {"bind": "/.unsandbox", "mode": "ro"}},
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": CAPABILITIES,
        "security_opt": ["no-new-privileges"],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "tmpfs": {"/tmp": "rw,exec,nosuid,nodev,size=64m,mode=1777"},
        "sysctls": Limits().sysctls,
        "pids_limit": 512,
        "mem_limit": 256 << 20,
        "memswap_limit": 256 << 20,
        "oom_score_adj": 500,
        "ipc_mode": "private",
    }
    created = api.create_container(
        image,
        entrypoint=["/.unsandbox/agent"],
        command=[],
        user="0:0",
        stdin_open=True,
        detach=True,  # or docker's client asks for stdin to end with the first attachment
        labels={LABEL: ""},
        host_config=api.create_host_config(**{**host, **options}),
    )
    return str(created["Id"])


@contextmanager
def running_container(
    client: docker.DockerClient, image: str, **options: object
) -> Iterator[Container]:
    """A container whose PID 1 is the agent built from this source tree."""
    api: Any = client.api
    container = Container(client, _create(client, image, options))
    try:
        api.start(container.id)
        yield container
    finally:
        api.remove_container(container.id, force=True, v=True)


@asynccontextmanager
async def contained_agent(
    client: docker.DockerClient, image: str, **options: object
) -> AsyncIterator[Agent]:
    """An agent in a container of its own, ready for requests."""
    with running_container(client, image, **options) as container:
        async with asyncio.timeout(30):
            agent = await container.attach()
        try:
            yield agent
        finally:
            agent.close()
