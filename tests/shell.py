"""A client of a session's shell: its WebSocket, as the vendor's client uses it."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.client import Client

PROTOCOL = "unsandbox-shell"
PATIENCE_SECONDS = 30
COLUMNS, ROWS = 80, 24


class Shell:
    """`shown` is what came and was not looked at, `events` the JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.shown = bytearray()
        self.events: list[dict[str, Any]] = []

    def resize(self, columns: int, rows: int) -> None:
        self.connection.send(f'{{"type":"resize","cols":{columns},"rows":{rows}}}')

    def type(self, typed: str | bytes) -> None:
        self.connection.send(typed.encode() if isinstance(typed, str) else typed)

    def until(self, wanted: str | bytes) -> bytes:
        """What is shown up to and with `wanted`."""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + PATIENCE_SECONDS
        while wanted not in self.shown:
            self._receive(deadline, f"{wanted!r} is not shown")
        end = self.shown.index(wanted) + len(wanted)
        seen = bytes(self.shown[:end])
        del self.shown[:end]
        return seen

    def next(self, deadline: float) -> bytes:
        """What is shown next, all of it."""
        while not self.shown:
            self._receive(deadline, "nothing is shown any more")
        seen = bytes(self.shown)
        self.shown.clear()
        return seen

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes that are shown."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.shown) < count:
            self._receive(deadline, f"{count - len(self.shown)} bytes are not shown")
        seen = bytes(self.shown[:count])
        del self.shown[:count]
        return seen

    def answer(self, line: str) -> bytes:
        """What the terminal shows from the typing of a command line to its end."""
        token = secrets.token_hex(6)
        self.type(f"{line}; printf '<%s>\\n' {token}\r")
        return self.until(f"<{token}>")

    def ended(self) -> tuple[list[str], int | None]:
        """Read on to the end: the types of all events, and the close code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while True:
                self._receive(deadline, "it does not end")
        except ConnectionClosed:
            return [event["type"] for event in self.events], self.connection.close_code

    def _receive(self, deadline: float, failure: str) -> None:
        try:
            frame = self.connection.recv(timeout=deadline - time.monotonic())
        except TimeoutError:
            raise AssertionError(f"{failure}: {bytes(self.shown[-1000:])!r}") from None
        if isinstance(frame, str):
            self.events.append(json.loads(frame))
        else:
            self.shown += frame


@contextmanager
def opened(
    base: str,
    name: str,
    headers: Mapping[str, str] | None = None,
    protocols: tuple[str, ...] = (PROTOCOL,),
) -> Iterator[Shell]:
    """A shell of the session or service of this id; without `headers` nobody signs for it."""
    url = f"{base.replace('http', 'ws', 1)}/sessions/{name}/shell"
    with connect(
        url,
        additional_headers=headers,
        subprotocols=[Subprotocol(protocol) for protocol in protocols],
        origin=None,
        compression=None,
        max_size=None,
        proxy=None,
    ) as connection:
        shell = Shell(connection)
        shell.resize(COLUMNS, ROWS)
        yield shell


def signed(client: Client, name: str) -> AbstractContextManager[Shell]:
    """A shell that its account's key signs for."""
    path = f"/sessions/{name}/shell"
    return opened(client.base, name, client.signed("GET", path, b""))
