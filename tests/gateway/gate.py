"""A gateway before services in a real container, on free ports, in a thread of the test process."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
import uvloop
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.app import chain
from emulator.clock import Clock
from emulator.errors import ApiError, ConcurrencyLimited
from emulator.gateway.authority import API_NAMES
from emulator.gateway.host_ports import HostPorts
from emulator.gateway.hosts import Hosts
from emulator.gateway.ingress import Ingress
from emulator.gateway.passage import Passage
from emulator.gateway.reach import Reach
from emulator.journal import Journal
from emulator.listeners import address, bind, serving
from emulator.middleware import LOOPBACK_HOSTS, HostGuard, RequestRecord
from emulator.paths import RUNTIMES
from emulator.sandbox.agent import Agent, ConnectFailed, Datagrams, Spawn, Stream
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue
from emulator.sandbox.shells import ENVIRONMENT
from tests.sandbox.session_container import session_agent

T = TypeVar("T")

IMAGE = "python"
API_HOSTS = (*LOOPBACK_HOSTS, *API_NAMES)
WEB, FILES, NOBODY, SECRET, ECHO = 8000, 8001, 8002, 8003, 8004
"""Ports: `answering.py`, `http.server`, nothing, `answering.py` undeclared, and `echoing.py`."""


@dataclass
class Service:
    """A service of a test: all of them live in one container."""

    agent: Agent
    name: str = "shop"
    ports: Sequence[int] = (WEB, FILES, NOBODY, ECHO)
    state: str = "running"
    wakes_on_demand: bool = True
    shows_freeze_page: bool = True
    account: str = "unsb-pk-test"
    wakes: int = 0
    visitors: int = 0
    connects: int = 0
    moved: dict[int, int] = field(default_factory=dict)
    wake_fails: ApiError | None = None
    waking: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return f"unsb-service-{self.name}"

    async def wake(self) -> None:
        self.wakes += 1
        await self.waking.wait()
        if self.wake_fails is not None:
            raise self.wake_fails
        self.state = "running"

    def enter(self) -> None:
        self.visitors += 1

    def leave(self) -> None:
        self.visitors -= 1

    async def connect(self, port: int) -> Stream:
        self.connects += 1
        return await self.agent.connect(self.moved.get(port, port))

    async def datagrams(self, port: int, receive: Callable[[bytes], None]) -> Datagrams:
        return await self.agent.datagrams(port, receive)


@dataclass
class Services:
    """The directory of a test."""

    by_name: dict[str, Service] = field(default_factory=dict)
    by_domain: dict[str, Service] = field(default_factory=dict)

    def named(self, label: str) -> Service | None:
        return self.by_name.get(label)

    def of_domain(self, host: str) -> Service | None:
        return self.by_domain.get(host)


@dataclass
class Gate:
    """What tests ask, and what they may change."""

    address: str
    port: int
    tls_port: int
    services: Services
    clock: Clock
    agent: Agent
    passages: list[Passage]
    journal: Journal
    host_ports: HostPorts
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the gateway's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def advance(self, seconds: float) -> None:
        """Let the gateway's clock go forward, on its own loop as the emulator does."""

        async def advanced() -> None:
            self.clock.advance(seconds)

        self.call(advanced())

    def add(self, name: str, **more: Any) -> Service:  # noqa: ANN401 - whatever Service takes
        async def made() -> Service:
            service = self.services.by_name[name] = Service(self.agent, name, **more)
            return service

        return self.call(made())


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands for the API: it says so, and what it was asked."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    said = {"api": scope["raw_path"].decode(), "headers": headers, "body": len(body)}
    await JSONResponse(said)(scope, receive, send)


def guarded() -> ASGIApp:
    return chain([Middleware(RequestRecord), Middleware(HostGuard, hosts=API_HOSTS)], api)


@contextmanager
def running_gate(tls: ssl.SSLContext) -> Iterator[Gate]:
    started: Future[Gate] = Future()
    thread = threading.Thread(target=_run, args=(tls, started), daemon=True)
    thread.start()
    gate = started.result(60)
    try:
        yield gate
    finally:
        gate.loop.call_soon_threadsafe(gate.stop.set)
        thread.join(60)
        assert not thread.is_alive(), "the gateway did not end"


def _run(tls: ssl.SSLContext, started: "Future[Gate]") -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(tls, started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)


async def _serve(tls: ssl.SSLContext, started: "Future[Gate]") -> None:
    stop, services, clock = asyncio.Event(), Services(), Clock()
    passages: list[Passage] = []
    journal = Journal(100, clock)

    def record(passage: Passage) -> None:
        passages.append(passage)
        journal.record_passage(passage)

    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(serving_container())
        reach = Reach(clock)
        ingress = Ingress(Hosts(services, API_HOSTS), reach, clock, record)
        host_ports = HostPorts("127.0.0.1", reach, clock, record)
        stack.push_async_callback(host_ports.close_all)
        plain, secure = (stack.enter_context(bind("127.0.0.1", 0)) for _ in range(2))
        await stack.enter_async_context(serving(guarded(), plain, None, ingress))
        await stack.enter_async_context(serving(guarded(), secure, tls, ingress))
        started.set_result(
            Gate(
                address(plain),
                port=plain.getsockname()[1],
                tls_port=secure.getsockname()[1],
                services=services,
                clock=clock,
                agent=agent,
                passages=passages,
                journal=journal,
                host_ports=host_ports,
                loop=asyncio.get_running_loop(),
                stop=stop,
            )
        )
        await stop.wait()


@asynccontextmanager
async def serving_container() -> AsyncIterator[Agent]:
    """An agent of a container in which the programs of services run."""
    client = docker.from_env()
    try:
        image = Images(client, Catalogue.load(RUNTIMES)).image(IMAGE)
        if not image.exists(client):
            pytest.skip(f"{IMAGE}: its image is not built here")
        async with session_agent(client, image.reference) as agent:
            for name in ("answering.py", "echoing.py"):
                source = Path(__file__).with_name(name).read_bytes()
                await agent.write_file(f"/srv/{name}", source, uid=0, gid=0)
            for port in (WEB, SECRET):
                run(agent, "python3", "/srv/answering.py", str(port))
            run(agent, "python3", "/srv/echoing.py", str(ECHO))
            run(agent, "python3", "-m", "http.server", str(FILES), "--directory", "/srv")
            for port in (WEB, FILES, SECRET, ECHO):
                await listening(agent, port)
            yield agent
    finally:
        client.close()


def run(agent: Agent, *argv: str) -> None:
    agent.spawn(Spawn(argv=argv, env=ENVIRONMENT, cwd="/", uid=0, gid=0, output_limit=1 << 16))


async def listening(agent: Agent, port: int) -> None:
    while True:
        try:
            (await agent.connect(port)).close()
        except ConnectFailed:
            await asyncio.sleep(0.02)
        else:
            return


def no_slot() -> ApiError:
    return ConcurrencyLimited("Every slot of the account is taken")
