"""Docker as the control plane: create, start, kill, remove, list. No request goes through it."""

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.types import LogConfig

from emulator.sandbox.limits import Limits

LABEL = "com.unsandbox.emulator"
"""Every container carries it; its value is the instance that owns the container."""

AGENT_MOUNT = "/.unsandbox"
AGENT_PATH = f"{AGENT_MOUNT}/agent"
AGENT_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"]
"""What the agent needs to hand files and processes to a run's user; the run itself has none."""

T = TypeVar("T")


class EngineError(Exception):
    """Docker refused or did not answer; the message is its own."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that varies between execution containers; nothing here comes from a request."""

    image: str
    agent_volume: str
    runtime: str
    network_mode: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Started:
    """A running container and the socket that is attached to its standard streams."""

    container_id: str
    socket: socket.socket


class Engine:
    """Calls the engine on a bounded set of threads; `instance` marks what is ours."""

    def __init__(self, client: docker.DockerClient, instance: str, workers: int) -> None:
        self._api: Any = client.api
        self.client = client
        self.instance = instance
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="engine")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self.client.close()

    async def ping(self) -> None:
        """Raise EngineError when the engine does not answer."""
        await self._call(self._api.ping)

    async def start(self, spec: ContainerSpec) -> Started:
        """Create a container, attach to it, start it: in this order, so that nothing is lost."""
        return await self._call(lambda: self._start(spec))

    async def remove(self, container_id: str) -> None:
        """Kill and remove; a container that is gone already is fine."""
        await self._call(lambda: self._remove(container_id))

    async def resize(self, container_id: str, limits: Limits) -> None:
        """Give a running container other CPU and memory limits."""
        await self._call(
            lambda: self._api.update_container(
                container_id,
                cpu_period=limits.cpu_period,
                cpu_quota=limits.cpu_quota,
                mem_limit=limits.memory_bytes,
                memswap_limit=limits.memory_bytes,
            )
        )

    async def remove_leftovers(self) -> int:
        """Remove every container of this instance; how many there were."""
        found = await self._call(
            lambda: self._api.containers(
                all=True, quiet=True, filters={"label": f"{LABEL}={self.instance}"}
            )
        )
        await asyncio.gather(*(self.remove(item["Id"]) for item in found))
        return len(found)

    async def _call(self, function: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, function)
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineError(str(error)) from error

    def _start(self, spec: ContainerSpec) -> Started:
        container_id: str = self._api.create_container(
            spec.image,
            entrypoint=[AGENT_PATH],
            command=[],
            user="0:0",
            working_dir="/",
            hostname="sandbox",
            stdin_open=True,
            labels={LABEL: self.instance, f"{LABEL}.runtime": spec.runtime},
            environment={},
            host_config=self._host_config(spec),
        )["Id"]
        try:
            attached = self._attach(container_id)
            self._api.start(container_id)
        except BaseException:
            self._remove(container_id)
            raise
        return Started(container_id, attached)

    def _host_config(self, spec: ContainerSpec) -> Any:  # noqa: ANN401 - docker's own dict
        limits = spec.limits
        return self._api.create_host_config(
            binds={spec.agent_volume: {"bind": AGENT_MOUNT, "mode": "ro"}},
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=AGENT_CAPABILITIES,
            security_opt=["no-new-privileges"],
            log_config=LogConfig(type=LogConfig.types.NONE),
            tmpfs={"/tmp": limits.tmpfs_options},  # noqa: S108 - inside the sandbox
            shm_size=limits.shm_bytes,
            pids_limit=limits.pids,
            cpu_period=limits.cpu_period,
            cpu_quota=limits.cpu_quota,
            mem_limit=limits.memory_bytes,
            memswap_limit=limits.memory_bytes,
            oom_score_adj=500,
            init=False,
            ipc_mode="private",
            restart_policy={"Name": "no"},
        )

    def _attach(self, container_id: str) -> socket.socket:
        """The raw stream; a duplicate, so that the HTTP client may drop its own."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        stream = self._api.attach_socket(container_id, params=params)
        try:
            attached = socket.socket(fileno=os.dup(stream.fileno()))
        finally:
            stream._response.close()
        attached.setblocking(False)
        return attached

    def _remove(self, container_id: str) -> None:
        try:
            self._api.remove_container(container_id, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != requests.codes.conflict:  # its removal is under way
                raise
