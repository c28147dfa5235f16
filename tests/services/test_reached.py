"""What clients say to a service's own program: WebSockets, uploads, events, TCP and UDP."""

import base64
import hashlib
import os
import socket

import httpx
import pytest
from websockets.sync.client import connect

from tests.services.conftest import Json, Maker

WEB = """
import base64, hashlib, http.server, queue

KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
heard = queue.Queue()

class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/heard":
            heard.put(True)
            self.answer(b"")
        elif self.path == "/events":
            self.events()
        else:
            self.web_socket()

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 65536))
            digest.update(piece)
            left -= len(piece)
        self.answer(digest.hexdigest().encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(b"data: %d\\n\\n" % number)
            heard.get()

    def web_socket(self):
        digest = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + KEY).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        kind = 0
        while kind & 15 != 8:
            kind, size = self.rfile.read(2)
            large = self.rfile.read(2) if size & 127 == 126 else b""
            length = int.from_bytes(large, "big") if large else size & 127
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[n % 4] for n, b in enumerate(self.rfile.read(length)))
            self.wfile.write(bytes([kind, size & 127]) + large + data)

http.server.ThreadingHTTPServer(("", 8080), Web).serve_forever()
"""

TCP = """
import socket

server = socket.create_server(("", 7000))
while True:
    peer = server.accept()[0]
    while data := peer.recv(65536):
        peer.sendall(data.upper())
    peer.close()
"""

UDP = """
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 7000))
while True:
    data, peer = server.recvfrom(65536)
    server.sendto(data.upper(), peer)
"""


def program(services: Maker, source: str, **fields: object) -> Json:
    """A service that runs `source`, which came as a file."""
    content = base64.b64encode(source.encode()).decode()
    return services.ready(
        bootstrap="exec python3 /tmp/input/app.py",
        input_files=[{"filename": "app.py", "content": content}],
        **fields,
    )


def gateway(services: Maker) -> tuple[str, int]:
    host, _, port = services.server.api.removeprefix("http://").rpartition(":")
    return host, int(port)


def test_a_program_is_reached_by_all_that_browsers_speak(services: Maker) -> None:
    service = program(services, WEB, ports=[8080])
    url = str(service["url"])

    there = socket.create_connection(gateway(services))
    with connect(url.replace("http", "ws", 1), sock=there, proxy=None) as messages:
        for message in ("Grüße, 漢字", b"\x00\xff", "x" * 60_000):
            messages.send(message)
            assert messages.recv(timeout=60) == message
    assert messages.close_code == 1000

    host = {"Host": url.removeprefix("http://")}
    with httpx.Client(base_url=services.server.api, headers=host, timeout=60) as http:
        sent = os.urandom(20 << 20)
        assert http.put("/", content=sent).text == hashlib.sha256(sent).hexdigest()

        with http.stream("GET", "/events") as answer:
            for number, event in enumerate(filter(None, answer.iter_lines())):
                assert event == f"data: {number}"
                assert http.get("/heard").status_code == 200
        assert number == 2


def test_tcp_is_reached_by_a_port_of_this_machine(services: Maker) -> None:
    service = program(services, TCP, ports=[7000], service_type="tcp")
    with socket.create_connection(("127.0.0.1", service["host_ports"]["7000/tcp"]), 60) as stream:
        stream.sendall(b"said")
        stream.shutdown(socket.SHUT_WR)
        assert stream.makefile("rb").read() == b"SAID"


def test_udp_is_reached_by_a_port_of_this_machine(services: Maker) -> None:
    service = program(services, UDP, ports=[7000], service_type="udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", service["host_ports"]["7000/udp"]))
        datagrams.settimeout(0.2)
        for _ in range(300):
            datagrams.send(b"said")
            try:
                assert datagrams.recv(100) == b"SAID"
                break
            except (TimeoutError, ConnectionRefusedError):
                continue
        else:
            pytest.fail("no datagram came back")
