"""A service as the gateway sees it; `emulator/services` has those that are."""

from collections.abc import Callable, Sequence
from typing import Protocol

from emulator.sandbox.agent import Datagrams, Stream

STARTING = frozenset({"starting", "redeploying"})
"""States in which a port that nobody listens on yet is no fault."""

FROZEN = "frozen"


class Served(Protocol):
    """One service. It may be asked by many at the same time."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def account(self) -> str:
        """The public key of its owner, for the journal."""

    @property
    def state(self) -> str:
        """starting, running, frozen, redeploying or failed."""

    @property
    def ports(self) -> Sequence[int]:
        """Those that may be reached; the first one is the web port."""

    @property
    def wakes_on_demand(self) -> bool:
        """Whether a request wakes it while it is frozen."""

    @property
    def shows_freeze_page(self) -> bool:
        """Whether people get a page while it is frozen, or the error that programs get."""

    async def wake(self) -> None:
        """Return when it is not frozen any more; raises ApiError (429 no slot, 500 lost)."""

    def enter(self) -> None:
        """Somebody is connected, or about to be, until `leave`."""

    def leave(self) -> None: ...

    async def connect(self, port: int) -> Stream:
        """A new TCP connection to a port of its loopback; raises AgentError."""

    async def datagrams(self, port: int, receive: Callable[[bytes], None]) -> Datagrams:
        """A new UDP socket that talks to a port of its loopback; raises AgentError."""


class Directory(Protocol):
    """All services that there are."""

    def named(self, label: str) -> Served | None:
        """The service whose host is `LABEL.on.localhost`; `label` is in lower case."""

    def of_domain(self, host: str) -> Served | None:
        """The service of a custom domain, in lower case and without a port."""
