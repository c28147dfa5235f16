"""A session's shell as its clients use it: a WebSocket, its handshake judged as any answer."""

import asyncio
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response as Handshake
from websockets.typing import Subprotocol

from contract.api import Api
from contract.exchange import Exchange, Request, Response
from contract.messages import SHOWN, document
from contract.outcomes import ContractBroken
from contract.redirects import ConnectOnce
from contract.spec import Spec
from contract.wire import NoAnswer, Wire

__all__ = ["PROTOCOL", "Shell", "handshake", "opened", "plain", "refused", "unsigned"]

PROTOCOL = "unsandbox-shell"
ENTER = b"\r"
UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
"""What the WebSocket library adds to a request, as far as evidence shows it."""

PATIENCE_SECONDS = 30
OPEN_SECONDS = 60
CLOSE_SECONDS = 2
_LARGEST_FRAME = 4 * 1024 * 1024
_LARGEST_OUTPUT = 16 * 1024 * 1024
_CONTROL_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-Z\\-~])")
"""What moves the cursor and sets modes (ECMA-48): multiplexers and line editors put it anywhere."""

_EVENT = "#/components/schemas/ShellEvent"


@dataclass(slots=True)
class Shell:
    """One client of a shell; `output` is what came and was not looked at, `events` the JSON.

    The connection lives on the event loop of `portal`, in a thread of its own: the library's client
    without one may wait for ever where a server refuses the handshake over TLS.
    """

    portal: BlockingPortal
    connection: ClientConnection
    spec: Spec
    output: bytearray = field(default_factory=bytearray)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def protocol(self) -> str | None:
        """The sub-protocol that was agreed."""
        return self.connection.subprotocol

    def resize(self, columns: int, rows: int) -> None:
        """Say how large the terminal is, with the very bytes that clients send."""
        self._send(f'{{"type":"resize","cols":{columns},"rows":{rows}}}')

    def type(self, typed: bytes) -> None:
        """Send bytes as a keyboard would."""
        self._send(typed)

    def until(self, wanted: bytes, seconds: float | None = None) -> bytes:
        """Output up to and with `wanted`, which may take PATIENCE_SECONDS unless told otherwise.

        Raises:
            ContractBroken: it does not come in time, or the shell ends before.
        """
        deadline = time.monotonic() + (seconds or PATIENCE_SECONDS)
        while wanted not in self.output:
            try:
                self._receive(deadline)
            except (ConnectionClosed, TimeoutError) as error:
                told = f"the shell did not show {wanted!r} ({error!r}): {self._shown()}"
                raise ContractBroken("output", told) from None
        end = self.output.index(wanted) + len(wanted)
        seen = bytes(self.output[:end])
        del self.output[:end]
        return seen

    def answer(self, line: str) -> bytes:
        """What the terminal shows from the typing of a command line to its end, as plain text."""
        token = secrets.token_hex(6)
        self.type(f"{line}; printf '<%s>\\n' {token}".encode() + ENTER)
        return plain(self.until(f"<{token}>".encode()))

    def ended(self, seconds: float | None = None) -> tuple[list[str], int | None]:
        """Read on until the connection ends: the types of all events, and the close code.

        Raises:
            ContractBroken: it does not end in time; see `until`.
        """
        deadline = time.monotonic() + (seconds or PATIENCE_SECONDS)
        try:
            while True:
                self._receive(deadline)
        except ConnectionClosed:
            return [event["type"] for event in self.events], self.connection.close_code
        except TimeoutError:
            told = f"the shell did not end: {self._shown()}"
            raise ContractBroken("close", told) from None

    def _send(self, message: str | bytes) -> None:
        self.portal.call(self.connection.send, message)

    def _receive(self, deadline: float) -> None:
        frame = self.portal.call(_received, self.connection, deadline - time.monotonic())
        if isinstance(frame, str):
            self.events.append(self._event(frame))
        else:
            self.output += frame
            if len(self.output) > _LARGEST_OUTPUT:
                raise ContractBroken("output", "the shell shows more than it was asked for")

    def _event(self, text: str) -> dict[str, Any]:
        """A text frame; clients look for `"type":"exit"` in it, without a space."""
        event = document(self.spec, _EVENT, text)
        if f'"type":"{event["type"]}"' not in text:
            raise ContractBroken("schema", f"{text[:SHOWN]} is not compact JSON")
        return event

    def _shown(self) -> str:
        return f"{len(self.output)} bytes, at their end {bytes(self.output[-SHOWN:])!r}"


