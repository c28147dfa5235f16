"""WebSockets without redirects, which the library follows by itself to whatever host is named.

A server must not be able to send a run, with its signature, to another one: the handshake's answer
is evidence, whatever its status.
"""

from websockets.asyncio.client import connect

__all__ = ["ConnectOnce"]


class ConnectOnce(connect):
    """The asyncio client; raises InvalidStatus for every answer but 101."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """No exception is a redirect."""
        return exc
