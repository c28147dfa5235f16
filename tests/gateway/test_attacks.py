"""What hostile clients try against the listeners that the API and services share, and services
against their clients."""

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from emulator import listeners
from emulator.gateway.host_ports import PEER_SECONDS
from tests.gateway.gate import ECHO, Gate
from tests.gateway.test_entrance import whose
from tests.gateway.wire import (
    SHOP,
    Answer,
    connected,
    eventually,
    get,
    post,
    refused,
    request,
    talk,
    until_end,
)

HEALTH = get("/health", "localhost")

# --- whose is it? ----------------------------------------------------------------------------

ALMOST_OURS = [
    *("x@localhost", "x:y@localhost:80", "a b@localhost", "[::1]@localhost", "@localhost"),
    *("localhost/", "localhost/evil", "localhost?x", "localhost#x", "localhost\\", "localhost,x"),
    *("localhost.", "localhost:x", "localhost:80:80", "localhost:99999", "[localhost]", "[::1"),
    *(
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0",
        "::1",
        "127.0.0.1.",
        "%6cocalhost",
        "loca\u0142host",
    ),
]
"""What a parser of URLs, or a resolver of names, may take for a host of the API's."""


@pytest.mark.parametrize("host", ALMOST_OURS)
def test_what_only_looks_like_a_host_of_the_api_is_none(gate: Gate, host: str) -> None:
    sent = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    assert refused(gate.port, sent).status == 421


@pytest.mark.parametrize("others", [("evil.example",), (SHOP,), ("localhost",)])
def test_the_api_is_asked_for_by_one_host(gate: Gate, others: tuple[str]) -> None:
    lines = [f"Host: {other}" for other in others]
    sent = get("/health", "localhost", *lines, "Connection: close")
    assert refused(gate.port, sent).status == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://x@localhost",
        "http://evil.example\\@localhost",
        "http://localhost@evil.example",
        "http://localhost:x",
        "http://localhost/evil",
        "localhost",
        "//localhost",
        "http://localhost\r\nOrigin: http://evil.example",
    ],
)
def test_what_only_looks_like_an_origin_of_the_api_is_foreign(gate: Gate, origin: str) -> None:
    sent = get("/health", "localhost", f"Origin: {origin}", "Connection: close")
    assert refused(gate.port, sent).status == 403


@pytest.mark.parametrize("second", [SHOP, f"{SHOP}:80", "shop.example"])
def test_a_connection_keeps_to_whom_it_was_opened_for(gate: Gate, second: str) -> None:
    """Requests sent together: the second is for a service on the API's connection, and back."""
    gate.services.by_domain["shop.example"] = gate.services.by_name["shop"]
    for first, then in (("localhost", second), (second, "localhost")):
        with connected(gate.port) as connection:
            connection.sendall(get("/one", first) + get("/two", then))
            connection.sendall(get("/three", first, "Connection: close"))
            answers = until_end(connection)
        assert (answers.count(b" 200 OK"), answers.count(b" 421 ")) == (2, 1)
        assert b"/two" not in answers


# --- what does not end -----------------------------------------------------------------------