def plain(shown: bytes) -> bytes:
    """What a terminal shows, without what moves the cursor and sets modes."""
    return _CONTROL_SEQUENCE.sub(b"", shown)


@contextmanager
def opened(
    api: Api, session_id: str, *, signed: bool = True, protocols: Sequence[str] = (PROTOCOL,)
) -> Iterator[Shell]:
    """A shell that is open, its terminal 80 by 24.

    Raises:
        ContractBroken: it does not open, or the handshake's answer breaks the contract.
    """
    request = handshake(api, session_id)
    request = request if signed else unsigned(request)
    with (
        start_blocking_portal() as portal,
        _dialled(portal, api.wire, request, protocols) as answer,
    ):
        if isinstance(answer, Response):
            told = f"the shell did not open: {answer.status}: {answer.text[:SHOWN]}"
            raise ContractBroken("status", told)
        shell = Shell(portal, answer, api.spec)
        shell.resize(80, 24)
        yield shell


def refused(api: Api, request: Request, protocols: Sequence[str] = (PROTOCOL,)) -> Response:
    """The answer of a server that opens no shell; raises ContractBroken when it opens one."""
    with (
        start_blocking_portal() as portal,
        _dialled(portal, api.wire, request, protocols) as answer,
    ):
        if not isinstance(answer, Response):
            raise ContractBroken("status", f"a shell opened: GET {request.target}")
        return answer


def handshake(api: Api, session_id: str, *, probe: bool = False) -> Request:
    """The signed request that opens a shell."""
    operation = api.spec.operations["openSessionShell"]
    return api.signed(operation, {"id": session_id}, probe=probe)


def unsigned(request: Request) -> Request:
    """The same without a key, as clients send it that know the session's id."""
    return replace(request, headers=(), account=None)


@contextmanager
def _dialled(
    portal: BlockingPortal, wire: Wire, request: Request, protocols: Sequence[str]
) -> Iterator[ClientConnection | Response]:
    """The connection as long as the block, or what was answered instead; either is evidence."""
    request = replace(request, headers=(*request.headers, *UPGRADE))
    wire.admit(request)
    at, began = wire.now(), time.monotonic()
    with ExitStack() as stack:
        connection = None
        try:
            dialling = _connect(wire, request, protocols)
            connection = stack.enter_context(portal.wrap_async_context_manager(dialling))
            said = connection.response
        except InvalidStatus as error:
            said = error.response
        except (InvalidHandshake, OSError, TimeoutError) as error:
            raise NoAnswer(request, error) from error
        answer = _answer(said, time.monotonic() - began)
        wire.keep(Exchange(request, answer, at))
        yield connection or answer


async def _received(connection: ClientConnection, seconds: float) -> str | bytes:
    """The next message; raises TimeoutError and ConnectionClosed."""
    async with asyncio.timeout(seconds):
        return await connection.recv()


def _connect(wire: Wire, request: Request, protocols: Sequence[str]) -> ConnectOnce:
    return ConnectOnce(
        f"ws{wire.target.url.removeprefix('http')}{request.target}",
        additional_headers=[pair for pair in request.headers if pair not in UPGRADE],
        subprotocols=[Subprotocol(name) for name in protocols] or None,
        compression=None,
        open_timeout=OPEN_SECONDS,
        close_timeout=CLOSE_SECONDS,
        max_size=_LARGEST_FRAME,
        user_agent_header=None,
        proxy=None,
    )


def _answer(said: Handshake | None, seconds: float) -> Response:
    """The server's half of the handshake."""
    if said is None:
        raise ContractBroken("answers", "the handshake has no answer")
    headers = tuple(said.headers.raw_items())
    return Response(said.status_code, headers, bytes(said.body or b""), seconds)
