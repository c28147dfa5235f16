"""Requests to services: from a client's connection to a port inside a sandbox and back.

A connection carries request after request, each to the service that its `Host` names. Both sides
of it are h11's: a head is parsed, checked and written anew, a body is framed anew, so nothing
reaches a service, or comes from one, that was understood in another way here. What comes after 101
is relayed as it is.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, MutableSet
from contextlib import contextmanager, suppress
from typing import Any

import h11

from emulator import ids
from emulator.clock import Clock
from emulator.errors import ApiError, BadRequest, GatewayTimeout, ServiceFrozen
from emulator.gateway import heads, pages
from emulator.gateway.carry import IDLE_SECONDS
from emulator.gateway.client import Client
from emulator.gateway.hosts import Hosts, Place
from emulator.gateway.passage import Passage, Record
from emulator.gateway.reach import Reach
from emulator.gateway.relaying import Relaying, Truncated
from emulator.gateway.served import Served
from emulator.sandbox.agent import AgentError

logger = logging.getLogger(__name__)
access = logging.getLogger("emulator.access")

HEAD_SECONDS = 60
"""How long a connection may take to send a whole head, the first or a further one."""

LINGER_SECONDS = 5
"""How long what a client still sends is taken in, for it to read why it is not wanted."""


class Ingress:
    """The gateway of all services."""

    def __init__(self, hosts: Hosts, reach: Reach, clock: Clock, record: Record) -> None:
        self.hosts = hosts
        self.reach = reach
        self.clock = clock
        self.record = record

    def take(
        self,
        transport: asyncio.Transport,
        received: bytes,
        connections: MutableSet[Any],
        tasks: MutableSet[Any],
    ) -> None:
        """Serve a connection that began with `received`; the sets are its server's, to end it."""
        client = Client(transport, connections)
        task = asyncio.get_running_loop().create_task(_Visit(self, client).serve())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        client.begin(received, task)


