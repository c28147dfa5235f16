"""A service as the gateway sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from emulator.sandbox.agent import AgentLost, Datagrams, Stream
from emulator.services.service import Service


class Uses(Protocol):
    """What is told of how services are used."""

    async def wake(self, service: Service) -> None:
        """Let it go on, in its owner's name; raises ApiError."""

    def use(self, service: Service) -> None:
        """Somebody uses it now."""


@dataclass(frozen=True, slots=True)
class ServedService:
    """A `Served` of the gateway."""

    service: Service
    services: Uses

    @property
    def id(self) -> str:
        return self.service.id

    @property
    def name(self) -> str:
        return self.service.record.name

    @property
    def account(self) -> str:
        return self.service.record.owner

    @property
    def state(self) -> str:
        return self.service.status

    @property
    def ports(self) -> Sequence[int]:
        return self.service.record.ports

    @property
    def wakes_on_demand(self) -> bool:
        return self.service.record.unfreeze_on_demand

    @property
    def shows_freeze_page(self) -> bool:
        return self.service.record.show_freeze_page

    async def wake(self) -> None:
        """Return when it is not frozen any more; raises ApiError."""
        await self.services.wake(self.service)

    def enter(self) -> None:
        """Somebody is connected, until `leave`."""
        self.service.visitors += 1

    def leave(self) -> None:
        self.service.visitors -= 1
        self.services.use(self.service)

    async def connect(self, port: int) -> Stream:
        """A connection to one of its ports; raises AgentError."""
        self._require_there()
        return await self.service.connect(port)

    async def datagrams(self, port: int, receive: Callable[[bytes], None]) -> Datagrams:
        """A UDP socket that talks to one of its ports; raises AgentError."""
        self._require_there()
        return await self.service.machine.agent.datagrams(port, receive)

    def _require_there(self) -> None:
        """What is paused takes connections, and never answers them."""
        if self.service.record.frozen or self.service.over:
            raise AgentLost("the service does not run")
