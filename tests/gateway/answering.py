"""A web server that does what its path says, for tests of the gateway; it runs in a sandbox.

`python3 answering.py PORT` needs the standard library alone. It reads requests as they come, so
that a test sees what the gateway sent.
"""

import asyncio
import base64
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable

Head = list[bytes]
PIECE = 65_536


class Exchange:
    """A request whose head has been read, and the connection to answer on."""

    def __init__(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.head = head
        self.method, self.target = (part.decode() for part in head[0].split()[:2])
        self.reader = reader
        self.writer = writer

    def field(self, name: str) -> str:
        start = name.lower().encode() + b":"
        return ",".join(
            line.split(b":", 1)[1].strip().decode()
            for line in self.head[1:]
            if line.lower().startswith(start)
        )

    async def pieces(self, write: Callable[[bytes], object]) -> None:
        """Read the body, however it is framed."""
        if self.field("transfer-encoding") == "chunked":
            while size := int((await self.reader.readline()).strip(), 16):
                write(await self.reader.readexactly(size))
                await self.reader.readexactly(2)
            await self.reader.readline()
            return
        left = int(self.field("content-length") or 0)
        while left:
            piece = await self.reader.read(min(left, PIECE))
            if not piece:
                raise ConnectionError("the body broke off")
            write(piece)
            left -= len(piece)

    async def body(self) -> bytes:
        read = bytearray()
        await self.pieces(read.extend)
        return bytes(read)

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    def answer(self, body: bytes, *more: str) -> None:
        self.say("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *more)
        self.writer.write(body)


async def head(exchange: Exchange) -> None:
    """The lines of the request as they came."""
    lines = [line.decode("latin-1") for line in exchange.head]
    body = await exchange.body()
    exchange.answer(json.dumps({"lines": lines, "body": body.decode("latin-1")}).encode())


async def digest(exchange: Exchange) -> None:
    """What came, as length and checksum; it is read as it comes."""
    found, length = hashlib.sha256(), 0

    def more(piece: bytes) -> None:
        nonlocal length
        length += len(piece)
        found.update(piece)

    if exchange.field("expect"):
        exchange.say("HTTP/1.1 100 Continue")
    await exchange.pieces(more)
    exchange.answer(f"{length} {found.hexdigest()}".encode())


async def raw(exchange: Exchange) -> None:
    """The bytes that the request's body is, and nothing else."""
    exchange.writer.write(await exchange.body())


async def pour(exchange: Exchange) -> None:
    """As many bytes as the query says, chunk after chunk."""
    left = int(exchange.target.partition("?")[2])
    exchange.say("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    while left:
        piece = bytes(min(left, PIECE))
        exchange.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await exchange.writer.drain()
        left -= len(piece)
    exchange.writer.write(b"0\r\n\r\n")


async def events(exchange: Exchange) -> None:
    """Two events, the second one when the client has sent a byte more (or is gone)."""
    exchange.say("HTTP/1.1 200 OK", "Content-Type: text/event-stream")
    exchange.writer.write(b"data: one\n\n")
    await exchange.writer.drain()
    await signals["next"].wait()
    exchange.writer.write(b"data: two\n\n")


async def next_event(exchange: Exchange) -> None:
    signals["next"].set()
    signals["next"] = asyncio.Event()
    exchange.answer(b"")


async def refuse(exchange: Exchange) -> None:
    """An answer before the body has been read, and the end."""
    exchange.say("HTTP/1.1 413 Content Too Large", "Content-Length: 4", "Connection: close")
    exchange.writer.write(b"much")


async def double(exchange: Exchange) -> None:
    """Sends every piece of the body back as it comes."""
    exchange.say("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")

    def back(piece: bytes) -> None:
        exchange.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    await exchange.pieces(back)
    exchange.writer.write(b"0\r\n\r\n")


async def until_gone(exchange: Exchange) -> None:
    """Says that it waits for the client's end, and remembers that it came."""
    exchange.say("HTTP/1.1 103 Early Hints")
    await exchange.writer.drain()
    await exchange.reader.read()
    seen.append(exchange.target)
    exchange.answer(b"you are gone")


async def gone(exchange: Exchange) -> None:
    exchange.answer(json.dumps(seen).encode())


async def hints(exchange: Exchange) -> None:
    exchange.say("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload")
    exchange.answer(b"at last")


async def upgrade(exchange: Exchange) -> None:
    """A WebSocket that says every message back, or a protocol that is an echo of bytes."""
    asked = exchange.field("upgrade")
    key = exchange.field("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - RFC 6455
    exchange.say(
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        f"Upgrade: {asked}",
        f"Sec-WebSocket-Accept: {accept}",
    )
    if asked == "websocket":
        while await echo_frame(exchange.reader, exchange.writer):
            await exchange.writer.drain()
        return
    while piece := await exchange.reader.read(PIECE):
        exchange.writer.write(piece)
        await exchange.writer.drain()


async def echo_frame(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    size = {126: 2, 127: 8}.get(length, 0)
    extended = await reader.readexactly(size)
    length = int.from_bytes(extended, "big") if size else length
    mask = await reader.readexactly(4)
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(await reader.readexactly(length)))
    writer.write(bytes((first, second & 0x7F)) + extended + data)
    return first & 0x0F != 8


ACTIONS: dict[str, Callable[[Exchange], Awaitable[None]]] = {
    "/head": head,
    "/digest": digest,
    "/raw": raw,
    "/pour": pour,
    "/events": events,
    "/next": next_event,
    "/refuse": refuse,
    "/double": double,
    "/until-gone": until_gone,
    "/gone": gone,
    "/hints": hints,
    "/upgrade": upgrade,
}
seen: list[str] = []
signals: dict[str, asyncio.Event] = {}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request a connection: what comes after the answer is nobody's."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        exchange = Exchange(lines, reader, writer)
        action = ACTIONS.get(exchange.target.partition("?")[0], head)
        await action(exchange)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main(port: int) -> None:
    signals["next"] = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
