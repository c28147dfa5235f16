"""Docker as the control plane: create, start, kill, remove, list. No request goes through it."""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import docker
import requests
from docker.errors import APIError, DockerException
from docker.types import DriverConfig, LogConfig, Mount

from emulator.sandbox.attach import take_over
from emulator.sandbox.limits import Limits

logger = logging.getLogger(__name__)

LABEL = "com.unsandbox.emulator"
"""Every container carries it; its value is the instance that owns the container."""

TERMINALS_LABEL = f"{LABEL}.terminals"
"""The same for what is mounted on /dev/pts, which goes with its container."""

UNKNOWN = 1 << 63
"""The size of what cannot be measured: more than of anything that can."""

AGENT_MOUNT = "/.unsandbox"
AGENT_PATH = f"{AGENT_MOUNT}/agent"
AGENT_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"]
"""What the agent needs to hand files and processes to a run's user; the run itself has none."""

REFUSED_SECONDS = 60.0
"""How long after the engine refused to remove a container it is not asked again: files in it can
make that hard."""

_ENGINE_FAULTS = (DockerException, requests.RequestException, OSError)

T = TypeVar("T")


class EngineError(Exception):
    """Docker refused or did not answer; the message is its own."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that varies between containers; nothing here comes from a request.

    `options` are of the engine's host configuration, over those that every container gets. One
    that is `lasting` goes on when the emulator that started it has ended.
    """

    image: str
    agent_volume: str
    runtime: str
    limits: Limits
    options: Mapping[str, object] = field(default_factory=dict)
    hostname: str = "sandbox"
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """A running container, the socket attached to its standard streams, and its first bytes."""

    container_id: str
    socket: socket.socket
    early: bytes


