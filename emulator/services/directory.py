"""All services as the gateway finds them: by the labels of their hosts and by their domains."""

from collections.abc import Callable
from dataclasses import dataclass

from emulator.services.served import ServedService
from emulator.services.service import Service
from emulator.services.services import Services


@dataclass(frozen=True, slots=True)
class ServiceDirectory:
    """A `Directory` of the gateway."""

    services: Services

    def named(self, label: str) -> ServedService | None:
        """The service whose host is `LABEL.on.localhost`."""
        return self._first(lambda service: service.record.label == label)

    def of_domain(self, host: str) -> ServedService | None:
        """The service of a custom domain."""
        return self._first(lambda service: host in service.record.custom_domains)

    def _first(self, fits: Callable[[Service], bool]) -> ServedService | None:
        found = next(filter(fits, self.services.all()), None)
        return None if found is None else ServedService(found, self.services)
