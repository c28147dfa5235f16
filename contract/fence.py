"""A second line of defence: a process that can connect to nothing but its target.

The wire is the one way out for what the suite writes itself; a library that followed a redirect,
or a check with a client of its own, would go round it. An audit hook sees every name that this
process looks up and every socket that it connects, whoever does it, and cannot be taken off again:
so it is raised in the processes that families run in, never in anybody's own pytest.
"""

import socket
import sys
from collections.abc import Collection
from ipaddress import ip_address

from contract.outcomes import NotRun

__all__ = ["Fence", "raise_fence"]


def raise_fence(hosts: Collection[str]) -> None:
    """Let this process connect to `hosts` and itself alone, until it ends; to nothing if none.

    `.example.com` stands for every name that ends so.
    """
    sys.addaudithook(Fence(hosts))


class Fence:
    """An audit hook that refuses names and addresses other than those of some hosts."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = {it for it in hosts if not it.startswith(".")}
        self._endings = tuple(it for it in hosts if it.startswith("."))
        self._addresses: set[str] = set()

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Raises NotRun, which no library takes for a failed connection."""
        if event in LOOKS_UP:
            host = _text(arguments[0])
            refused = host is not None and not _is_address(host) and not self._names(host)
        elif event == CONNECT or (event in SENDS and not self._hosts):
            host = _text(arguments[1][0]) if isinstance(arguments[1], tuple) else None
            refused = host is not None and not self._reaches(host)
        else:
            return
        if refused:
            raise NotRun(f"a connection to {host} was refused: it is not the target")

    def _names(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        if self._endings and name.endswith(self._endings):
            self._hosts.add(name)
        return name in self._hosts or (name == "localhost" and bool(self._hosts))

    def _reaches(self, host: str) -> bool:
        if not _is_address(host):
            return self._names(host)
        if ip_address(host).is_loopback and self._hosts:
            return True
        if host not in self._addresses:  # a name may have others by now
            self._addresses.update(*map(_addresses, self._hosts))
        return host in self._addresses


LOOKS_UP = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
CONNECT = "socket.connect"
SENDS = frozenset({"socket.sendto", "socket.sendmsg"})
"""Events of the interpreter (docs.python.org/3/library/audit_events.html)."""


def _text(host: object) -> str | None:
    if isinstance(host, bytes):
        return host.decode("ascii", "replace")
    return str(host) if host else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
