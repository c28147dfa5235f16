"""One request on its way to a service, and the answer on its way back.

Nothing is read from either side before what was read last could be passed on, so that whoever
stands still holds the other side back. The service sees the client's half-close, as it would
without the gateway.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import h11

from emulator.clock import Clock
from emulator.errors import ApiError, BadGateway
from emulator.gateway import heads
from emulator.gateway.carry import Carriage, Traffic
from emulator.gateway.client import Client
from emulator.gateway.passage import Passage
from emulator.sandbox.agent import AgentError, Stream

_SWITCHED = 101


class Truncated(Exception):
    """The answer had begun and cannot be ended as it should."""


class Relaying:
    """One exchange between a client, whose connection is `http`, and a service's `stream`."""

    def __init__(
        self,
        client: Client,
        http: h11.Connection,
        stream: Stream,
        passage: Passage,
    ) -> None:
        self._client = client
        self._http = http
        self._stream = stream
        self._passage = passage
        self._active: Callable[[], None] = _nothing
        self._service = h11.Connection(h11.CLIENT, heads.MAX_HEAD)
        self._asked = False
        self._fault: ApiError | None = None

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
        await self._send(self._service.send(request) + self._first_of_request())
        upload = None if self._asked else asyncio.create_task(self._upload())
        if self._asked:
            self._watch_end()
        try:
            return await self._download()
        finally:
            self._client.on_end = None
            if upload is not None:
                upload.cancel()
                await asyncio.gather(upload, return_exceptions=True)

    # --- the request -----------------------------------------------------------------------

    def _first_of_request(self) -> bytes:
        try:
            return self._more_of_request()
        except h11.RemoteProtocolError as error:
            raise heads.malformed(error) from None

    def _more_of_request(self) -> bytes:
        """What has come of the request's body, framed anew."""
        parts = []
        while not self._asked:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                self._passage.sent += len(event.data)
                parts.append(self._service.send(h11.Data(data=event.data)))
            elif isinstance(event, h11.EndOfMessage):
                self._asked = True
                parts.append(self._service.send(h11.EndOfMessage()))
            else:
                break
        return b"".join(parts)

    async def _upload(self) -> None:
        """The rest of the body, as long as the service takes it."""
        try:
            while not self._asked:
                self._http.receive_data(await self._client.read())
                await self._send(self._more_of_request())
        except h11.RemoteProtocolError as error:
            self._fault = heads.malformed(error)
            self._reset()
        else:
            self._watch_end()

    async def _send(self, data: bytes) -> None:
        """A service that takes no more may still have something to say."""
        with suppress(AgentError):
            if data:
                await self._stream.write(data)
            self._active()

    def _watch_end(self) -> None:
        """Pass on that the client sends no more, unless further requests wait."""
        self._client.on_end = self._pass_end
        if self._client.at_end:
            self._pass_end()

    def _pass_end(self) -> None:
        if self._client.at_end and not self._http.trailing_data[0]:
            with suppress(AgentError):
                self._stream.write_eof()

    def _reset(self) -> None:
        with suppress(AgentError):
            self._stream.close()

    # --- the answer ------------------------------------------------------------------------

    async def _download(self) -> bool:
        parts: list[bytes] = []
        while True:
            event = self._next_of_answer()
            if event is h11.NEED_DATA:
                await self._answer(parts)
                self._service.receive_data(await self._read())
            elif isinstance(event, h11.InformationalResponse):
                parts += self._early(event)
                if event.status_code == _SWITCHED:
                    await self._answer(parts)
                    return True
            elif isinstance(event, h11.Response):
                self._passage.status = event.status_code
                parts.append(self._http.send(heads.back(event)))
            elif isinstance(event, h11.Data):
                self._passage.received += len(event.data)
                parts.append(self._http.send(h11.Data(data=event.data)))
            elif isinstance(event, h11.EndOfMessage):
                parts.append(self._http.send(h11.EndOfMessage()))
                await self._answer(parts)
                return False
            else:
                raise self._broken("The service ended the connection without an answer")

    def _early(self, answer: h11.InformationalResponse) -> list[bytes]:
        """Clients of HTTP/1.0 know of no answers before the answer."""
        if answer.status_code == _SWITCHED:
            self._passage.status = _SWITCHED
        elif self._http.their_http_version == b"1.0":
            return []
        return [self._http.send(heads.back_early(answer))]

    def _next_of_answer(self) -> object:
        try:
            return self._service.next_event()
        except h11.RemoteProtocolError:
            raise self._broken("The service's answer is not valid HTTP/1.1") from None

    async def _read(self) -> bytes:
        try:
            data = await self._stream.read()
        except AgentError:
            raise self._broken("The service broke off the connection") from None
        self._active()
        return data

    async def _answer(self, parts: list[bytes]) -> None:
        data = b"".join(parts)
        parts.clear()
        if data:
            await self._client.write(data)
            self._active()

    def _broken(self, why: str) -> Exception:
        if self.begun:
            return Truncated(why)
        return self._fault or BadGateway(why)

    # --- after 101 -------------------------------------------------------------------------

    async def carry(self, clock: Clock) -> None:
        """Relay what is no HTTP any more; raises AgentError, OSError or TimeoutError."""
        traffic = Traffic()
        rest_of_answer, rest_of_request = (
            connection.trailing_data[0] for connection in (self._service, self._http)
        )
        try:
            if rest_of_answer:
                await self._client.write(rest_of_answer)
            if rest_of_request:
                await self._stream.write(rest_of_request)
            await Carriage(self._stream, self._client, clock, traffic).run()
        finally:
            self._passage.received += traffic.sent + len(rest_of_answer)
            self._passage.sent += traffic.received + len(rest_of_request)


def _nothing() -> None:
    """What is told before the first bytes."""
