"""Servers that say back what they hear, on one port of TCP and UDP; it runs in a sandbox.

`python3 echoing.py PORT`. The datagram `who` is answered with the port that it came from, `many N`
with N datagrams; `to PORT` is not answered, but sent on to another port.
"""

import asyncio
import socket
import sys
import threading


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
    writer.close()


def echo_datagrams(server: socket.socket) -> None:
    """With a socket of its own: transports send no empty datagrams."""
    while True:
        data, peer = server.recvfrom(65_536)
        if data.startswith(b"to "):
            peer = (peer[0], int(data[3:]))
        if data == b"who":
            data = str(peer[1]).encode()
        for _ in range(int(data[5:]) if data.startswith(b"many ") else 1):
            server.sendto(data, peer)


async def main(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", port))
        threading.Thread(target=echo_datagrams, args=(datagrams,), daemon=True).start()
        server = await asyncio.start_server(echo, "127.0.0.1", port)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
