"""Proxies on ports of their own, all on one loop in one thread."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn

from contract.mutants.proxy import Proxy
from contract.mutants.traffic import Mutator
from contract.spec import Spec
from contract.target import Target

__all__ = ["Stage"]

T = TypeVar("T")
_START_SECONDS = 30


class Stage:
    """Serves proxies in front of one server; see `opened`."""

    def __init__(self, inner: Target, spec: Spec, loop: asyncio.AbstractEventLoop) -> None:
        self._inner, self._spec, self._loop = inner, spec, loop

    @classmethod
    @contextmanager
    def opened(cls, inner: Target, spec: Spec) -> "Iterator[Stage]":
        """A stage in front of a server."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="mutants", daemon=True)
        thread.start()
        try:
            yield cls(inner, spec, loop)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @contextmanager
    def serving(self, mutator: Mutator | None = None) -> Iterator[str]:
        """The URL of a proxy with one fault; without one it is healthy."""
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            own = f"127.0.0.1:{listener.getsockname()[1]}"
            proxy = Proxy(own, self._inner, self._spec, mutator)
            config = uvicorn.Config(
                proxy,
                lifespan="off",
                log_config=None,
                log_level="critical",  # a handshake that is denied is an error to uvicorn
                access_log=False,
                server_header=False,
                date_header=False,
                ws="websockets-sansio",
                timeout_graceful_shutdown=1,
            )
            server = uvicorn.Server(config)
            served = asyncio.run_coroutine_threadsafe(server.serve([listener]), self._loop)
            try:
                self._run(_started(server))
                yield f"http://{own}"
            finally:
                server.should_exit = True
                served.result(_START_SECONDS)
                self._run(proxy.close())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)


async def _started(server: uvicorn.Server) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
