"""The world outside, as a program for a container: web servers, an echo, and a name server.

It has its own address and many others, and remembers which of them was asked for anything.
Arguments: its public address.
"""

import json
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PUBLIC = sys.argv[1]
PRIVATE = "10.9.9.9"
ZONE = {
    "outside.test": [PUBLIC],
    "private.test": [PRIVATE],
    "mixed.test": [PUBLIC, PRIVATE],
    "metadata.test": ["169.254.169.254"],
    "loopback.test": ["127.0.0.1"],
    "zero.test": ["0.0.0.0"],  # noqa: S104 - an answer, not an address to listen on
}
ALIASES = {"alias.test": "private.test"}
SIX = {
    "mapped.test": f"::ffff:{PRIVATE}",
    "six.test": "2001:db8::9",
    "unasked.test": "2001:db8::9",
    "unasked-loopback.test": "::1",
    "unasked-mapped.test": f"::ffff:{PRIVATE}",
}
"""Addresses of IPv6; some names give them to who asks for IPv4 too."""

hits: Counter[str] = Counter()
lock = threading.Lock()
turns = 0


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = str(self.connection.getsockname()[0])
        if self.path == "/hits":
            self.answer(json.dumps(hits).encode())
            return
        hits[address] += 1
        path, _, size = self.path.partition("?")
        if path == "/big":
            self.pour(int(size))
        elif path == "/port":
            self.answer(str(self.client_address[1]).encode())
        elif path == "/headers":
            self.answer(json.dumps(dict(self.headers)).encode())
        else:
            self.answer(f"hello from {address}".encode())

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        count = 0
        while left > 0 and (piece := self.rfile.read(min(left, 65_536))):
            count += len(piece)
            left -= len(piece)
        self.answer(str(count).encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pour(self, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        block = bytes(65_536)
        while size > 0:
            self.wfile.write(block[:size])
            with lock:
                hits["poured"] += min(size, len(block))
            size -= len(block)

    def log_message(self, *_: object) -> None:
        return


class Echo(socketserver.BaseRequestHandler):
    """Sends everything back once the other side has closed its half."""

    def handle(self) -> None:
        hits[self.request.getsockname()[0]] += 1
        data = b""
        while piece := self.request.recv(65_536):
            data += piece
        self.request.sendall(data)


class Names(socketserver.BaseRequestHandler):
    """Answers with what ZONE holds; `rebind.test` is another address every other time."""

    def handle(self) -> None:
        query, sock = self.request
        name, end = _name(query)
        kind = struct.unpack(">H", query[end : end + 2])[0]
        records = _records(name, kind)
        head = query[:2] + struct.pack(">HHHHH", 0x8580, 1, len(records), 0, 0)
        sock.sendto(head + query[12 : end + 4] + b"".join(records), self.client_address)


def _name(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _encoded(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"


def _record(name: str, kind: int, data: bytes) -> bytes:
    return _encoded(name) + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


def _records(name: str, kind: int) -> "list[bytes]":
    global turns  # noqa: PLW0603 - the state of a name server that lies
    found = []
    if name in ALIASES:
        found.append(_record(name, 5, _encoded(ALIASES[name])))
        name = ALIASES[name]
    addresses = ZONE.get(name, [])
    if name == "rebind.test" and kind == 1:
        with lock:
            turns += 1
            addresses = [PUBLIC if turns % 2 else PRIVATE]
            hits[f"rebind.test is {addresses[0]}"] += 1
    if kind == 1:
        found += [_record(name, 1, socket.inet_aton(address)) for address in addresses]
    six = SIX.get(name)
    if six is not None and (kind == 28 or name.startswith("unasked")):
        found.append(_record(name, 28, socket.inet_pton(socket.AF_INET6, six)))
    return found


def serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    ThreadingHTTPServer.daemon_threads = True
    certificate = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    certificate += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=outside"]
    certificate += ["-keyout", "/tmp/key", "-out", "/tmp/cert", "-addext"]
    subprocess.run([*certificate, "subjectAltName=DNS:outside.test"], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/tmp/cert", "/tmp/key")
    secure = ThreadingHTTPServer(("", 443), Web)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    serve(secure)
    for port in (25, 80, 3128, 8080):
        serve(ThreadingHTTPServer(("", port), Web))
    serve(socketserver.ThreadingTCPServer(("", 7000), Echo))
    serve(socketserver.ThreadingUDPServer(("", 53), Names))
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
