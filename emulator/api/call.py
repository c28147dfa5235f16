"""What a handler gets and what it gives back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.types import Receive
from starlette.websockets import WebSocket

from emulator.accounts import Account
from emulator.exchange import Exchange

if TYPE_CHECKING:
    from emulator.emulator import Emulator

Json = dict[str, object]
HUNG_UP = "Cancelled: the sender hung up"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the contract: `body` is a JSON object, or text where text is taken."""

    exchange: Exchange
    path: Mapping[str, str]
    query: Mapping[str, object]
    body: Json | str
    sender: Account | None
    headers: Mapping[str, str]
    scheme: str
    receive: Receive

    @property
    def account(self) -> Account:
        """The sender of an operation whose requests are all signed."""
        assert self.sender is not None  # noqa: S101 - those of others alone have no sender
        return self.sender

    @property
    def fields(self) -> Json:
        """The body of an operation that takes nothing but JSON objects."""
        assert isinstance(self.body, dict)  # noqa: S101 - the validator saw to it
        return self.body

    @asynccontextmanager
    async def when_sender_hangs_up(self, react: Callable[[], None]) -> AsyncIterator[None]:
        """Call `react` if the sender goes away before the end of the block."""
        watch = asyncio.get_running_loop().create_task(self._hung_up(react))
        try:
            yield
        finally:
            watch.cancel()

    async def _hung_up(self, react: Callable[[], None]) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.exchange.notes.append(HUNG_UP)
        react()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a JSON object or array, or bytes of another media type."""

    body: object
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The answer to a WebSocket's handshake that is not refused: `serve` accepts and talks."""

    serve: Callable[[WebSocket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer of server-sent events: the data of some at a time, until they or the client end.

    `close` is called at the end, also where nothing was sent.
    """

    batches: AsyncIterator[Sequence[str]]
    close: Callable[[], None]


Handler = Callable[["Emulator", Call], Awaitable[Reply | Upgraded | Streamed]]
