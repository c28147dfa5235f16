"""Ports of this machine that lead to services whose type speaks no HTTP."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from emulator.errors import NoCapacity
from emulator.services.served import ServedService
from emulator.store.services import ServiceRecord

Transport = Literal["tcp", "udp"]

TRANSPORTS: Mapping[str, tuple[Transport, ...]] = {
    "minecraft": ("tcp",),
    "mumble": ("tcp", "udp"),
    "teamspeak": ("tcp", "udp"),
    "source": ("tcp", "udp"),
    "tcp": ("tcp",),
    "udp": ("udp",),
}
"""What the ports of a service of each type speak; those of any other type speak HTTP."""


def answering(record: ServiceRecord) -> Sequence[int]:
    """Its ports that tell whether somebody listens: those of UDP do not."""
    return record.ports if "tcp" in TRANSPORTS.get(record.service_type, ("tcp",)) else ()


class HostPorts(Protocol):
    """What opens them; the gateway has one."""

    async def open(
        self, served: ServedService, port: int, protocol: Transport, preferred: int = 0
    ) -> int:
        """The port of this machine that leads to `port`; raises OSError when none can be had."""

    async def close_one(self, service_id: str, port: int, protocol: Transport) -> None: ...

    async def close(self, service_id: str) -> None:
        """Close all of a service."""


async def keep_open(host_ports: HostPorts, served: ServedService) -> None:
    """Open the ports that its type and its ports ask for, and close all others of it.

    They are in its record afterwards, as `PORT/PROTOCOL` with the number here; one that had a
    number before keeps it, if it is still free.

    Raises:
        NoCapacity: none is free; then it is as it was before.
    """
    record = served.service.record
    transports = TRANSPORTS.get(record.service_type, ())
    wanted = [(port, transport) for port in record.ports for transport in transports]
    before, after = record.host_ports, dict[str, int]()
    try:
        for port, transport in wanted:
            key = f"{port}/{transport}"
            after[key] = await host_ports.open(served, port, transport, before.get(key, 0))
    except OSError as error:
        await _close(host_ports, served.id, after.keys() - before.keys())
        raise NoCapacity(f"No port of this machine is free: {error.strerror}") from error
    await _close(host_ports, served.id, before.keys() - after.keys())
    record.host_ports = after


async def _close(host_ports: HostPorts, service_id: str, keys: set[str]) -> None:
    for key in keys:
        port, _, transport = key.partition("/")
        await host_ports.close_one(service_id, int(port), "udp" if transport == "udp" else "tcp")
