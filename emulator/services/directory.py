"""Services as the gateway sees them: by the labels of their hosts and by their domains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emulator.accounts import Account
from emulator.errors import SandboxFailed
from emulator.sandbox.agent import AgentLost, Datagrams, Stream
from emulator.services.service import Service
from emulator.services.services import Services

AccountOf = Callable[[str], Account | None]


@dataclass(frozen=True, slots=True)
class ServedService:
    """One of them; a `Served` of the gateway."""

    service: Service
    services: Services
    account_of: AccountOf

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
        account = self.account_of(self.account)
        if account is None:
            raise SandboxFailed("The key of this service was revoked")
        await self.services.unfreeze(self.service, account)

    async def connect(self, port: int) -> Stream:
        """A connection to one of its ports; raises AgentError."""
        self._require_there()
        self.services.use(self.service)
        return await self.service.connect(port)

    async def datagrams(self, port: int, receive: Callable[[bytes], None]) -> Datagrams:
        """A UDP socket that talks to one of its ports; raises AgentError."""
        self._require_there()
        self.services.use(self.service)
        return await self.service.machine.agent.datagrams(port, receive)

    def _require_there(self) -> None:
        """What is paused takes connections, and never answers them."""
        if self.service.record.frozen or self.service.over:
            raise AgentLost("the service does not run")


@dataclass(frozen=True, slots=True)
class ServiceDirectory:
    """All of them; a `Directory` of the gateway."""

    services: Services
    account_of: AccountOf

    def named(self, label: str) -> ServedService | None:
        """The service whose host is `LABEL.on.localhost`."""
        return self._first(lambda service: service.record.label == label)

    def of_domain(self, host: str) -> ServedService | None:
        """The service of a custom domain."""
        return self._first(lambda service: host in service.record.custom_domains)

    def _first(self, fits: Callable[[Service], bool]) -> ServedService | None:
        found = next(filter(fits, self.services.all()), None)
        return None if found is None else ServedService(found, self.services, self.account_of)
