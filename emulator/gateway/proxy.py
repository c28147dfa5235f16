"""One squid, in a container of its own, from its start to its end.

The agent is PID 1 there too: programs, files and connections go over its attached stream, so no
port of any machine is opened, and it works the same with an engine elsewhere.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from emulator.gateway import access_log, refused
from emulator.gateway.access_log import Line
from emulator.log import NOBODY
from emulator.sandbox.agent import (
    Agent,
    AgentError,
    AgentLost,
    Process,
    Spawn,
    Stream,
)
from emulator.sandbox.engine import ContainerSpec, Engine
from emulator.sandbox.frames import StreamId
from emulator.sandbox.limits import MIB, Limits
from emulator.sandbox.starting import passing, started

logger = logging.getLogger(__name__)

NAME = "egress"
"""Of its folder in `runtimes/`, its image, and its containers' label."""

PORT = 3128
USER = 13
"""`proxy`, on Debian."""

START_SECONDS = 20
STOP_SECONDS = 5
_LIMITS = Limits(memory_bytes=256 * MIB, pids=32, tmp_bytes=16 * MIB, shm_bytes=16 * MIB)
_PAUSE_SECONDS = 0.02
_LINE_MAX = 65_536
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/run"}

_PROBE = b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
"""What squid refuses by itself: an answer shows that it works."""

Told = Callable[[Line], None]


class ProxyFailed(Exception):
    """Squid does not start or does not answer; the message is for people."""


