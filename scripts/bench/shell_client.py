"""A client of a session's shell that costs next to nothing itself, on one blocking socket."""

import base64
import secrets
import socket
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from scripts.bench.connection import signed

SILENT_SECONDS = 120
_PIECE = 1 << 20
_BINARY, _CLOSE, _PING, _PONG = 0x82, 0x88, 0x89, 0x8A
_MASKED = 0x80
_NO_MASK = bytes(4)
"""Clients must mask what they send; a mask of zeros leaves it as it is."""


class ShellClient:
    """The WebSocket of one session's shell, signed by the default account.

    It is open when it is made; raises RuntimeError when it is not accepted.
    """

    def __init__(self, base: str, session_id: str) -> None:
        address = urlsplit(base)
        self._socket = socket.create_connection(
            (address.hostname, address.port), timeout=SILENT_SECONDS
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        try:
            self._upgrade(address.netloc, f"/sessions/{session_id}/shell")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Type, in one message."""
        self._socket.sendall(_frame(_BINARY, data))

    def receive(self) -> bytes:
        """What the next message of output holds."""
        while True:
            opcode, payload = self._message()
            if opcode == _BINARY:
                return payload
            if opcode == _PING:
                self._socket.sendall(_frame(_PONG, payload))
            elif opcode == _CLOSE:
                raise RuntimeError(f"the shell was closed: {payload!r}")

    def _upgrade(self, host: str, path: str) -> None:
        request = signed(
            host,
            "GET",
            path,
            further={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
                "Sec-WebSocket-Protocol": "unsandbox-shell",
            },
        )
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._received:
            self._read()
        head, _, self._received[:] = self._received.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(f"no WebSocket: {head.decode()} {self._received.decode()}")

    def _message(self) -> tuple[int, bytes]:
        """The first byte of the next frame, and its payload; the server sends no fragments."""
        self._need(2)
        opcode, length = self._received[:2]
        start = 2
        if length >= 126:
            start, form = (4, "!H") if length == 126 else (10, "!Q")
            self._need(start)
            (length,) = struct.unpack_from(form, self._received, 2)
        self._need(start + length)
        payload = bytes(self._received[start : start + length])
        del self._received[: start + length]
        return opcode, payload

    def _need(self, count: int) -> None:
        while len(self._received) < count:
            self._read()

    def _read(self) -> None:
        data = self._socket.recv(_PIECE)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received += data


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        head = bytes((opcode, _MASKED | length))
    elif length < 1 << 16:
        head = struct.pack("!BBH", opcode, _MASKED | 126, length)
    else:
        head = struct.pack("!BBQ", opcode, _MASKED | 127, length)
    return head + _NO_MASK + payload
