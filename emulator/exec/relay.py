"""The address that the API's names lead to: a loopback address of its own, port 443."""

import asyncio
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from emulator.settings import SettingError

PORT = 443
_TRIES = 16
_CHUNK = 1 << 16


@contextmanager
def relaying_to(host: str, port: int) -> Iterator[str]:
    """Pass on whatever reaches the yielded address, port 443, to `host` and `port`.

    The bytes are not looked into: TLS is between the program and the emulator.

    Raises:
        SettingError: port 443 cannot be had.
    """
    with _listener() as listener:
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        work = _serve(listener, host, port, stop)
        thread = threading.Thread(target=loop.run_until_complete, args=(work,), daemon=True)
        thread.start()
        try:
            yield str(listener.getsockname()[0])
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()


def _listener() -> socket.socket:
    for _ in range(_TRIES):
        address = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}.1"
        with suppress(OSError):
            return socket.create_server((address, PORT), backlog=1024)
    raise SettingError(
        "exec: port 443 is taken on every loopback address; stop what listens on *:443"
    )


async def _serve(listener: socket.socket, host: str, port: int, stop: asyncio.Event) -> None:
    running: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_relay(reader, writer, host, port))
        running.add(task)
        task.add_done_callback(running.discard)

    async with await asyncio.start_server(accepted, sock=listener, limit=_CHUNK):
        await stop.wait()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    with closing(writer), suppress(OSError):
        up_reader, up_writer = await asyncio.open_connection(host, port, limit=_CHUNK)
        with closing(up_writer):
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy one direction to its end, and end the other side's too."""
    with suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
