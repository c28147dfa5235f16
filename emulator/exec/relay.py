"""The address that the API's names lead to: a loopback address of its own, port 443."""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

from emulator.exec.beside import Tasks, beside
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
    with _listener() as listener, beside(partial(_serve, listener, host, port)):
        yield str(listener.getsockname()[0])


def _listener() -> socket.socket:
    for _ in range(_TRIES):
        address = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}.1"
        with suppress(OSError):
            return socket.create_server((address, PORT), backlog=1024)
    raise SettingError(
        "exec: port 443 is taken on every loopback address; stop what listens on *:443"
    )


async def _serve(
    listener: socket.socket, host: str, port: int, tasks: Tasks, stop: asyncio.Event
) -> None:
    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.begin(_relay(reader, writer, host, port))

    async with await asyncio.start_server(accepted, sock=listener, limit=_CHUNK):
        await stop.wait()


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
