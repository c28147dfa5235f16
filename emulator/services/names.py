"""What services are called: names, host labels, custom domains, and who may have them."""

import ipaddress
import re
from collections.abc import Collection, Iterable

from emulator.errors import BadRequest, Conflict, DomainTaken
from emulator.services.service import Service

RESERVED = ("unsandbox.com", "localhost", "local")
"""No custom domain ends in one of these: they are the API's, the services' own or the machine's."""

DOMAINS_MOST = 64
"""Of one service; as many as the contract lets an answer have."""

_NAMES_A_PORT = re.compile(r"--[0-9]+$")
"""How a label ends that leads to another port of the service before it."""


def require_free_name(name: str, owner: str, services: Iterable[Service]) -> None:
    """Raise Conflict where the account has a service of this name."""
    for service in services:
        if service.record.owner == owner and service.record.name == name:
            raise Conflict(f"name: {name} is already taken by a service of this key")


def label(name: str, service_id: str, services: Iterable[Service]) -> str:
    """The first label of its host name: its name, unless another account's service has that."""
    taken = {service.record.label for service in services}
    lower = name.lower()
    if lower not in taken and not _NAMES_A_PORT.search(lower):
        return lower
    return f"{lower[:56]}-{service_id[-6:]}"


def domains(
    wanted: Iterable[str], owner: str, services: Iterable[Service], own_hosts: Collection[str]
) -> list[str]:
    """Custom domains in lower case, each once; `own_hosts` are the API's.

    Raises:
        BadRequest: one is no name that could be had, or there are too many.
        DomainTaken: another service has one.
    """
    chosen = lowered(wanted)
    if len(chosen) > DOMAINS_MOST:
        raise BadRequest(f"custom_domains: a service has at most {DOMAINS_MOST}")
    taken = {name: it for it in services for name in it.record.custom_domains}
    for name in chosen:
        if name in own_hosts or _is_reserved(name):
            raise BadRequest(f"custom_domains: {name} cannot be a service's")
        other = taken.get(name)
        if other is not None:
            whose = "this key" if other.record.owner == owner else "another key"
            raise DomainTaken(f"custom_domains: {name} belongs to a service of {whose}")
    return chosen


def lowered(wanted: Iterable[str]) -> list[str]:
    """Host names as they are kept: in lower case, without a final dot, each once."""
    return list(dict.fromkeys(name.lower().rstrip(".") for name in wanted))


def _is_reserved(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return any(name == end or name.endswith(f".{end}") for end in RESERVED)
    return True
