"""A reverse proxy in front of a server, which changes its answers as one fault says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


@dataclass(frozen=True)
class Passing:
    """A request and the answer that the server behind gave it."""

    method: str
    path: str
    sent: bytes
    status: int
    headers: dict[str, str]
    body: bytes

    def with_body(self, status: int, body: str) -> "Passing":
        headers = {**self.headers, "content-type": "application/json"}
        return replace(self, status=status, body=body.encode(), headers=headers)


Fault = Callable[[Passing], Passing]

_OF_ONE_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "date"}


@contextmanager
def in_front_of(url: str, fault: Fault) -> Iterator[str]:
    """The proxy's address."""
    upstream = httpx.Client(base_url=url, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # an answer in one piece, which nobody waits with acknowledging

        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target = upstream.base_url.copy_with(raw_path=self.path.encode())
            headers = [(key, value) for key, value in self.headers.items() if key != "Host"]
            came = upstream.send(httpx.Request(self.command, target, headers=headers, content=sent))
            kept = {k: v for k, v in came.headers.items() if k.lower() not in _OF_ONE_HOP}
            path = self.path.split("?")[0]
            answer = fault(Passing(self.command, path, sent, came.status_code, kept, came.content))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, upstream:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