class _Visit:
    """One client's connection, from its first request to its end."""

    def __init__(self, ingress: Ingress, client: Client) -> None:
        self._ingress = ingress
        self._clock = ingress.clock
        self._client = client
        self._http = h11.Connection(h11.SERVER, heads.MAX_HEAD)
        self._method = b""
        self._last = False

    async def serve(self) -> None:
        """Answer requests until either side has had enough."""
        try:
            while await self._serve_one():
                self._http.start_next_cycle()
                self._client.idle = True
            if self._http.their_state in _STILL_SENDING:
                await self._linger()
        except Truncated as error:
            self._truncate(error)
        except OSError as error:
            logger.debug("a client's connection broke: %s", error)
        finally:
            self._client.close()

    async def _serve_one(self) -> bool:
        """Whether another request may follow."""
        passage = Passage(request_id=ids.request_id(), protocol="http")
        try:
            async with self._clock.timeout(HEAD_SECONDS):
                request = await self._next_request()
        except TimeoutError:
            return False
        except ApiError as error:
            self._last = True
            with self._recorded(passage):
                await self._refuse(passage, error, as_html=False)
            return False
        if request is None:
            return False
        self._client.idle = False
        with self._recorded(passage):
            await self._answer(request, passage)
        return self._http.states == _DONE and not (self._last or self._client.closing)

    async def _next_request(self) -> h11.Request | None:
        """None when there is none; raises ApiError for what is no request to be relayed."""
        while True:
            kept = self._http.trailing_data[0]
            heads.bound(kept)
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise heads.malformed(error) from None
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._client.read())
            elif isinstance(event, h11.Request):
                self._method = event.method
                left = len(self._http.trailing_data[0])
                heads.check(event, kept[: len(kept) - left])
                return event
            else:
                return None

    # --- answering -------------------------------------------------------------------------

    async def _answer(self, request: h11.Request, passage: Passage) -> None:
        path, _, query = request.target.partition(b"?")
        passage.method = request.method.decode()
        passage.path, passage.query = path.decode("latin-1"), query.decode("latin-1")
        served: Served | None = None
        try:
            place = self._ingress.hosts.place(heads.host_of(request))
            served = place.served
            passage.service_id, passage.service = served.id, served.name
            passage.account, passage.port = served.account, place.port
            await self._relay(place, request, passage)
        except ApiError as error:
            self._last = self._last or isinstance(error, BadRequest)  # what follows may be as bad
            await self._refuse(passage, error, as_html=_as_html(request, served, error))

    async def _relay(self, place: Place, request: h11.Request, passage: Passage) -> None:
        onward = heads.onward(request, self._client.address, self._client.scheme)
        lease = await self._ingress.reach.stream(place.served, place.port)
        try:
            relaying = Relaying(self._client, self._http, lease.connection, passage)
            if await self._in_time(relaying, onward):
                self._last = self._client.idle = True
                with suppress(AgentError, TimeoutError):
                    await relaying.carry(self._clock)
        finally:
            lease.close()

    async def _in_time(self, relaying: Relaying, request: h11.Request) -> bool:
        """`run`, unless nothing passes for IDLE_SECONDS; raises GatewayTimeout or Truncated."""
        loop = asyncio.get_running_loop()
        try:
            async with self._clock.timeout(IDLE_SECONDS) as limit:

                def active() -> None:
                    if not limit.expired():
                        limit.reschedule(loop.time() + IDLE_SECONDS)

                return await relaying.run(request, active)
        except TimeoutError:
            if relaying.begun:
                raise Truncated("nothing came for too long") from None
            raise GatewayTimeout("The service did not answer in time") from None

    async def _refuse(self, passage: Passage, error: ApiError, *, as_html: bool) -> None:
        """Answer in the service's place."""
        answer = pages.page(error, as_html=as_html)
        passage.status, passage.code = error.status, error.code
        self._skip_body()
        headers = [*answer.headers, ("X-Request-Id", passage.request_id)]
        if self._last or self._http.their_state in _STILL_SENDING:
            headers.append(("Connection", "close"))
        reason = pages.phrase(answer.status)
        response = h11.Response(status_code=answer.status, headers=headers, reason=reason)
        parts = [self._http.send(response)]
        if self._method != b"HEAD":
            parts.append(self._http.send(h11.Data(data=answer.body)))
        parts.append(self._http.send(h11.EndOfMessage()))
        await self._client.write(b"".join(parts))

    def _skip_body(self) -> None:
        """Pass over what has come of the request's body."""
        with suppress(h11.RemoteProtocolError):
            while isinstance(self._http.next_event(), h11.Data):
                continue

    # --- ending ----------------------------------------------------------------------------

    async def _linger(self) -> None:
        """Take in what still comes: closing before would take the answer from the client."""
        self._client.finish()
        with suppress(TimeoutError):
            async with self._clock.timeout(LINGER_SECONDS):
                while await self._client.read():
                    continue

    def _truncate(self, error: Truncated) -> None:
        """End so that the client knows: where framing does not tell, by a reset."""
        logger.debug("an answer ended early: %s", error)
        if self._http.their_http_version == b"1.0":
            self._client.abort()

    @contextmanager
    def _recorded(self, passage: Passage) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            passage.milliseconds = (time.perf_counter() - began) * 1000
            self._ingress.record(passage)
            service, milliseconds = f"{passage.service}:{passage.port}", passage.milliseconds
            told = (passage.method, service, passage.path, passage.status, milliseconds)
            whose = (
                {"untold": (passage.method, service, "...", *told[3:])}
                if passage.account is None
                else {"account": passage.account}
            )
            extra = {"request_id": passage.request_id, **whose}
            access.info("%s %s%s %s %.1f ms", *told, extra=extra)


_DONE = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
_STILL_SENDING = frozenset({h11.SEND_BODY, h11.ERROR})


def _as_html(request: h11.Request, served: Served | None, error: ApiError) -> bool:
    """Whether a page is answered; a frozen service's owner has chosen."""
    accept = heads.value(request, b"accept").decode("latin-1")
    if served is not None and isinstance(error, ServiceFrozen):
        return served.shows_freeze_page and not pages.wants_json(accept)
    return pages.accepts_page(accept)
