"""What is written down of what passes the gateway: who was asked, and how much, not what."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Passage:
    """A request to a service, or a connection to one of its host ports, when it has ended.

    `protocol` is http, tcp or udp; `port` is the service's. `sent` and `received` are bytes as the
    service sees them, bodies of requests and answers alone where it is HTTP. What is unknown is "",
    0 or None. `status` is of the answer, 101 for what became a WebSocket.
    """

    request_id: str
    protocol: str
    method: str = ""
    path: str = ""
    query: str = ""
    service_id: str | None = None
    service: str | None = None
    account: str | None = None
    port: int | None = None
    status: int = 0
    code: str | None = None
    sent: int = 0
    received: int = 0
    milliseconds: float = 0.0


Record = Callable[[Passage], None]
