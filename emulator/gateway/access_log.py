"""What squid says of each request, in the format `connection` of runtimes/egress/squid.conf."""

from dataclasses import dataclass
from ipaddress import IPv6Address

_SOURCES = 0x0100 << 112
"""100::/64, the discard prefix (RFC 6666): no connection has such a source by itself."""

_FIELDS = 11
_TEXT_LIMIT = 300
_REFUSED = "ERR_REFUSED_"


@dataclass(frozen=True, slots=True)
class Line:
    """A request: the connection that it came on, where it led and how it ended."""

    number: int
    method: str
    destination: str
    status: int
    address: str | None
    sent: int
    received: int
    milliseconds: int
    error: str | None

    @property
    def outcome(self) -> str:
        """One word for the journal."""
        if self.error is None:
            return "done" if self.status else "no request"
        return "refused" if self.error.startswith(_REFUSED) else "failed"


def greeting(number: int, port: int) -> bytes:
    """The PROXY header that tells squid which connection this is, before anything of a sandbox."""
    return f"PROXY TCP6 {IPv6Address(_SOURCES + number)} ::1 1 {port}\r\n".encode()


def parse(line: str) -> Line | None:
    """A line of the log; None for one that is of no connection that was greeted so."""
    fields = line.split(" ")
    if len(fields) != _FIELDS:
        return None
    source, method, host, port, status, address, sent, received, milliseconds, error, _ = fields
    try:
        number = int(IPv6Address(source)) - _SOURCES
        return Line(
            number=number,
            method=method[:_TEXT_LIMIT],
            destination=_destination(host[:_TEXT_LIMIT], port),
            status=int(status),
            address=None if address == "-" else address,
            sent=int(sent),
            received=int(received),
            milliseconds=int(milliseconds),
            error=None if error == "-" else error,
        )
    except ValueError:
        return None


def _destination(host: str, port: str) -> str:
    return "" if host == "-" else f"{host}:{port}"
