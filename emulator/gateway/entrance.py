"""Where a connection to the API's listeners is looked at once: is it for a service?

Its first request's `Host` decides. What is not a service's goes to the API with all its bytes, as
if nothing had been in between; from then on nothing is.
"""

import asyncio
import re
from collections.abc import Callable, MutableSet
from typing import Any, cast

from emulator.errors import ApiError, HeadTooLarge, NoCapacity
from emulator.gateway.heads import MAX_HEAD
from emulator.gateway.ingress import HEAD_SECONDS, Ingress
from emulator.gateway.pages import last_words

MOST_CONNECTIONS = 4096
"""To one listener at a time, those of the API among them."""

_END = re.compile(rb"\n\r?\n")
_HOST = re.compile(rb"\n[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n]*)")
_FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""What a method begins with; anything else is no request, which the API's server tells at once."""


class Entrance(asyncio.Protocol):
    """A new connection, until the head of its first request has come."""

    def __init__(
        self,
        api: Callable[[], asyncio.Protocol],
        ingress: Ingress,
        connections: MutableSet[Any],
        tasks: MutableSet[Any],
    ) -> None:
        """`api` makes what serves the API; the sets are the server's, which ends what is in them.

        What is in `connections` has a `shutdown`.
        """
        self._api = api
        self._ingress = ingress
        self._connections = connections
        self._tasks = tasks
        self._head = bytearray()
        self._searched = 0
        self._transport: asyncio.Transport
        self._late: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._late = asyncio.get_running_loop().call_later(HEAD_SECONDS, transport.close)
        full = len(self._connections) >= MOST_CONNECTIONS
        self._connections.add(self)
        if full:
            self._refuse(NoCapacity("There are as many connections as there may be"))

    def data_received(self, data: bytes) -> None:
        self._head += data if self._head else data.lstrip(b"\r\n")
        if not self._head:  # empty lines before a request are none of it
            return
        if self._head[0] not in _FIRST:
            self._hand_to_api()
            return
        end = _END.search(self._head, self._searched)
        if end is not None and end.end() <= MAX_HEAD:
            self._decide(end.end())
        elif len(self._head) > MAX_HEAD:
            self._refuse(HeadTooLarge("A request's head may have 64 KiB"))
        else:
            self._searched = max(0, len(self._head) - 2)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._leave()

    def shutdown(self) -> None:
        """End it: nothing has been asked yet."""
        self._transport.close()

    def _decide(self, end: int) -> None:
        host = _HOST.search(self._head, 0, end)
        if host is None or not self._ingress.hosts.lead_to_services(host[1].decode("latin-1")):
            self._hand_to_api()
            return
        self._leave()
        self._ingress.take(self._transport, bytes(self._head), self._connections, self._tasks)

    def _hand_to_api(self) -> None:
        self._leave()
        protocol = self._api()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(bytes(self._head))

    def _refuse(self, error: ApiError) -> None:
        self._transport.write(last_words(error))
        self._transport.close()

    def _leave(self) -> None:
        self._late.cancel()
        self._connections.discard(self)