class Engine:
    """Calls the engine on a bounded set of threads; `instance` marks what is ours."""

    def __init__(self, client: docker.DockerClient, instance: str, workers: int) -> None:
        self._api: Any = client.api
        self.client = client
        self.instance = instance
        self._overdue: dict[str, float] = {}
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
        """Kill and remove; a container that is gone already is fine.

        When the engine is away it is removed after the next start.
        """
        await self._call(lambda: self._remove(container_id))

    async def attach(self, container_id: str) -> tuple[socket.socket, bytes]:
        """Attach to a running container; the socket, and bytes that were read already."""
        return await self._call(lambda: self._attach(container_id))

    async def start_again(self, container_id: str) -> tuple[socket.socket, bytes]:
        """Start a container that has ended, with the files that it left, and attach to it."""
        return await self._call(lambda: self._start_again(container_id))

    async def pause(self, container_id: str) -> None:
        """Stop its processes where they are; they keep their memory."""
        await self._call(lambda: self._api.pause(container_id))

    async def unpause(self, container_id: str) -> None:
        """Let its processes go on."""
        await self._call(lambda: self._api.unpause(container_id))

    async def memory_in_use(self, container_id: str) -> int:
        """Bytes that its processes hold and the kernel could not give to others at once."""
        stats = await self._call(
            lambda: self._api.stats(container_id, stream=False, one_shot=True)["memory_stats"]
        )
        details = stats.get("stats", {})
        idle = details.get("total_inactive_file", details.get("inactive_file", 0))
        return max(0, int(stats.get("usage", 0)) - int(idle))

    async def written(self, container_id: str) -> int:
        """Bytes of the files in its writable layer, by their lengths; a deleted one has none.

        UNKNOWN when the engine cannot tell: paths may be longer than those it can walk.
        """
        found = await self._call(
            lambda: self._api.containers(all=True, size=True, filters={"id": container_id})
        )
        if not found:
            raise EngineError(f"there is no container {container_id}")
        size = int(found[0].get("SizeRw") or 0)
        return size if size >= 0 else UNKNOWN

    async def data_root(self) -> Path | None:
        """Where the engine keeps its files; None where that is not on this machine.

        It may be on another one although its socket is here: in a virtual machine, or around the
        container that this runs in. Then the host's name is another one.
        """
        return await self._call(self._data_root)

    async def states(self) -> dict[str, str]:
        """The containers of this instance: `running`, `paused`, `exited`, ... by their ids."""
        ours = {"label": f"{LABEL}={self.instance}"}
        found = await self._call(lambda: self._api.containers(all=True, filters=ours))
        return {item["Id"]: item["State"] for item in found}

    async def kill(self, container_id: str) -> None:
        """Kill its first process, which is the agent, and so all of it; it is not removed."""
        await self._call(lambda: self._api.kill(container_id))

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

    async def remove_leftovers(self, kept: Collection[str] = ()) -> int:
        """Remove every container of this instance but those `kept`; how many there were."""
        found = [container_id for container_id in await self.states() if container_id not in kept]
        await asyncio.gather(*map(self.remove, found))
        await self._call(self._remove_networks_and_volumes)
        await self._call(self._remove_terminals)
        return len(found)

    # --- networks and volumes --------------------------------------------------------------

    async def create_network(self, name: str) -> tuple[str, ...]:
        """A network of this instance's own that leads outside, if it is not there; its ranges."""
        return await self._call(lambda: self._create_network(name))

    async def create_volume(self, name: str) -> None:
        """A volume of this instance's own; one that is there already is fine."""
        labels = {LABEL: self.instance}
        await self._call(lambda: self._api.create_volume(name, labels=labels))

    async def remove_networks_and_volumes(self) -> None:
        """Remove those of this instance, once its containers are gone."""
        await self._call(self._remove_networks_and_volumes)

    async def _call(self, function: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, function)
        except _ENGINE_FAULTS as error:
            raise EngineError(str(error)) from error

    def _data_root(self) -> Path | None:
        info = self._api.info()
        root = Path(info["DockerRootDir"])
        return root if info["Name"] == socket.gethostname() and root.is_dir() else None

    def _create_network(self, name: str) -> tuple[str, ...]:
        if not self._api.networks(names=[name]):
            self._api.create_network(
                name,
                driver="bridge",
                labels={LABEL: self.instance},
                options={"com.docker.network.bridge.enable_icc": "false"},
            )
        found = self._api.inspect_network(name)
        return tuple(pool["Subnet"] for pool in found["IPAM"]["Config"])

    def _remove_networks_and_volumes(self) -> None:
        ours = {"label": f"{LABEL}={self.instance}"}
        for network in self._api.networks(filters=ours):
            with self._unless_in_use(network["Name"]):
                self._api.remove_network(network["Id"])
        unused = {**ours, "dangling": True}  # services that stay use theirs
        for volume in self._api.volumes(filters=unused)["Volumes"] or ():
            with self._unless_in_use(volume["Name"]):
                self._api.remove_volume(volume["Name"])

    def _remove_terminals(self) -> None:
        """Of containers that somebody else removed."""
        filters = {"label": f"{TERMINALS_LABEL}={self.instance}", "dangling": True}
        for volume in self._api.volumes(filters=filters)["Volumes"] or ():
            with self._unless_in_use(volume["Name"]):
                self._api.remove_volume(volume["Name"])

    @contextmanager
    def _unless_in_use(self, name: str) -> Iterator[None]:
        """What others have got hold of stays until the next start."""
        try:
            yield
        except APIError as error:
            logger.warning("%s is not removed: %s", name, error.explanation)

    def _start(self, spec: ContainerSpec) -> Started:
        """The name is ours, so that it can be removed even when no answer tells its id."""
        name = f"unsandbox-{spec.runtime}-{secrets.token_hex(8)}"
        with ExitStack() as undo:
            undo.callback(self._remove_or_later, name)
            container_id = self._create(name, spec)
            attached, early = self._attach(container_id)
            undo.callback(attached.close)
            self._api.start(container_id)
            undo.pop_all()
        now = time.monotonic()
        for overdue in [one for one, due in list(self._overdue.items()) if due <= now]:
            self._remove_or_later(overdue)
        return Started(container_id, attached, early)

    def _start_again(self, container_id: str) -> tuple[socket.socket, bytes]:
        attached, early = self._attach(container_id)
        try:
            self._api.start(container_id)
        except BaseException:
            attached.close()
            raise
        return attached, early

    def _create(self, name: str, spec: ContainerSpec) -> str:
        created = self._api.create_container(
            spec.image,
            name=name,
            entrypoint=[AGENT_PATH],
            command=[],
            user="0:0",
            working_dir="/",
            hostname=None if "network_mode" in spec.options else spec.hostname,
            stdin_open=True,
            detach=spec.lasting,  # else the end of the first attachment would close its stdin
            labels={LABEL: self.instance, f"{LABEL}.runtime": spec.runtime},
            environment={},
            host_config=self._host_config(spec),
        )
        return str(created["Id"])

    def _host_config(self, spec: ContainerSpec) -> Any:  # noqa: ANN401 - docker's own dict
        limits = spec.limits
        usual: dict[str, object] = {
            "binds": {spec.agent_volume: {"bind": AGENT_MOUNT, "mode": "ro"}},
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "cap_add": AGENT_CAPABILITIES,
            "security_opt": ["no-new-privileges"],
            "log_config": LogConfig(type=LogConfig.types.NONE),
            "tmpfs": limits.tmpfs,
            "sysctls": limits.sysctls,
            "pids_limit": limits.pids,
            "cpu_period": limits.cpu_period,
            "cpu_quota": limits.cpu_quota,
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
            "oom_score_adj": 500,
            "init": False,
            "ipc_mode": "private",
            "restart_policy": {"Name": "no"},
        }
        mounts = [self._terminals(limits), *cast("list[Mount]", spec.options.get("mounts", ()))]
        return self._api.create_host_config(**{**usual, **spec.options, "mounts": mounts})

    def _terminals(self, limits: Limits) -> Mount:
        """The engine has no limit for terminals, but makes volumes of any file system."""
        options = {"type": "devpts", "device": "devpts", "o": limits.terminal_options}
        driver, labels = DriverConfig("local", options), {TERMINALS_LABEL: self.instance}
        return Mount("/dev/pts", None, type="volume", driver_config=driver, labels=labels)

    def _attach(self, container_id: str) -> tuple[socket.socket, bytes]:
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        return take_over(self._api.attach_socket(container_id, params=params))

    def _remove(self, container: str) -> None:
        self._overdue[container] = 0.0
        try:
            self._api.remove_container(container, force=True, v=True)
        except APIError as error:
            gone_or_going = (requests.codes.not_found, requests.codes.conflict)
            if error.status_code not in gone_or_going:
                self._overdue[container] = time.monotonic() + REFUSED_SECONDS
                raise
        self._overdue.pop(container, None)

    def _remove_or_later(self, container: str) -> None:
        """What fails now, as the engine is away, is tried again after the next start."""
        with suppress(*_ENGINE_FAULTS):
            self._remove(container)
