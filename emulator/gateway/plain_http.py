"""Plain HTTP on a TLS listener is told so, in the API's envelope, before the connection ends."""

import ssl

import msgspec

from emulator.errors import BadRequest

_BODY = msgspec.json.encode(BadRequest("This port speaks TLS: use https://").body())
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b"
) % (len(_BODY), _BODY)


class _Handshake(ssl.SSLObject):
    """Answers a plain request once, then takes in what still comes until the client hangs up.

    The loop ends it with the time that it gives a handshake.
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    refused = False

    def do_handshake(self) -> None:
        try:
            if not self.refused:
                super().do_handshake()
                return
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST":
                raise
            self.refused = True
            self.outgoing.write(_REFUSAL)
        self.incoming.read()
        raise ssl.SSLWantReadError


class ServerContext(ssl.SSLContext):
    """A context for event loops, which shake hands over memory."""

    sslobject_class = _Handshake

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, _Handshake):
            made.incoming, made.outgoing = incoming, outgoing
        return made
