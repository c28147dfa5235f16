"""A server that takes requests and answers none, but those that it is told to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

SECONDS = 30
HEALTHY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n"
    b'Connection: close\r\n\r\n{"status":"ok"}'
)


@contextmanager
def hanging(answered: bytes = b"", answer: bytes = HEALTHY) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and the heads of requests as they come; paths in `answered` get `answer`."""
    came: list[bytes] = []
    held: list[socket.socket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    held.append(connection)
                    came.append(connection.recv(65536))
                    if answered and answered in came[-1].split(b"\r\n")[0]:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)
            for connection in held:
                connection.close()
