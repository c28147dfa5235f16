"""A shell that a server refuses over TLS is an answer, however the server ends the connection."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from contract.api import Api
from contract.campaign import opened
from contract.shell import handshake, refused
from contract.target import resolve
from emulator.gateway.authority import SERVED_NAMES, Authority

REFUSALS = 100
DEADLINE_SECONDS = 120
"""For all of them together, which take some seconds: it fails what hangs, and no slow machine."""

BODY = b'{"code":"NOT_FOUND","error":"not_found","details":"There is no such session"}'
HEAD = (
    "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nX-Request-Id: 0123456789abcdef\r\n"
    "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 59\r\nX-RateLimit-Reset: 4102444800\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()

Leave = Callable[[ssl.SSLSocket], None]


def says_goodbye(connection: ssl.SSLSocket) -> None:
    """As TLS has it: each side says that it ends."""
    with suppress(OSError):
        connection.unwrap().close()


def hangs_up(connection: ssl.SSLSocket) -> None:
    connection.close()


def stays(connection: ssl.SSLSocket) -> None:
    """Waits for the client to end the connection."""
    with suppress(OSError):
        while connection.recv(4096):
            pass
    connection.close()


@contextmanager
def refusing(context: ssl.SSLContext, leave: Leave) -> Iterator[str]:
    """The address of a TLS server that has no session."""
    held: set[socket.socket] = set()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(8) as pool:

        def refuse(connection: socket.socket) -> None:
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                held.add(secured)
                while not secured.recv(65536).endswith(b"\r\n\r\n"):
                    pass
                secured.sendall(HEAD + BODY)
                leave(secured)
                held.discard(secured)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    pool.submit(refuse, listener.accept()[0])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("leave", [says_goodbye, hangs_up, stays])
def test_a_shell_that_is_refused_over_tls_never_hangs(
    leave: Leave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.load(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with (
        refusing(authority.server_context(SERVED_NAMES), leave) as url,
        opened(resolve(None, url)) as campaign,
    ):
        statuses: list[int] = []
        asking = threading.Thread(target=ask, args=(campaign.api, statuses), daemon=True)
        asking.start()
        asking.join(DEADLINE_SECONDS)
        assert statuses == [404] * REFUSALS


def ask(api: Api, statuses: list[int]) -> None:
    """Open the shell of a session that is not there, again and again."""
    statuses.extend(refused(api, handshake(api, "sess_none")).status for _ in range(REFUSALS))
