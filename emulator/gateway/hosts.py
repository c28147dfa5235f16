"""Which service a `Host` means.

`NAME.on.localhost` is a service's first port, `NAME--PORT.on.localhost` another one of its ports;
`.on.unsandbox.com` is the same. Any other name is a custom domain, or nobody's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from emulator.errors import MisdirectedRequest, NotFound
from emulator.gateway.served import Directory, Served

ZONES = (".on.localhost", ".on.unsandbox.com")

_LABEL = re.compile(r"(?P<name>[a-z0-9]([a-z0-9-]*[a-z0-9])?)--(?P<port>[1-9][0-9]{0,4})")
_NAME = re.compile(r"(?P<name>[a-z0-9_.-]{1,253}?)\.?(:[0-9]{0,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a service."""

    served: Served
    port: int


def hostname(host: str) -> str:
    """The name in a `Host`, in lower case, without port and final dot; "" when it is malformed."""
    found = _NAME.fullmatch(host)
    return found["name"].lower() if found else ""


class Hosts:
    """The names that lead to services; those of the API never do, whatever a service claims."""

    def __init__(self, directory: Directory, api_hosts: Iterable[str]) -> None:
        self._directory = directory
        self._api_hosts = frozenset(host.lower() for host in api_hosts)

    def lead_to_services(self, host: str) -> bool:
        """Whether requests for `host` are the gateway's, be there such a service or not."""
        name = hostname(host)
        if name in self._api_hosts:
            return False
        return name.endswith(ZONES) or self._directory.of_domain(name) is not None

    def place(self, host: str) -> Place:
        """What `host` leads to.

        Raises:
            MisdirectedRequest: it is no name of services.
            NotFound: no service has this name, or not this port.
        """
        if not self.lead_to_services(host):
            raise MisdirectedRequest("This host name is not served on this connection")
        served, port = self._named(hostname(host))
        if served is None:
            raise NotFound("No service has this name")
        if port is None and served.ports:
            port = served.ports[0]
        if port is None or port not in served.ports:
            raise NotFound("The service has no such port")
        return Place(served, port)

    def _named(self, name: str) -> tuple[Served | None, int | None]:
        for zone in ZONES:
            if name.endswith(zone):
                label = name.removesuffix(zone)
                found = _LABEL.fullmatch(label)
                if found is None:
                    return self._directory.named(label), None
                return self._directory.named(found["name"]), int(found["port"])
        return self._directory.of_domain(name), None
