"""Servers that run beside a block, in a thread and an event loop of their own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager

Work = Coroutine[object, object, None]


class Tasks:
    """What a server does for its clients, ended with it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, work: Work) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


@contextmanager
def beside(serve: Callable[[Tasks, asyncio.Event], Work]) -> Iterator[None]:
    """Have `serve` run for the block: it ends when its event is set."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        tasks = Tasks()
        await serve(tasks, stop)
        await tasks.end()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
