"""A connection that costs next to nothing itself, so that what is timed is the server."""

import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from emulator.accounts import DEFAULT_ACCOUNT
from emulator.auth import sign

_PIECE = 65_536


@dataclass(frozen=True)
class Answer:
    """A decoded body, and the seconds from the first byte sent to the last one received."""

    document: Any
    seconds: float


class Connection:
    """One kept-alive HTTP connection; signs as the default account, outside the timed span."""

    def __init__(self, base: str) -> None:
        address = urlsplit(base)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = address.netloc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def get(self, path: str) -> Answer:
        return self._timed(self._message("GET", path, b""))

    def post(self, path: str, body: object) -> Answer:
        return self._timed(self._message("POST", path, msgspec.json.encode(body)))

    def _message(self, method: str, path: str, body: bytes) -> bytes:
        at = int(time.time())
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {self._host}",
            f"Authorization: Bearer {DEFAULT_ACCOUNT.public_key}",
            f"X-Timestamp: {at}",
            f"X-Signature: {sign(DEFAULT_ACCOUNT.secret_key, at, method, path, body)}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _timed(self, message: bytes) -> Answer:
        began = time.perf_counter()
        self._socket.sendall(message)
        head, body = self._receive()
        seconds = time.perf_counter() - began
        status = int(head.split(b" ", 2)[1])
        if status != 200:
            raise RuntimeError(f"the answer was {status}: {body.decode()}")
        return Answer(msgspec.json.decode(body), seconds)

    def _receive(self) -> tuple[bytes, bytes]:
        received = self._more(b"")
        while b"\r\n\r\n" not in received:
            received = self._more(received)
        head, _, body = received.partition(b"\r\n\r\n")
        length = _content_length(head)
        while len(body) < length:
            body = self._more(body)
        return head, body

    def _more(self, received: bytes) -> bytes:
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionError("the server closed the connection")
        return received + piece


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError("an answer without Content-Length")
