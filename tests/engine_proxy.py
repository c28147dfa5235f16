"""A relay in front of the engine's socket, to take the engine away and to bring it back."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class EngineProxy:
    """Listens on a Unix socket at `path`, in front of the engine that the environment names."""

    def __init__(self, path: Path) -> None:
        self._engine = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        self.url = f"unix://{path}"
        self._path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._answers = True
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> "EngineProxy":
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Every connection ends now, attached streams too, and so does each new one."""
        self._call(self._cut())

    def restore(self) -> None:
        """The engine answers again."""
        self._answers = True

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._relay, self._path)

    async def _cut(self) -> None:
        self._answers = False
        for writer in self._writers:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._answers:
            writer.close()
            return
        engine_reader, engine_writer = await self._connect()
        both = {writer, engine_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, engine_writer))
                group.create_task(_copy(engine_reader, writer))
        except* OSError:
            pass  # one side is gone: so is the other, below
        finally:
            self._writers -= both
            for each in both:
                each.close()

    async def _connect(self) -> Streams:
        if self._engine.scheme == "unix":
            return await asyncio.open_unix_connection(self._engine.path)
        return await asyncio.open_connection(self._engine.hostname, self._engine.port)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
