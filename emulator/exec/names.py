"""Host names in the namespace: those of the API lead to one address, all others where they did.

The API's stand in the hosts file; those of services are known to a name server (`nameserver.py`).
"""

import re
from pathlib import Path

from emulator.exec.namespace import Covers, mount_empty
from emulator.gateway.authority import API_NAMES

HOSTS = Path("/etc/hosts")
RESOLVER = Path("/etc/resolv.conf")
_ORDER = Path("/etc/nsswitch.conf")
_ANY = "latin-1"  # takes every byte and gives it back
_CACHE = Path("/var/run/nscd")


def lead_names_to(address: str, covers: Covers) -> None:
    """Let every resolver that reads the hosts file find the API's names at `address`."""
    text = HOSTS.read_text(encoding=_ANY)
    covers.file(HOSTS.resolve(), hosts(text, address).encode(_ANY))
    if _ORDER.exists():
        order = files_and_dns_first(_ORDER.read_text(encoding=_ANY))
        covers.file(_ORDER.resolve(), order.encode(_ANY))
    if _CACHE.is_dir():  # nscd answers from the hosts file of its own namespace
        mount_empty(_CACHE.resolve(), 0o755)


def ask_for_names_at(address: str, covers: Covers) -> None:
    """Let every resolver ask the name server at `address` alone."""
    if RESOLVER.exists():
        text = RESOLVER.read_text(encoding=_ANY)
        covers.file(RESOLVER.resolve(), asking(text, address).encode(_ANY))


def hosts(text: str, address: str) -> str:
    """A hosts file with the API's names at `address` and nowhere else."""
    kept = (_without_names(line) for line in text.splitlines())
    return "\n".join([f"{address} {' '.join(API_NAMES)}", *filter(None, kept)]) + "\n"


def _without_names(line: str) -> str:
    entry, mark, comment = line.partition("#")
    address, *names = entry.split() or [""]
    left = [name for name in names if name.lower() not in API_NAMES]
    if len(left) == len(names):
        return line
    return " ".join([address, *left, mark + comment]).strip() if left else ""


def name_servers() -> list[str]:
    """Those that this machine asks."""
    if not RESOLVER.exists():
        return []
    words = (line.split() for line in RESOLVER.read_text(encoding=_ANY).splitlines())
    return [name for keyword, name, *_ in filter(_names_server, words) if "%" not in name]


def asking(text: str, address: str) -> str:
    """A resolver's file with one name server, `address`; all else stays."""
    kept = [line for line in text.splitlines() if not _names_server(line.split())]
    return "\n".join([f"nameserver {address}", *kept]) + "\n"


def _names_server(words: list[str]) -> bool:
    return len(words) > 1 and words[0] == "nameserver"


def files_and_dns_first(text: str) -> str:
    """The order of name services with the hosts file and the name server before all others.

    Others may say that what they do not know is not there, and would keep the two from being asked.
    """

    def reordered(match: re.Match[str]) -> str:
        services = re.sub(r"\[[^\]]*\]", "", match[2]).split()
        others = [service for service in services if service not in ("files", "dns")]
        return " ".join([match[1], "files", "dns", *others])

    return re.sub(r"^(hosts:)([^#\n]*)", reordered, text, flags=re.MULTILINE)
