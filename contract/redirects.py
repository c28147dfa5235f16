"""WebSockets without redirects, which the library follows by itself to whatever host is named.

A server must not be able to send a run, with its signature, to another one: the handshake's answer
is evidence, whatever its status.
"""

from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection

__all__ = ["ConnectOnce", "NotUpgraded", "OneHandshake"]


class NotUpgraded(Exception):
    """The server answered the handshake with something else than 101."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the server answered {response.status_code}")
        self.response = response


class OneHandshake(ClientConnection):
    """For `create_connection` of the blocking client."""

    def handshake(self, *args: Any, **keywords: Any) -> None:  # noqa: ANN401 - the library's own
        """Raises NotUpgraded, which the library does not take for a redirect."""
        try:
            super().handshake(*args, **keywords)
        except InvalidStatus as error:
            raise NotUpgraded(error.response) from error


class ConnectOnce(connect):
    """The asyncio client."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """No exception is a redirect."""
        return exc
