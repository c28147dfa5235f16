"""One request on its way to a service, and the answer on its way back.

Nothing is read from either side before what was read last could be passed on, so that whoever
stands still holds the other side back. The service sees the client's half-close, as it would
without the gateway.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

import h11

from emulator.clock import Clock
from emulator.errors import ApiError, BadGateway, HeadTooLarge
from emulator.gateway import heads
from emulator.gateway.carry import Carriage, Traffic
from emulator.gateway.client import Client
from emulator.gateway.passage import Passage
from emulator.sandbox.agent import AgentError, Stream

_SWITCHED = 101

_STEP = 64
"""Events that are handled before others have their turn: chunks may be of one byte each."""


class Truncated(Exception):
    """The answer had begun and cannot be ended as it should."""


class _Then(Enum):
    """What follows some of an answer."""

    MORE = auto()
    HUNGRY = auto()
    ENDED = auto()
    SWITCHED = auto()
    BROKEN = auto()


class Relaying:
    """One exchange between a client, whose connection is `http`, and a service's `stream`."""

    def __init__(
        self, client: Client, http: h11.Connection, stream: Stream, passage: Passage
    ) -> None:
        self._client = client
        self._http = http
        self._stream = stream
        self._passage = passage
        self._service = h11.Connection(h11.CLIENT, heads.MAX_HEAD)
        self._head = b""
        self._asked = False
        self._fault: ApiError | None = None
        self._active: Callable[[], None] = _nothing

    @property
    def begun(self) -> bool:
        """Whether the client has got a part of the answer."""
        return self._passage.status != 0

    async def run(self, request: h11.Request, active: Callable[[], None]) -> bool:
        """Relay `request`; whether the two sides have switched to another protocol.

        `active` is told whenever bytes have passed.

        Raises:
            ApiError: there is no answer of the service; nothing of it has been sent.
            Truncated: it broke off.
            OSError: the client's connection broke.
        """
        self._active = active
        self._head = self._service.send(request)
        await self._ask()
        upload = None if self._asked else asyncio.create_task(self._upload())
        try:
            return await self._download()
        finally:
            self._client.on_end = None
            if upload is not None:
                upload.cancel()
                await asyncio.gather(upload, return_exceptions=True)

    # --- the request -----------------------------------------------------------------------

    async def _ask(self) -> None:
        """Send what has come of the request; raises ApiError."""
        try:
            while await self._pass_on():
                continue
        except h11.RemoteProtocolError as error:
            raise heads.malformed(error) from None

    async def _upload(self) -> None:
        """Send the rest of the body, as long as the service takes it."""
        try:
            while not self._asked:
                self._http.receive_data(await self._client.read())
                while await self._pass_on():
                    continue
        except h11.RemoteProtocolError as error:
            self._fault = heads.malformed(error)
            with suppress(AgentError):
                self._stream.close()

    async def _pass_on(self) -> bool:
        """Send some of what has come; whether more of it has."""
        pieces: list[bytes] = []
        event = None
        while len(pieces) < _STEP and isinstance(event := self._http.next_event(), h11.Data):
            pieces.append(event.data)
        self._asked = isinstance(event, h11.EndOfMessage)
        await self._send(b"".join(pieces))
        if self._asked:
            self._watch_end()
        elif isinstance(event, h11.Data):
            await asyncio.sleep(0)
        return isinstance(event, h11.Data)

    async def _send(self, data: bytes) -> None:
        """A piece of the request; who takes no more of it may still have something to say."""
        self._passage.sent += len(data)
        framed, self._head = self._head, b""
        if data:
            framed += self._service.send(h11.Data(data=data))
        if self._asked:
            framed += self._service.send(h11.EndOfMessage())
        with suppress(AgentError):
            if framed:
                await self._stream.write(framed)
            self._active()

    def _watch_end(self) -> None:
        """Pass on that the client sends no more, unless further requests wait."""
        self._client.on_end = self._pass_end
        self._pass_end()

    def _pass_end(self) -> None:
        if self._client.at_end and not self._http.trailing_data[0]:
            with suppress(AgentError):
                self._stream.write_eof()

    # --- the answer ------------------------------------------------------------------------

    async def _download(self) -> bool:
        """Pass the answer on, piece by piece; whether it was 101."""
        while True:
            framed, then = self._some_of_answer()
            if framed:
                await self._client.write(framed)
                self._active()
            if then in (_Then.ENDED, _Then.SWITCHED):
                return then is _Then.SWITCHED
            if then is _Then.BROKEN:
                raise self._broken("The service's answer is not valid HTTP/1.1")
            if then is _Then.HUNGRY:
                self._service.receive_data(await self._read())
            else:
                await asyncio.sleep(0)

    def _some_of_answer(self) -> tuple[bytes, _Then]:
        """Some of what has come of it, framed anew."""
        parts: list[bytes] = []
        pieces: list[bytes] = []
        then = _Then.MORE
        while then is _Then.MORE and len(pieces) + len(parts) < _STEP:
            event = self._next_of_answer()
            if isinstance(event, h11.Data):
                pieces.append(event.data)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                parts.append(self._head_of_answer(event))
                then = _Then.SWITCHED if event.status_code == _SWITCHED else _Then.MORE
            elif event is h11.NEED_DATA:
                then = _Then.HUNGRY
            else:
                ended = isinstance(event, h11.EndOfMessage)
                then = _Then.ENDED if ended else _Then.BROKEN
        data = b"".join(pieces)
        self._passage.received += len(data)
        if data:
            parts.append(self._http.send(h11.Data(data=data)))
        if then is _Then.ENDED:
            parts.append(self._http.send(h11.EndOfMessage()))
        return b"".join(parts), then

    def _head_of_answer(self, answer: heads.Answer) -> bytes:
        """An answer's head, or what comes before it, which clients of HTTP/1.0 do not know."""
        if isinstance(answer, h11.Response):
            self._passage.status = answer.status_code
            return self._http.send(heads.back(answer))
        if answer.status_code == _SWITCHED:
            self._passage.status = _SWITCHED
        elif self._http.their_http_version == b"1.0":
            return b""
        return self._http.send(heads.back_early(answer))

    def _next_of_answer(self) -> object:
        """An event of h11, or what went wrong."""
        try:
            if not self.begun:
                heads.bound(self._service.trailing_data[0])
            return self._service.next_event()
        except (h11.RemoteProtocolError, HeadTooLarge) as error:
            return error

    async def _read(self) -> bytes:
        try:
            data = await self._stream.read()
        except AgentError:
            raise self._broken("The service broke off the connection") from None
        self._active()
        return data

    def _broken(self, why: str) -> Exception:
        if self.begun:
            return Truncated(why)
        return self._fault or BadGateway(why)

    # --- after 101 -------------------------------------------------------------------------

    async def carry(self, clock: Clock) -> None:
        """Relay what is no HTTP any more; raises AgentError, OSError or TimeoutError."""
        traffic = Traffic()
        of_answer, of_request = (each.trailing_data[0] for each in (self._service, self._http))
        try:
            if of_answer:
                await self._client.write(of_answer)
            if of_request:
                await self._stream.write(of_request)
            await Carriage(self._stream, self._client, clock, traffic).run()
        finally:
            self._passage.received += traffic.sent + len(of_answer)
            self._passage.sent += traffic.received + len(of_request)


def _nothing() -> None:
    """What is told before the first bytes."""
