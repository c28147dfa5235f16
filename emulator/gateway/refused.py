"""Addresses that the egress proxy does not connect to.

The ranges are those of IANA's special-purpose registries that lead to machines nearby or to no one
(RFC 6890 and its updates). The documentation ranges are left out: they lead nowhere, and tests give
them to servers of their own.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses, ip_network

RESERVED = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, metadata services among them
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # relays to IPv6
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

RESERVED_V6 = (
    "::/127",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "fc00::/7",
    "fe80::/9",
    "ff00::/8",
)
"""Unspecified and loopback, those that hold an IPv4 address, private, link-local, multicast.

The proxy has no IPv6; being refused tells more than being unreachable.
"""

LOOPBACK = IPv4Network("127.0.0.0/8")

_LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


def refused(also: Iterable[IPv4Network], allowed: Iterable[IPv4Network]) -> list[IPv4Network]:
    """What is refused: the reserved ranges and `also`, without `allowed`.

    Loopback cannot be allowed: it would be the proxy's own.
    """
    left = list(collapse_addresses([*RESERVED, *also]))
    for network in allowed:
        left = [part for range_ in left for part in _without(range_, network)]
    return sorted(collapse_addresses([*left, LOOPBACK]))


def _without(network: IPv4Network, taken: IPv4Network) -> Iterable[IPv4Network]:
    if not network.overlaps(taken):
        return [network]
    return [] if network.subnet_of(taken) else network.address_exclude(taken)


def local_addresses(fib_trie: str) -> list[IPv4Network]:
    """The machine's own addresses, from its `/proc/net/fib_trie`."""
    return [IPv4Network(address) for address in sorted(set(_LOCAL.findall(fib_trie)))]


def networks(texts: Iterable[str]) -> list[IPv4Network]:
    """Addresses and CIDR networks, IPv4 alone; raises ValueError."""
    return [network for text in texts if isinstance(network := ip_network(text), IPv4Network)]
