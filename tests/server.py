"""A real emulator on free ports, in a thread of the test process."""

import asyncio
import logging
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from emulator.app import serving_all
from emulator.emulator import Emulator
from emulator.life import opened, prepare
from emulator.listeners import Addresses, bound
from emulator.settings import Settings
from tests.openapi.produced import observe

T = TypeVar("T")

READY_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """Where it listens, and its parts for what cannot be seen over HTTP."""

    addresses: Addresses
    emulator: Emulator
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event

    @property
    def api(self) -> str:
        return self.addresses.api

    @property
    def admin(self) -> str:
        return self.addresses.admin

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


def settings(directory: Path, **flags: str) -> Settings:
    """Settings for a test: free ports, own state, every answer held against the contract."""
    defaults = {
        "port": "0",
        "tls_port": "0",
        "admin_port": "0",
        "data_dir": str(directory / "data"),
        "key_file": str(directory / "secret.key"),
        "ca_dir": str(directory / "ca"),
        "check_responses": "closed",
        "log_level": "warning",
    }
    return Settings.load({**defaults, **flags}, {})


@contextmanager
def heard(level: int = logging.DEBUG) -> Iterator[None]:
    """For the block, the emulators of this process log from `level` on."""
    root = logging.getLogger("emulator")
    before = root.level
    root.setLevel(level)
    yield
    root.setLevel(before)


@contextmanager
def running(chosen: Settings) -> Iterator[Server]:
    """Start, wait until ready, and end cleanly after the block."""
    started: Future[Server] = Future()
    thread = threading.Thread(target=_run, args=(chosen, started), daemon=True)
    thread.start()
    server = started.result()
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.stop.set)
        thread.join(READY_SECONDS)
        assert not thread.is_alive(), "the emulator did not end"


def _run(chosen: Settings, started: "Future[Server]") -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(chosen, started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)


async def _serve(chosen: Settings, started: "Future[Server]") -> None:
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        listeners = stack.enter_context(bound(chosen))
        emulator = await stack.enter_async_context(opened(chosen))
        observe(emulator.journal, emulator.spec)
        await stack.enter_async_context(serving_all(emulator, listeners))
        await prepare(emulator, print)
        async with asyncio.timeout(READY_SECONDS):
            await emulator.pool.warmed()
        loop = asyncio.get_running_loop()
        started.set_result(Server(listeners.addresses, emulator, loop, stop))
        await stop.wait()