CHUNKED = request("POST /execute HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked")
ENDLESS = {
    "a field, later": (HEALTH + b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x" * 4096),
    "fields, later": (HEALTH + b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n" * 700),
    "a target, later": (HEALTH + b"GET /", b"x" * 4096),
    "fields, after empty lines": (b"\r\n\r\nGET / HTTP/1.1\r\n", b"X: y\r\n" * 700),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 700),
    "an extension of a chunk": (CHUNKED + b"1;", b"x" * 4096),
    "an extension, to a service": (
        request("POST /head HTTP/1.1", f"Host: {SHOP}", "Transfer-Encoding: chunked") + b"1;",
        b"x" * 4096,
    ),
    "trailers, to a service": (
        request("POST /head HTTP/1.1", f"Host: {SHOP}", "Transfer-Encoding: chunked") + b"0\r\n",
        b"X: y\r\n" * 700,
    ),
}
MUCH = 16 * 1024 * 1024


def ended_by(gate: Gate, begin: bytes, more: bytes) -> bytes:
    """What comes back until the connection is ended, though much more is sent."""
    with connected(gate.port) as connection:
        with suppress(ConnectionError):
            connection.sendall(begin)
            for _ in range(MUCH // len(more)):
                connection.sendall(more)
        with suppress(ConnectionError):
            return until_end(connection)
    return b""


@pytest.mark.parametrize("name", ENDLESS)
def test_a_head_that_does_not_end_is_not_kept(gate: Gate, name: str) -> None:
    answers = ended_by(gate, *ENDLESS[name])
    assert answers.count(b" 200 OK") <= ENDLESS[name][0].count(b"GET /health")


def test_empty_lines_before_a_request_are_none_of_it(gate: Gate) -> None:
    for host, owner in (("localhost", "api"), (SHOP, "lines")):
        assert whose(Answer(talk(gate.port, b"\r\n\n" + get("/head", host)))) == owner


def test_requests_that_wait_for_no_answer_are_bounded(gate: Gate) -> None:
    assert ended_by(gate, HEALTH, HEALTH * 100).count(b" 200 OK") < 100
    with connected(gate.port) as connection:
        connection.sendall(HEALTH * 20 + get("/health", "localhost", "Connection: close"))
        assert until_end(connection).count(b" 200 OK") == 21


STALLED = {
    "nothing but empty lines": b"\r\n",
    "a later head": HEALTH + b"GET / HTTP/1.1\r\n",
    "a body": request("POST /execute HTTP/1.1", "Host: localhost", "Content-Length: 9", body=b"x"),
    "a chunk": CHUNKED + b"9\r\nx",
}


@pytest.mark.parametrize("name", STALLED)
def test_who_stops_within_a_request_is_left(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(listeners, "STALL_SECONDS", 0.2)
    monkeypatch.setattr("emulator.gateway.entrance.HEAD_SECONDS", 0.2)
    with connected(gate.port) as connection:
        connection.sendall(STALLED[name])
        with suppress(ConnectionError):
            until_end(connection)


def test_a_flood_of_connections_leaves_room_for_others(gate: Gate) -> None:
    """Half of them say nothing, half are within a head, or a body, of the API or of a service."""
    beginnings = [b"", b"GET / HTTP/1.1\r\n", *list(STALLED.values())[1:], get("/head")[:-2]]
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(connected(gate.port))
            connection.sendall(beginnings[number % len(beginnings)])
        assert whose(Answer(talk(gate.port, HEALTH))) == "api"
        assert whose(Answer(talk(gate.port, get("/head")))) == "lines"


def test_descriptors_are_not_used_up_by_some_hundred_connections() -> None:
    program = """
import resource
from emulator.up import have_descriptors
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
have_descriptors()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(most, 65536))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


# --- what a service is told ------------------------------------------------------------------


def test_nothing_can_be_taken_for_what_the_gateway_says(gate: Gate) -> None:
    forged = [
        *("X-Forwarded-Port: 1", "X-Forwarded-Server: evil", "X-Forwarded-Prefix: /evil"),
        *("X_Forwarded_For: 6.6.6.6", "x_forwarded-HOST: evil", "X-Forwarded-Ssl: evil"),
        *("X-Real-IP: 6.6.6.6", "X_REAL_IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "Proxy: evil"),
        *("Host_: kept", "Content_Length: 6", "transfer_encoding: evil", "Content-Type: kept"),
    ]
    answer = Answer(talk(gate.port, get("/head", SHOP, *forged)))
    lines = json.loads(answer.body)["lines"][1:]
    assert sorted(line for line in lines if not line.startswith("X-Forwarded-")) == [
        "Connection: close",
        "Content-Type: kept",
        f"Host: {SHOP}",
        "Host_: kept",
    ]
    assert sorted(line for line in lines if line.startswith("X-Forwarded-")) == [
        "X-Forwarded-For: 127.0.0.1",
        f"X-Forwarded-Host: {SHOP}",
        "X-Forwarded-Proto: http",
    ]


# --- what a service does ---------------------------------------------------------------------


def test_answers_ahead_of_the_answer_do_not_hold_others_up(gate: Gate) -> None:
    flood = request("HTTP/1.1 103 Early Hints", "Link: </a>") * 3_000
    with ThreadPoolExecutor(4) as threads:
        floods = [threads.submit(talk, gate.port, post("/raw", flood)) for _ in range(3)]
        for _ in range(20):
            assert whose(Answer(talk(gate.port, HEALTH))) == "api"
            assert whose(Answer(talk(gate.port, get("/head")))) == "lines"
        for done in floods:
            assert b" 103 Early Hints" in done.result()


@pytest.mark.parametrize(
    "field",
    [
        "X: a\rSet-Cookie: b=c",
        "X: a\0b",
        "X: a\x0bb",
        "X\t: a",
        " X: a",
        "Content-Length: 1_0",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: \x0bchunked",
    ],
)
def test_an_answer_that_two_parsers_may_read_in_two_ways_is_none(gate: Gate, field: str) -> None:
    given = request("HTTP/1.1 200 OK", field, body=b"3\r\nabc\r\n0\r\n\r\n")
    answer = Answer(talk(gate.port, post("/raw", given)))
    assert (answer.status, json.loads(answer.body)["code"]) == (502, "BAD_GATEWAY")


def test_length_and_chunks_of_an_answer_come_as_one_of_them(gate: Gate) -> None:
    given = request(
        "HTTP/1.1 200 OK",
        "Content-Length: 1",
        "Transfer-Encoding: chunked",
        body=b"3\r\nabc\r\n0\r\n\r\n",
    )
    answer = Answer(talk(gate.port, post("/raw", given)))
    assert (answer.body, "content-length" in answer.headers) == (b"abc", False)


def test_what_concerns_a_service_s_connection_stays_there(gate: Gate) -> None:
    given = request(
        "HTTP/1.1 200 OK",
        *("Content-Length: 2", "Connection: keep-alive, X-Hop", "X-Hop: evil", "Upgrade: h2c"),
        *("Keep-Alive: timeout=9", "Proxy-Connection: evil", "Trailer: Content-Length"),
        body=b"ok",
    )
    answer = Answer(talk(gate.port, post("/raw", given)))
    assert (answer.status, answer.body) == (200, b"ok")
    assert "evil" not in answer.headers.values()
    assert not {"upgrade", "keep-alive", "trailer"} & answer.headers.keys()


# --- UDP -------------------------------------------------------------------------------------


def udp(number: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(20)
    made.connect(("127.0.0.1", number))
    return made


def test_a_service_cannot_go_on_sending_to_an_address_that_may_be_forged(gate: Gate) -> None:
    """What it sends keeps its way to a peer not open; only what the peer sends does."""
    number = gate.call(gate.host_ports.open(gate.services.by_name["shop"], ECHO, "udp"))
    try:
        with udp(number) as forged, udp(number) as other:
            forged.send(b"who")
            later = b"to " + forged.recv(100)
            gate.advance(PEER_SECONDS * 0.7)
            other.send(later)
            assert forged.recv(100) == later
            gate.advance(PEER_SECONDS * 0.7)
            eventually(lambda: bool(gate.passages))
        assert gate.passages[0].received > gate.passages[0].sent
    finally:
        gate.call(gate.host_ports.close_all())
