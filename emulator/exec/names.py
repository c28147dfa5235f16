"""Host names in the namespace: those of the API lead to one address, all others where they did."""

import re
from pathlib import Path

from emulator.exec.namespace import Covers, mount_empty
from emulator.gateway.authority import API_NAMES

HOSTS = Path("/etc/hosts")
_ORDER = Path("/etc/nsswitch.conf")
_ANY = "latin-1"  # takes every byte and gives it back
_CACHE = Path("/var/run/nscd")


def lead_names_to(address: str, covers: Covers) -> None:
    """Let every resolver that reads the hosts file find the API's names at `address`."""
    text = HOSTS.read_text(encoding=_ANY)
    covers.file(HOSTS.resolve(), hosts(text, address).encode(_ANY))
    if _ORDER.exists():
        order = files_first(_ORDER.read_text(encoding=_ANY))
        covers.file(_ORDER.resolve(), order.encode(_ANY))
    if _CACHE.is_dir():  # nscd answers from the hosts file of its own namespace
        mount_empty(_CACHE.resolve(), 0o755)


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


def files_first(text: str) -> str:
    """The order of name services with the hosts file before all others."""

    def reordered(match: re.Match[str]) -> str:
        services = [service for service in match[2].split() if service != "files"]
        return " ".join([match[1], "files", *services])

    return re.sub(r"^(hosts:)([^#\n]*)", reordered, text, flags=re.MULTILINE)
