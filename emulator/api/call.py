"""What a handler gets and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.accounts import Account
from emulator.exchange import Exchange

if TYPE_CHECKING:
    from emulator.emulator import Emulator

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the contract: `body` is a JSON object, or text where text is taken."""

    exchange: Exchange
    path: Mapping[str, str]
    query: Mapping[str, object]
    body: Json | str
    sender: Account | None

    @property
    def account(self) -> Account:
        """The sender of an authenticated operation."""
        assert self.sender is not None  # noqa: S101 - only public operations have no sender
        return self.sender

    @property
    def fields(self) -> Json:
        """The body of an operation that takes nothing but JSON objects."""
        assert isinstance(self.body, dict)  # noqa: S101 - the validator saw to it
        return self.body


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a JSON object or array, or bytes of another media type."""

    body: object
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[["Emulator", Call], Awaitable[Reply]]
