"""The world outside a sandbox, made for tests: all of it is one container on a network of its own.

The container has addresses of every kind that must not be reached. The proxy is given routes to
them, so that what is refused could be reached, and is reached when it is not refused.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import docker
import httpx
from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from emulator.sandbox.engine import LABEL, Engine
from emulator.sandbox.images import Images
from tests.server import Server

PRIVATE = "10.9.9.9"
ALLOWED = "10.77.0.7"
METADATA = "169.254.169.254"
FORBIDDEN = (
    PRIVATE,
    METADATA,
    "172.31.255.9",
    "192.168.213.9",
    "100.64.0.9",
    "169.254.3.9",
    "198.18.0.9",
    "192.0.0.9",
)
"""Addresses of the container that a sandbox must not reach."""

TEST_LABEL = f"{LABEL}.test-outside"
_DOCUMENTATION = ("203.0.113.0/24", "198.51.100.0/24")


@dataclass(frozen=True)
class Outside:
    """The container, `address` as the rest of the world knows it, and its network."""

    client: docker.DockerClient
    container: Container
    network: Network
    address: str
    images: Images

    def hits(self) -> dict[str, int]:
        """How often each of its addresses was asked."""
        found: dict[str, int] = httpx.get(f"http://{self.address}/hits").json()
        return found

    def poured(self) -> int:
        """Bytes of large answers sent."""
        return self.hits().get("poured", 0)

    def meet(self, server: Server) -> Container:
        """Give an emulator's proxy a way here, to all addresses; returns the proxy's container."""
        server.call(server.emulator.networks["semitrusted"].require())
        proxy = proxy_of(server.emulator.engine)
        if self.network.name not in proxy.attrs["NetworkSettings"]["Networks"]:
            self.network.connect(proxy)
            self.command(proxy, *(f"ip route add {it} via {self.address}" for it in _ALL))
            proxy.reload()
        return proxy

    def command(self, container: Container, *lines: str) -> None:
        """Run commands as root in the network namespace of a container."""
        self.client.containers.run(
            self.images.image("egress").reference,
            ["sh", "-euc", "\n".join(lines)],
            network_mode=f"container:{container.id}",
            cap_add=["NET_ADMIN"],
            remove=True,
            labels={TEST_LABEL: ""},
        )


_ALL = (*FORBIDDEN, ALLOWED)


def proxy_of(engine: Engine) -> Container:
    """The container of an emulator's egress proxy."""
    labels = [f"{LABEL}={engine.instance}", f"{LABEL}.runtime=egress"]
    (found,) = engine.client.containers.list(filters={"label": labels})
    return found


@contextmanager
def outside(images: Images) -> Iterator[Outside]:
    """The world, until the end of the block."""
    client = docker.from_env()
    network, address = _network(client)
    container = None
    try:
        container = _create(client, images, network, address)
        made = Outside(client, container, network, address, images)
        made.command(container, *(f"ip addr add {it}/32 dev eth0" for it in _ALL))
        _await_ready(container)
        yield made
    finally:
        if container is not None:
            container.remove(force=True)
        network.reload()
        for other in network.containers:
            network.disconnect(other, force=True)
        network.remove()
        client.close()


def _create(
    client: docker.DockerClient, images: Images, network: Network, address: str
) -> Container:
    """A container whose program comes on its command line: nothing of this machine is mounted."""
    program = (Path(__file__).parent / "server.py").read_text(encoding="utf-8")
    container = client.containers.create(
        images.image("python").reference,
        ["python3", "-uc", program, address],
        labels={TEST_LABEL: ""},
    )
    client.networks.get("bridge").disconnect(container)
    network.connect(container, ipv4_address=address)
    container.start()
    return container


def _network(client: docker.DockerClient) -> tuple[Network, str]:
    """A network of documentation addresses that no other test has at the moment."""
    ranges = [part for it in _DOCUMENTATION for part in IPv4Network(it).subnets(new_prefix=28)]
    random.shuffle(ranges)
    for subnet in ranges:
        pool = IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        try:
            made = client.networks.create(
                f"unsandbox-test-{subnet[0]}",
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[pool]),
                labels={TEST_LABEL: ""},
            )
        except APIError:
            continue
        return made, str(subnet[10])
    raise AssertionError("no network of documentation addresses is free")


def _await_ready(container: Container) -> None:
    for _ in range(200):
        if b"ready" in container.logs():
            return
        time.sleep(0.05)
    raise AssertionError(container.logs().decode())
