"""Bytes to and from a listener, as no client library would send them."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httptools

SECONDS = 10
SHOP = "shop.on.localhost"


class Answer:
    """The first answer in some bytes, parsed by another parser than the gateway's."""

    def __init__(self, data: bytes, head_only: bool = False) -> None:
        self.headers: dict[str, str] = {}
        self.fields: list[tuple[str, str]] = []
        self.body = b""
        self.complete = False
        self.early: list[int] = []
        self._parser = httptools.HttpResponseParser(self)
        if head_only:
            data = data.partition(b"\r\n\r\n")[0] + b"\r\nContent-Length: 0\r\n\r\n"
        self._parser.feed_data(data)
        self.status = self._parser.get_status_code()

    def on_message_begin(self) -> None:
        self.headers, self.fields, self.body = {}, [], b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode().lower(), value.decode()))
        self.headers = dict(self.fields)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def request(*lines: str, body: bytes = b"", end: str = "\r\n") -> bytes:
    return end.join([*lines, "", ""]).encode("latin-1") + body


def get(path: str = "/head", host: str = SHOP, *more: str) -> bytes:
    return request(f"GET {path} HTTP/1.1", f"Host: {host}", *more)


def post(path: str, body: bytes, *more: str) -> bytes:
    length = f"Content-Length: {len(body)}"
    return request(f"POST {path} HTTP/1.1", f"Host: {SHOP}", length, *more, body=body)


@contextmanager
def connected(
    port: int, tls: ssl.SSLContext | None = None, host: str = SHOP
) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        if tls is None:
            yield plain
        else:
            with tls.wrap_socket(plain, server_hostname=host) as secure:
                yield secure


def until_end(connection: socket.socket) -> bytes:
    """Everything, to the end that the other side makes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def until(connection: socket.socket, marker: bytes) -> bytes:
    """What comes up to and with `marker`."""
    received = b""
    while marker not in received:
        piece = connection.recv(65_536)
        assert piece, f"the connection ended after {received!r}"
        received += piece
    return received


def talk(port: int, sent: bytes) -> bytes:
    """Everything that comes back for `sent` on a connection that says no more after it."""
    with connected(port) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return until_end(connection)


def refused(port: int, sent: bytes) -> Answer:
    """The answer to what ends the connection, though the client keeps its side open."""
    with connected(port) as connection:
        connection.sendall(sent)
        return Answer(until_end(connection))


def eventually(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
