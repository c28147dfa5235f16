"""The egress proxy: the one way from semitrusted sandboxes to the rest of the world.

Started when it is first needed, looked after, and started again when it ends.
"""

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import count
from weakref import WeakValueDictionary

from emulator.clock import Clock
from emulator.errors import Unavailable
from emulator.gateway import refused
from emulator.gateway.access_log import Line
from emulator.gateway.carry import Carriage, Traffic
from emulator.gateway.proxy import NAME, Ground, Proxy, ProxyFailed, running
from emulator.sandbox.agent import AgentError, Stream
from emulator.sandbox.builder import Builder
from emulator.sandbox.engine import Engine, EngineError
from emulator.sandbox.images import BuildFailed, Images
from emulator.sandbox.limits import Budget
from emulator.sandbox.origin import Connection, Origin, Record

logger = logging.getLogger(__name__)

WAY = "egress"

PROBE_EVERY_SECONDS = 10.0
PROBE_SECONDS = 5.0

CONNECTIONS = 240
"""At the same time, of all sandboxes together: an agent has 256 channels."""
SHARE = 120
"""Of them, what one account may have: a few sandboxes can ask for all and keep them."""
TURN_SECONDS = 30.0
"""How long a connection waits for its turn, or for a proxy that is being started again."""

_REMEMBERED = 10_000
"""Connections whose lines of the log may still come."""

_FAULTS = (ProxyFailed, EngineError, AgentError, BuildFailed)


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """`allow`: networks, addresses and names beyond the public ones; `dns`: name servers."""

    allow: tuple[str, ...]
    dns: tuple[str, ...]
    wait_seconds: int


@dataclass(slots=True)
class _Carried:
    """A connection that squid was told of; `told` when squid has said something of it."""

    origin: Origin
    sandbox: str
    began: float
    traffic: Traffic = field(default_factory=Traffic)
    told: bool = False


