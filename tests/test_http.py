"""What holds for every operation: envelope, ids, hosts, methods, sizes, signatures on the wire."""

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.client import Client
from tests.server import Server

EVIL = Origin("https://evil.example")


def envelope(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    document: dict[str, object] = response.json()
    assert document["code"] == code
    assert all(isinstance(document[name], str) for name in ("error", "details", "message"))
    assert response.headers["x-request-id"].startswith("req_")
    return document


def test_an_unknown_path_is_a_404_in_the_envelope(server: Server) -> None:
    for path in ("/nothing", "/", "/execute/", "/jobs/a/b/c", "//health", "/_emulator/requests"):
        envelope(httpx.get(server.api + path), 404, "NOT_FOUND")


def test_a_wrong_method_is_a_405_with_allow(server: Server) -> None:
    response = httpx.put(f"{server.api}/execute")
    envelope(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"
    assert httpx.request("TRACE", f"{server.api}/jobs/x").headers["allow"] == "DELETE, GET"


def test_head_is_get_without_the_body(server: Server) -> None:
    response = httpx.head(f"{server.api}/health")
    assert (response.status_code, response.content) == (200, b"")


def test_every_answer_has_its_own_request_id(server: Server) -> None:
    ids = {httpx.get(f"{server.api}/health").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8042",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "",
        "[::1",
        "a b",
    ],
)
def test_a_foreign_host_is_a_421(server: Server, host: str) -> None:
    response = httpx.get(f"{server.api}/health", headers={"Host": host})
    envelope(response, 421, "MISDIRECTED_REQUEST")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8042", "api.unsandbox.com", "unsandbox.com"],
)
def test_our_own_names_are_served(server: Server, host: str) -> None:
    assert httpx.get(f"{server.api}/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://["]
)
def test_a_page_of_another_origin_is_refused(server: Server, origin: str) -> None:
    response = httpx.get(f"{server.api}/health", headers={"Origin": origin})
    envelope(response, 403, "FOREIGN_ORIGIN")


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://api.unsandbox.com"])
def test_our_own_origins_are_served(server: Server, origin: str) -> None:
    assert httpx.get(f"{server.api}/health", headers={"Origin": origin}).status_code == 200


def test_a_body_over_the_limit_is_a_413_before_it_is_sent(server: Server) -> None:
    address = urlsplit(server.api)
    with socket.create_connection((str(address.hostname), address.port or 0), 10) as raw:
        raw.sendall(
            b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16777217\r\n\r\n"
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_over_the_limit_is_a_413(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 1024 * 1024

    response = httpx.post(f"{server.api}/execute", content=endless())
    envelope(response, 413, "PAYLOAD_TOO_LARGE")


def test_a_body_of_exactly_the_limit_is_read(client: Client) -> None:
    padding = 16 * 1024 * 1024 - len(b'{"language":"bash","code":"#"}')
    body = b'{"language":"bash","code":"#' + b"x" * padding + b'"}'
    assert client.send("POST", "/execute", body).status_code == 200


def test_a_chunked_body_is_verified_and_read(client: Client, server: Server) -> None:
    body = json.dumps({"language": "bash", "code": "echo chunked"}).encode()
    response = client.send("POST", "/execute", body)
    headers = dict(response.request.headers)
    connection = http.client.HTTPConnection(urlsplit(server.api).netloc, timeout=30)
    for name in ("content-length", "host"):
        headers.pop(name)
    connection.request("POST", "/execute", iter([body[:7], body[7:]]), headers, encode_chunked=True)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["stdout"] == "chunked\n"


def test_a_signature_of_another_body_is_a_401(client: Client) -> None:
    response = client.send("POST", "/execute", b"{}", **{"X-Signature": "0" * 64})
    envelope(response, 401, "INVALID_SIGNATURE")


def test_percent_encoding_is_signed_as_it_is_sent(client: Client) -> None:
    assert client.get("/jobs/a%20b%2Fc").json()["code"] == "JOB_NOT_FOUND"


def test_a_websocket_is_refused_over_http(server: Server) -> None:
    for path, status in (("/sessions/sess_x/shell", 404), ("/sessions", 401), ("/nowhere", 404)):
        url = server.api.replace("http:", "ws:") + path
        with pytest.raises(InvalidStatus) as refusal, connect(url):
            pass
        assert refusal.value.response.status_code == status


def test_a_foreign_page_cannot_open_a_websocket(server: Server) -> None:
    url = server.api.replace("http:", "ws:") + "/sessions/sess_x/shell"
    with pytest.raises(InvalidStatus) as refusal, connect(url, origin=EVIL):
        pass
    assert refusal.value.response.status_code == 403
