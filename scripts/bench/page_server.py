"""A small HTTP server that answers every request with one page; run by the bench, here and inside.

It needs the standard library alone. It keeps connections for as long as its clients do, and prints
its port once it listens.
"""

import asyncio
import sys

_PAGE = b"hello from here\n"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n" % len(_PAGE)
_KEPT = _HEAD + b"\r\n" + _PAGE
_LAST = _HEAD + b"Connection: close\r\n\r\n" + _PAGE


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            last = b"\r\nconnection: close" in head.lower()
            self._transport.write(_LAST if last else _KEPT)  # type: ignore[attr-defined]
            if last:
                self._transport.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", int(sys.argv[1]), backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