class Proxy:
    """A running squid; `ended` is done when it can no longer be used."""

    def __init__(self, agent: Agent, process: Process, told: Told) -> None:
        self.agent = agent
        self._process = process
        self._told = told
        self._log = asyncio.create_task(self._read_log())
        self._complaints: list[str] = []

    @property
    def ended(self) -> bool:
        return self._log.done() or self.agent.closed.done()

    async def wait(self) -> None:
        """Return when it has ended."""
        ends: set[asyncio.Future[Any]] = {self._log, self.agent.closed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Kill it, and wait until it is gone: the next one needs its port."""
        with suppress(AgentError):
            self._process.signal(signal.SIGKILL)
            await asyncio.wait({self._log}, timeout=STOP_SECONDS)
            self._process.close()

    async def connect(self, number: int) -> Stream:
        """A connection to squid, which will be told of by `number`; raises AgentError."""
        stream = await self.agent.connect(PORT)
        await stream.write(access_log.greeting(number, PORT))
        return stream

    async def probe(self) -> None:
        """Return when squid answers; raises AgentError when it does not."""
        stream = await self.connect(0)
        await stream.write(_PROBE)
        try:
            if not (await stream.read()).startswith(b"HTTP/1.1 403"):
                raise AgentLost("squid does not refuse what it should")
        finally:
            stream.close()

    async def answers(self) -> None:
        """Return when a squid that has just been started answers; raises ProxyFailed."""
        while not self.ended:
            with suppress(AgentError):  # it does not listen yet
                return await self.probe()
            await asyncio.sleep(_PAUSE_SECONDS)
        fatal = [line for line in self._complaints if "FATAL" in line]
        raise ProxyFailed(f"squid did not start: {' '.join(fatal) or 'it ended at once'}")

    async def _read_log(self) -> None:
        lines = {StreamId.OUT: _Lines(self._on_line), StreamId.ERR: _Lines(self._on_complaint)}
        async for stream, data in self._process.output():
            lines[stream].feed(data)

    def _on_line(self, text: str) -> None:
        line = access_log.parse(text)
        if line is not None and line.number != 0:
            self._told(line)

    def _on_complaint(self, text: str) -> None:
        logger.debug("squid: %s", text, extra={"account": NOBODY})  # it may quote a request
        self._complaints = [*self._complaints[-20:], text]


class _Lines:
    """Cuts a stream into lines; what has none for too long is dropped."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LINE_MAX:]
        for line in lines:
            self._take(line.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Ground:
    """What containers of the proxy's image are started with."""

    engine: Engine
    image: str
    agent_volume: str

    def spec(self, **options: object) -> ContainerSpec:
        return ContainerSpec(self.image, self.agent_volume, NAME, _LIMITS, options)

    @asynccontextmanager
    async def container(
        self, network: str, name_servers: Sequence[str], networks: Sequence[IPv4Network]
    ) -> AsyncIterator[Agent]:
        """A container for squid, on `network`, that refuses `networks`; removed after the block.

        Raises:
            EngineError, AgentError: it does not start.
            ProxyFailed: its kernel cannot refuse addresses.
        """
        spec = self.spec(
            network_mode=network,
            dns=list(name_servers),
            tmpfs={**_LIMITS.tmpfs, "/run": "rw,nosuid,nodev,noexec,mode=755,size=1m"},
            sysctls={"net.ipv6.conf.all.disable_ipv6": "1"},
            cap_add=["CHOWN", "KILL", "SETGID", "SETUID"],
        )
        container_id, agent = await started(self.engine, spec)
        try:
            await self._refuse_below(container_id, networks)
            lines = [*map(str, networks), *refused.RESERVED_V6]
            content = "".join(f"{line}\n" for line in lines).encode()
            await agent.write_file("/run/egress/refused", content, uid=0, gid=0)
            yield agent
        finally:
            agent.close()
            await asyncio.shield(self.engine.remove(container_id))

    async def _refuse_below(self, container_id: str, networks: Sequence[IPv4Network]) -> None:
        """Have the kernel refuse them too, in the proxy's network namespace.

        Squid resolves a name when it checks it and again when it connects, and keeps answers for
        a second: who controls a name server could change its answer in between. The kernel
        cannot be told another address than the one that is connected to.
        """
        outside = [str(network) for network in networks if network != refused.LOOPBACK]
        spec = self.spec(
            network_mode=f"container:{container_id}",
            cap_add=["CHOWN", "KILL", "NET_ADMIN", "SETGID", "SETUID"],
            sysctls={},
        )
        async with passing(self.engine, spec) as agent:
            await _done(agent, ["refuse", str(USER), str(PORT), *outside])

    async def host_addresses(self) -> list[IPv4Network]:
        """The addresses of the engine's machine.

        Raises:
            EngineError, AgentError, ProxyFailed: they cannot be had.
        """
        spec = self.spec(
            network_mode="host", cap_add=["CHOWN", "KILL", "SETGID", "SETUID"], sysctls={}
        )
        async with passing(self.engine, spec) as agent:
            return refused.local_addresses(await _done(agent, ["cat", "/proc/net/fib_trie"]))


@asynccontextmanager
async def running(agent: Agent, told: Told) -> AsyncIterator[Proxy]:
    """A squid in a container made for it, killed after the block; raises ProxyFailed."""
    proxy = Proxy(agent, _squid(agent), told)
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                await proxy.answers()
        except TimeoutError:
            raise ProxyFailed(f"squid did not answer within {START_SECONDS} seconds") from None
        yield proxy
    finally:
        await proxy.stop()


def _squid(agent: Agent) -> Process:
    return agent.spawn(
        Spawn(
            argv=["squid", "-N", "-f", "/etc/squid/squid.conf"],
            env=_ENVIRONMENT,
            cwd="/",
            uid=USER,
            gid=USER,
        )
    )


async def _done(agent: Agent, argv: Sequence[str]) -> str:
    """What a program printed; raises ProxyFailed when it failed."""
    spawn = Spawn(
        argv=argv,
        env={"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"},
        uid=0,
        gid=0,
        output_limit=1 << 20,
    )
    ended = await agent.spawn(spawn).collect()
    if ended.exit.status != 0:
        complaint = ended.stderr.decode("utf-8", "replace").strip()
        raise ProxyFailed(f"{argv[0]} ended with {ended.exit.status}: {complaint}")
    return ended.stdout.decode("utf-8", "replace")