class Egress:
    """`carry` takes connections of sandboxes to the proxy; `require` tells whether it is there."""

    def __init__(
        self,
        engine: Engine,
        images: Images,
        builder: Builder,
        settings: EgressSettings,
        clock: Clock,
        record: Record,
    ) -> None:
        self._engine = engine
        self._images = images
        self._builder = builder
        self._settings = settings
        self._clock = clock
        self._record = record
        self._network: tuple[str, ...] = ()
        self._proxy: Proxy | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._turn: asyncio.Future[Proxy] | None = None
        self._slots = Budget(CONNECTIONS)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._numbers = count(1)
        self._known: OrderedDict[int, _Carried] = OrderedDict()

    async def close(self) -> None:
        """End the proxy; its network goes with what else the engine holds of this instance."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping

    async def require(self) -> None:
        """Return when the proxy works, started first if need be; raises Unavailable."""
        await self._ready(self._settings.wait_seconds)

    async def carry(self, stream: Stream, origin: Origin, sandbox: str) -> None:
        """Carry one connection of a sandbox; what cannot be carried is answered 503."""
        share = self._shares.setdefault(origin.account, asyncio.Semaphore(SHARE))
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await stack.enter_async_context(share)
                    await stack.enter_async_context(self._slots.promise(1, origin.account))
            except TimeoutError:
                await _answer_unavailable(stream, "too many connections at the same time")
                return
            await self._carry(stream, origin, sandbox)

    async def _carry(self, stream: Stream, origin: Origin, sandbox: str) -> None:
        number = next(self._numbers)
        carried = _Carried(origin, sandbox, self._clock.monotonic())
        try:
            proxy = await self._ready(TURN_SECONDS)
            self._remember(number, carried)
            outside = await proxy.connect(number)
        except (Unavailable, AgentError) as error:
            await _answer_unavailable(stream, str(error))
            return
        await Carriage(stream, outside, self._clock, carried.traffic).run()

    # --- what is written down of it --------------------------------------------------------

    def _remember(self, number: int, carried: "_Carried") -> None:
        self._known[number] = carried
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _told(self, line: Line) -> None:
        """A line of squid's log; one connection may have carried several requests."""
        carried = self._known.get(line.number)
        if carried is None:
            return
        carried.told = True
        self._record(
            Connection(
                origin=carried.origin,
                sandbox=carried.sandbox,
                way=WAY,
                destination=line.destination,
                outcome=line.outcome,
                sent=line.sent,
                received=line.received,
                milliseconds=line.milliseconds,
                address=line.address,
                status=line.status or None,
            )
        )

    def _lost(self) -> None:
        """Squid has ended: of connections that it has said nothing of, it will say nothing."""
        for carried in self._known.values():
            if not carried.told:
                self._record(
                    Connection(
                        origin=carried.origin,
                        sandbox=carried.sandbox,
                        way=WAY,
                        destination="",
                        outcome="proxy lost",
                        sent=carried.traffic.sent,
                        received=carried.traffic.received,
                        milliseconds=round((self._clock.monotonic() - carried.began) * 1000),
                    )
                )
        self._known.clear()

    # --- the proxy's life ------------------------------------------------------------------

    async def _ready(self, seconds: float) -> Proxy:
        if self._proxy is not None and not self._proxy.ended:
            return self._proxy
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep())
        if self._turn is None or self._turn.done():
            self._turn = asyncio.get_running_loop().create_future()
        try:
            async with self._clock.timeout(seconds):
                return await asyncio.shield(self._turn)
        except TimeoutError:
            raise Unavailable("The egress proxy is still being started; try again later") from None

    async def _keep(self) -> None:
        """Have a proxy at all times, from now until it cannot be started."""
        try:
            while True:
                await self._serve()
                logger.warning("the egress proxy's container has gone; another is started")
        except _FAULTS as error:
            logger.warning("the egress proxy cannot be started: %s", error)
            self._network = ()
            if self._turn is not None and not self._turn.done():
                self._turn.set_exception(Unavailable(f"There is no egress proxy: {error}"))
                self._turn.exception()

    async def _serve(self) -> None:
        """One container, from its start to its end; a squid that ends is started again in it."""
        await self._builder.require(NAME)
        ground = Ground(
            self._engine,
            self._images.image(NAME).reference,
            self._images.agent_volume.reference,
        )
        networks = await self._refused(ground)
        name = self._network_name
        async with ground.container(name, self._settings.dns, networks) as agent:
            while not agent.closed.done():
                async with running(agent, self._told) as proxy:
                    await self._offer(proxy)
                self._lost()
                logger.warning("squid has ended")

    async def _offer(self, proxy: Proxy) -> None:
        self._proxy = proxy
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(proxy)
        try:
            await _watch(proxy)
        finally:
            self._proxy = None

    @property
    def _network_name(self) -> str:
        return f"unsandbox-egress-{self._engine.instance}"

    async def _refused(self, ground: Ground) -> list[IPv4Network]:
        if not self._network:
            self._network = await self._engine.create_network(self._network_name)
        own = refused.networks(self._network)
        allowed = await allowed_networks(self._settings.allow)
        return refused.refused([*own, *await ground.host_addresses()], allowed)


async def _watch(proxy: Proxy) -> None:
    """Return when the proxy has ended, or does not answer any more."""
    ended = asyncio.create_task(proxy.wait())
    try:
        while not (await asyncio.wait({ended}, timeout=PROBE_EVERY_SECONDS))[0]:
            async with asyncio.timeout(PROBE_SECONDS):
                await proxy.probe()
    except (AgentError, TimeoutError) as error:
        logger.warning("the egress proxy does not answer: %s", error)
    finally:
        ended.cancel()


async def allowed_networks(texts: Sequence[str]) -> list[IPv4Network]:
    """What `egress_allow` names; a host name stands for the addresses that it has now."""
    found: list[IPv4Network] = []
    for text in texts:
        try:
            found += refused.networks([text])
        except ValueError:
            found += await _resolved(text)
    return found


async def _resolved(name: str) -> list[IPv4Network]:
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError as error:
        logger.warning("egress_allow: %s cannot be resolved: %s", name, error)
        return []
    return [IPv4Network(address[0]) for *_, address in answers]


async def _answer_unavailable(stream: Stream, reason: str) -> None:
    """Say so as a proxy does, so that programs tell it from a broken connection."""
    body = f"The egress proxy cannot take this request: {reason}\n".encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    await stream.write(head.encode() + body)
    stream.write_eof()
    while await stream.read():
        pass
    await stream.finished()
