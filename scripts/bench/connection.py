"""A connection that costs next to nothing itself, so that what is timed is the server."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
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
        return self._timed(signed(self._host, "GET", path))

    def post(self, path: str, body: object) -> Answer:
        return self._timed(signed(self._host, "POST", path, msgspec.json.encode(body)))

    def delete(self, path: str) -> Answer:
        return self._timed(signed(self._host, "DELETE", path))

    def _timed(self, message: bytes) -> Answer:
        began = time.perf_counter()
        self._socket.sendall(message)
        received = self._socket.recv(_PIECE)
        while (body := whole_body(received)) is None:
            piece = self._socket.recv(_PIECE)
            if not piece:
                raise ConnectionError("the server closed the connection")
            received += piece
        seconds = time.perf_counter() - began
        return Answer(document(received, body), seconds)


def signed(
    host: str,
    method: str,
    path: str,
    body: bytes = b"",
    further: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """A request of the default account, signed now, with `further` headers."""
    at = int(time.time())
    lines = (
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {DEFAULT_ACCOUNT.public_key}",
        f"X-Timestamp: {at}",
        f"X-Signature: {sign(DEFAULT_ACCOUNT.secret_key, at, method, path, body)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in further.items()),
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def whole_body(received: bytes) -> bytes | None:
    """The body of an answer; None while there is more to come."""
    head, end, body = received.partition(b"\r\n\r\n")
    return body if end and len(body) >= _content_length(head) else None


def document(received: bytes, body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The decoded `body` of an answer; RuntimeError where its status is not 200."""
    status = int(received.split(b" ", 2)[1])
    if status != 200:
        raise RuntimeError(f"the answer was {status}: {body.decode()}")
    return msgspec.json.decode(body)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError("an answer without Content-Length")
