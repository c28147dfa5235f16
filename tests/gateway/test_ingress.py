"""Requests to services, through the gateway into a container and back."""

import hashlib
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from emulator.errors import SandboxFailed
from emulator.gateway import reach
from emulator.gateway.carry import IDLE_SECONDS
from emulator.gateway.ingress import HEAD_SECONDS
from emulator.gateway.passage import Passage
from emulator.sandbox.agent import Stream
from tests.gateway.gate import NOBODY, WEB, Gate, no_slot
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
    until,
    until_end,
)

MIB = 1 << 20
POST = "POST /digest HTTP/1.1"
HOST = f"Host: {SHOP}"


def ask(gate: Gate, sent: bytes) -> Answer:
    return Answer(talk(gate.port, sent))


def lines_of(answer: Answer) -> list[str]:
    """The head that the service got."""
    lines: list[str] = json.loads(answer.body)["lines"]
    return lines


def lately(gate: Gate) -> Passage:
    """What was written down last; it is, once the answer has left."""
    eventually(lambda: bool(gate.passages))
    return gate.passages[-1]


@pytest.fixture
def http(gate: Gate) -> Iterator[httpx.Client]:
    headers = {"Host": SHOP}
    with httpx.Client(base_url=gate.address, headers=headers, trust_env=False) as client:
        yield client


# --- what arrives ------------------------------------------------------------------------


def test_the_service_gets_the_request_as_it_was_sent(gate: Gate) -> None:
    more = ("X-Odd-Case: a  b", "Cookie: a=1; b=2", "X-Twice: 1", "X-Twice: 2", "Accept: */*")
    lines = lines_of(ask(gate, get("/head?q=%20/..//x", SHOP, *more)))
    assert lines[:7] == ["GET /head?q=%20/..//x HTTP/1.1", HOST, *more]
    assert lines[7:] == [
        "X-Forwarded-For: 127.0.0.1",
        f"X-Forwarded-Host: {SHOP}",
        "X-Forwarded-Proto: http",
        "Connection: close",
    ]


def test_nobody_else_says_where_a_request_comes_from(gate: Gate) -> None:
    claims = (
        "X-Forwarded-For: 10.0.0.1",
        "X-FORWARDED-PROTO: https",
        "Forwarded: for=10.0.0.1",
        "X-Forwarded-Host: evil.example",
        "X_Forwarded_For: 10.0.0.1",
        "Proxy: http://evil.example",
    )
    said = "\n".join(lines_of(ask(gate, get("/head", SHOP, *claims)))).lower()
    assert "10.0.0.1" not in said
    assert "evil" not in said
    assert "https" not in said
    assert "via:" not in said


def test_what_concerns_one_connection_stays_on_it(gate: Gate) -> None:
    more = (
        "Connection: keep-alive, X-Mine, Host, Content-Length",
        "X-Mine: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic x",
        "TE: trailers",
        "Upgrade: h2c",
        "Trailer: X-Sum",
    )
    lines = lines_of(ask(gate, post("/head", b"abc", *more)))
    names = [line.partition(":")[0].lower() for line in lines[1:]]
    assert names == ["host", "content-length", *_OURS, "connection"]


_OURS = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]


def test_the_client_gets_the_answer_as_it_was_given(gate: Gate) -> None:
    given = request(
        "HTTP/1.1 299 Quite Fine",
        "Set-Cookie: a=1; HttpOnly",
        "Set-Cookie: b=2",
        "X-Odd-Case: 1",
        "Connection: close, X-Mine",
        "X-Mine: 1",
        "Keep-Alive: timeout=5",
        "Content-Length: 2",
        body=b"ok",
    )
    with connected(gate.port) as connection:
        connection.sendall(post("/raw", given))
        received = until(connection, b"ok")
    assert received == request(
        "HTTP/1.1 299 Quite Fine",
        "Set-Cookie: a=1; HttpOnly",
        "Set-Cookie: b=2",
        "X-Odd-Case: 1",
        "Content-Length: 2",
        body=b"ok",
    )


# --- bodies ------------------------------------------------------------------------------


def test_a_large_body_arrives_whole(gate: Gate) -> None:
    piece = os.urandom(MIB)
    found = hashlib.sha256()
    with connected(gate.port) as connection:
        connection.sendall(request(POST, HOST, f"Content-Length: {200 * MIB}"))
        for _ in range(200):
            found.update(piece)
            connection.sendall(piece)
        said = Answer(until(connection, found.hexdigest().encode())).body
    assert said == f"{200 * MIB} {found.hexdigest()}".encode()
    assert lately(gate).sent == 200 * MIB


def test_a_body_in_chunks_arrives_whole(http: httpx.Client) -> None:
    piece = os.urandom(100_000)
    total = piece * 20
    said = http.post("/digest", content=iter([piece] * 20)).text
    assert said == f"{len(total)} {hashlib.sha256(total).hexdigest()}"


def test_a_body_in_very_many_chunks_arrives_whole(gate: Gate) -> None:
    count = 20_000
    with connected(gate.port) as connection:
        connection.sendall(request(POST, HOST, "Transfer-Encoding: chunked"))
        connection.sendall(b"1\r\nx\r\n" * count + b"0\r\n\r\n")
        found = hashlib.sha256(b"x" * count).hexdigest().encode()
        assert Answer(until(connection, found)).body == b"%d %b" % (count, found)


def test_an_answer_in_very_many_chunks_arrives_whole(gate: Gate) -> None:
    given = request("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    given += b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    answer = ask(gate, post("/raw", given))
    assert (answer.body, answer.complete) == (b"x" * 20_000, True)


def test_a_large_answer_arrives_whole(gate: Gate, http: httpx.Client) -> None:
    assert len(http.get(f"/pour?{64 * MIB}", timeout=60).content) == 64 * MIB
    assert lately(gate).received == 64 * MIB


def test_an_answer_that_ends_with_its_connection_arrives_whole(gate: Gate) -> None:
    given = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 200_000
    answer = ask(gate, post("/raw", given))
    assert (answer.headers["transfer-encoding"], answer.complete) == ("chunked", True)
    assert answer.body == b"x" * 200_000
    old = request("POST /raw HTTP/1.0", HOST, f"Content-Length: {len(given)}", body=given)
    assert talk(gate.port, old).endswith(b"\r\nConnection: close\r\n\r\n" + b"x" * 200_000)


def test_a_client_that_does_not_read_holds_the_service_back(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, read = [0], Stream.read

    async def counting(stream: Stream) -> bytes:
        data = await read(stream)
        passed[0] += len(data)
        return data

    monkeypatch.setattr(Stream, "read", counting)
    with connected(gate.port) as connection:
        connection.sendall(get(f"/pour?{256 * MIB}"))
        until(connection, b"\r\n\r\n")
        before = -1
        while before != passed[0]:
            before = passed[0]
            time.sleep(0.3)
        assert passed[0] < 32 * MIB


def test_both_directions_flow_at_the_same_time(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(request("POST /double HTTP/1.1", HOST, "Transfer-Encoding: chunked"))
        until(connection, b"\r\n\r\n")
        for word in (b"one", b"two"):
            connection.sendall(b"3\r\n%b\r\n" % word)
            until(connection, b"3\r\n%b\r\n" % word)
        connection.sendall(b"0\r\n\r\n")
        assert until(connection, b"0\r\n\r\n")


def test_events_come_when_they_are_sent(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/events"))
        assert b"text/event-stream" in until(connection, b"data: one\n\n")
        ask(gate, get("/next"))
        assert b"data: two\n\n" in until(connection, b"0\r\n\r\n")


# --- the forms of HTTP -------------------------------------------------------------------


def test_requests_follow_one_another_on_a_connection(gate: Gate) -> None:
    with connected(gate.port) as connection:
        for path in ("/head?1", "/head?2", "/head?3"):
            connection.sendall(get(path))
            assert path.encode() in until(connection, b"}")


def test_requests_sent_together_are_answered_in_turn(gate: Gate) -> None:
    received = talk(gate.port, get("/head?1") + post("/head?2", b"x") + get("/head?3"))
    places = [received.find(b"/head?%d " % number) for number in (1, 2, 3)]
    assert -1 < places[0] < places[1] < places[2]


def test_a_client_that_has_sent_everything_is_answered(gate: Gate) -> None:
    assert ask(gate, get("/until-gone?half")).body == b"you are gone"


def test_a_service_learns_that_its_client_has_gone(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/until-gone?reset"))
        until(connection, b"103")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: "/until-gone?reset" in ask(gate, get("/gone")).body.decode())


def test_a_continue_comes_from_the_service(gate: Gate) -> None:
    body = b"x" * 1000
    with connected(gate.port) as connection:
        head = (POST, HOST, "Content-Length: 1000", "Expect: 100-continue")
        connection.sendall(request(*head))
        assert until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b"1000 " in until(connection, hashlib.sha256(body).hexdigest().encode())


def test_early_hints_reach_those_who_know_them(gate: Gate) -> None:
    answer = talk(gate.port, get("/hints"))
    assert answer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    assert answer.endswith(b"at last")
    assert b" 103 " not in talk(gate.port, request("GET /hints HTTP/1.0", HOST))


def test_a_head_request_has_no_body(gate: Gate) -> None:
    given = request("HTTP/1.1 200 OK", "Content-Length: 1000")
    lines = ("HEAD /raw HTTP/1.1", HOST, f"Content-Length: {len(given)}")
    answer = talk(gate.port, request(*lines, body=given))
    assert answer == request("HTTP/1.1 200 OK", "Content-Length: 1000")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_body_leave_the_connection_usable(gate: Gate, status: str) -> None:
    given = request(f"HTTP/1.1 {status}", 'ETag: "1"')
    with connected(gate.port) as connection:
        connection.sendall(post("/raw", given))
        assert until(connection, b"\r\n\r\n") == given
        connection.sendall(get("/head"))
        assert until(connection, b"}")


def test_an_answer_before_the_end_of_the_request_arrives(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(request("POST /refuse HTTP/1.1", HOST, f"Content-Length: {64 * MIB}"))
        received = b""
        for _ in range(64):
            try:
                connection.sendall(bytes(MIB))
            except OSError:
                break
        received = until_end(connection)
    assert Answer(received).status == 413
    assert received.endswith(b"much")


def test_http_1_0_is_answered_and_ended(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(request("GET /head HTTP/1.0", HOST))
        answer = Answer(until_end(connection))
    assert lines_of(answer)[0] == "GET /head HTTP/1.1"
    assert answer.headers["connection"] == "close"


def test_an_absolute_target_names_its_host_again(gate: Gate) -> None:
    for target, seen in ((f"http://{SHOP}/head?x", "/head?x"), (f"http://{SHOP.upper()}", "/")):
        assert lines_of(ask(gate, get(target)))[0] == f"GET {seen} HTTP/1.1"
    options = request("OPTIONS * HTTP/1.1", HOST)
    assert lines_of(ask(gate, options))[0] == "OPTIONS * HTTP/1.1"


# --- WebSockets --------------------------------------------------------------------------


def test_websockets_are_carried(gate: Gate) -> None:
    with connect(f"ws://{SHOP}:{gate.port}/upgrade", sock=to(gate), proxy=None) as socket_:
        for message in ("hello", b"\x00\xff" * 10_000, "x" * 70_000):
            socket_.send(message)
            assert socket_.recv() == message
    eventually(lambda: bool(gate.passages))
    passage = gate.passages[-1]
    assert (passage.status, passage.sent > 90_000, passage.received > 90_000) == (101, True, True)


def to(gate: Gate) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gate.port), 20)


def test_any_protocol_may_follow_an_upgrade(gate: Gate) -> None:
    head = get("/upgrade", SHOP, "Connection: upgrade", "Upgrade: echo")
    with connected(gate.port) as connection:
        connection.sendall(head + b"early")
        assert b"Upgrade: echo" in until(connection, b"early")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert until(connection, b"Host: localhost\r\n\r\n").startswith(b"GET /")
        connection.shutdown(socket.SHUT_WR)
        assert until_end(connection) == b""


def test_a_service_cannot_switch_unasked(gate: Gate) -> None:
    given = request("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: echo")
    assert ask(gate, post("/raw", given)).status == 502


# --- what is refused ---------------------------------------------------------------------

SMUGGLED = {
    "two lengths": (POST, HOST, "Content-Length: 3", "Content-Length: 4"),
    "one length twice": (POST, HOST, "Content-Length: 3", "Content-Length: 3"),
    "a list of lengths": (POST, HOST, "Content-Length: 3, 3"),
    "length and chunks": (POST, HOST, "Content-Length: 3", "Transfer-Encoding: chunked"),
    "chunks twice": (POST, HOST, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "two codings": (POST, HOST, "Transfer-Encoding: gzip, chunked"),
    "chunks and identity": (POST, HOST, "Transfer-Encoding: chunked, identity"),
    "a length with a sign": (POST, HOST, "Content-Length: +3"),
    "a negative length": (POST, HOST, "Content-Length: -3"),
    "a length in hexadecimal": (POST, HOST, "Content-Length: 0x3"),
    "no length": (POST, HOST, "Content-Length: "),
    "a space before the colon": (POST, HOST, "Content-Length : 3"),
    "a tab before the colon": (POST, HOST, "Transfer-Encoding\t: chunked"),
    "a vertical tab": (POST, HOST, "Transfer-Encoding: \x0bchunked"),
    "a field without name": (POST, HOST, ": chunked"),
    "a folded line": (POST, HOST, "X-A: 1", " Transfer-Encoding: chunked"),
    "a folded first line": (POST, " X: 1", HOST),
    "a NUL": (POST, HOST, "X-A: a\0b"),
    "a bare carriage return": (POST, HOST, "X-A: a\rTransfer-Encoding: chunked"),
    "a delete": (POST, HOST, "X-A: \x7f"),
    "a NUL in the target": ("GET /\0 HTTP/1.1", HOST),
    "a space in the target": ("GET /a b HTTP/1.1", HOST),
    "two hosts": ("GET / HTTP/1.1", HOST, "Host: localhost"),
    "one host twice": ("GET / HTTP/1.1", HOST, HOST),
    "another host in the target": ("GET http://localhost/ HTTP/1.1", HOST),
    "another service in the target": ("GET http://other.on.localhost/ HTTP/1.1", HOST),
    "a user in the target": (f"GET http://a@{SHOP}/ HTTP/1.1", HOST),
    "another scheme": (f"GET ftp://{SHOP}/ HTTP/1.1", HOST),
    "no path": ("GET head HTTP/1.1", HOST),
    "chunks in HTTP/1.0": ("POST / HTTP/1.0", HOST, "Transfer-Encoding: chunked"),
    "another version": ("GET / HTTP/1.2", HOST),
    "no version": ("GET /", HOST),
    "a method that is none": ("G(T / HTTP/1.1", HOST),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_two_parsers_may_read_in_two_ways_is_refused(gate: Gate, name: str) -> None:
    hidden = get("/head?smuggled")
    answer = refused(gate.port, request(*SMUGGLED[name], body=b"0\r\n\r\n" + hidden))
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "INVALID_REQUEST")
    assert answer.headers["connection"] == "close"
    assert [passage.status for passage in gate.passages] == [400]


CHUNKS = {
    "no number": b"x\r\nabc\r\n0\r\n\r\n",
    "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a space before": b" 3\r\nabc\r\n0\r\n\r\n",
    "more than the size": b"2\r\nabc\r\n0\r\n\r\n",
    "a bare line feed": b"3\nabc\n0\n\n\r\n",
    "a size beyond all": b"f" * 21 + b"\r\nabc",
    "a folded trailer": b"3\r\nabc\r\n0\r\n X: 1\r\n\r\n",
    "an endless size": b"3;" + b"x" * 70_000,
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_chunks_that_are_none_are_refused(gate: Gate, name: str, later: bool) -> None:
    head = request(POST, HOST, "Transfer-Encoding: chunked")
    with connected(gate.port) as connection:
        connection.sendall(head + (b"3\r\nabc\r\n" if later else b""))
        if later:
            eventually(lambda: gate.services.by_name["shop"].connects == 1)
        connection.sendall(CHUNKS[name])
        answer = Answer(until_end(connection))
    assert answer.status in (400, 431)
    assert answer.headers["connection"] == "close"


def test_a_body_that_breaks_off_is_no_request(gate: Gate) -> None:
    answer = ask(gate, request(POST, HOST, "Content-Length: 10", body=b"123"))
    assert answer.status == 400


def test_trailers_end_at_the_gateway(gate: Gate) -> None:
    sent = request("POST /head HTTP/1.1", HOST, "Transfer-Encoding: chunked")
    answer = ask(gate, sent + b"3\r\nabc\r\n0\r\nHost: localhost\r\nX-T: 1\r\n\r\n")
    assert json.loads(answer.body)["body"] == "abc"
    assert "X-T: 1" not in lines_of(answer)


def test_services_have_no_tunnels(gate: Gate) -> None:
    for target in ("localhost:80", SHOP, "/"):
        assert refused(gate.port, request(f"CONNECT {target} HTTP/1.1", HOST)).status == 405


def test_a_later_request_is_checked_as_the_first(gate: Gate) -> None:
    for name in ("two lengths", "two hosts", "a folded line"):
        with connected(gate.port) as connection:
            connection.sendall(get("/head"))
            until(connection, b"}")
            connection.sendall(request(*SMUGGLED[name]))
            assert Answer(until_end(connection)).status == 400


def test_a_later_head_without_end_is_refused(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/head"))
        until(connection, b"}")
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 150_000)
        assert Answer(until_end(connection)).status == 431


def test_a_head_of_very_many_lines_is_refused(gate: Gate) -> None:
    for count, status in ((200, 200), (300, 431), (5000, 431)):
        sent = get("/head", SHOP, *("X: 1" for _ in range(count)), "Connection: close")
        with connected(gate.port) as connection:
            connection.sendall(sent)
            assert Answer(until_end(connection)).status == status


ANSWERS = {
    "nothing": b"",
    "words": b"hello\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "two lengths": request("HTTP/1.1 200 OK", "Content-Length: 3", "Content-Length: 4"),
    "a bad length": request("HTTP/1.1 200 OK", "Content-Length: x"),
    "chunks twice": request("HTTP/1.1 200 OK", *["Transfer-Encoding: chunked"] * 2),
    "a NUL": request("HTTP/1.1 200 OK", "X: a\0b"),
    "a space before the colon": request("HTTP/1.1 200 OK", "Content-Length : 3"),
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 150_000,
    "no status": request("HTTP/1.1 twice OK"),
    "very many lines": request("HTTP/1.1 200 OK", *["X: 1"] * 300),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none_is_told(gate: Gate, name: str) -> None:
    answer = ask(gate, post("/raw", ANSWERS[name]))
    assert (answer.status, json.loads(answer.body)["code"]) == (502, "BAD_GATEWAY")


def test_a_service_cannot_answer_what_was_not_asked(gate: Gate) -> None:
    one = request("HTTP/1.1 200 OK", "Content-Length: 3", body=b"one")
    hidden = request("HTTP/1.1 200 OK", "Content-Length: 6", body=b"hidden")
    with connected(gate.port) as connection:
        connection.sendall(post("/raw", one + hidden))
        assert until(connection, b"one").endswith(b"one")
        connection.sendall(get("/head", SHOP, "Connection: close"))
        assert b"hidden" not in until_end(connection)


@pytest.mark.parametrize("given", ["Transfer-Encoding: chunked", "Content-Length: 1000"])
def test_an_answer_that_breaks_off_is_no_whole_one(gate: Gate, given: str) -> None:
    answer = Answer(
        talk(gate.port, post("/raw", request("HTTP/1.1 200 OK", given, body=b"3\r\nabc")))
    )
    assert (answer.status, answer.complete) == (200, False)


def test_an_old_client_knows_what_broke_off_by_a_reset(gate: Gate) -> None:
    given = request("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
    old = request("POST /raw HTTP/1.0", HOST, f"Content-Length: {len(given)}", body=given)
    with connected(gate.port) as connection:
        connection.sendall(old)
        with pytest.raises(ConnectionResetError):
            until_end(connection)


# --- states ------------------------------------------------------------------------------


def page(gate: Gate, host: str = SHOP) -> str:
    answer = ask(gate, get("/", host, "Accept: text/html,*/*;q=0.8"))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.body.decode()


def test_people_get_pages_and_programs_get_json(gate: Gate) -> None:
    for host, status, word in (
        ("nobody.on.localhost", 404, "No service has this name"),
        (f"shop--{NOBODY}.on.localhost", 502, "Nothing listens"),
    ):
        assert word in page(gate, host)
        answer = ask(gate, get("/", host))
        said = json.loads(answer.body)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert said.keys() == {"error", "code", "message", "details"}
        assert word in said["details"]


def test_pages_need_nothing_and_repeat_nothing(gate: Gate) -> None:
    evil = "%3Cscript%3E<script>alert(1)</script>"
    sent = get(
        f"/{evil}", "nobody.on.localhost", "Accept: text/html", f"X: {evil}", f"Cookie: {evil}"
    )
    answer = ask(gate, sent)
    assert b"script" not in answer.body
    assert b"http://" not in answer.body
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_page_to_a_head_request_has_no_body(gate: Gate) -> None:
    answer = talk(gate.port, request("HEAD / HTTP/1.1", "Host: nobody.on.localhost"))
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.endswith(b"\r\n\r\n")


def test_a_refusal_leaves_the_connection_usable(gate: Gate) -> None:
    with connected(gate.port) as connection:
        body = request(
            "POST / HTTP/1.1", "Host: nobody.on.localhost", "Content-Length: 3", body=b"abc"
        )
        connection.sendall(body)
        until(connection, b"}")
        connection.sendall(get("/head"))
        assert b'"lines"' in until(connection, b"}")


def test_a_service_that_starts_is_waited_for(gate: Gate) -> None:
    service = gate.services.by_name["shop"]
    service.state, service.ports = "starting", (NOBODY,)
    with connected(gate.port) as connection:
        connection.sendall(get("/head"))
        eventually(lambda: service.connects > 2)
        service.moved[NOBODY] = WEB
        assert b'"lines"' in until(connection, b"}")


def test_a_service_that_does_not_start_soon_is_told(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "START_SECONDS", 0.1)
    service = gate.services.by_name["shop"]
    service.ports = (NOBODY,)
    for state in ("starting", "redeploying"):
        service.state = state
        answer = ask(gate, get("/"))
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "SERVICE_STARTING")
        assert int(answer.headers["retry-after"]) > 0
        assert '<meta http-equiv="refresh"' in page(gate)


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_service_that_does_not_listen_is_dead(gate: Gate, state: str) -> None:
    service = gate.services.by_name["shop"]
    service.state, service.ports = state, (NOBODY,)
    assert ask(gate, get("/")).status == 502


def test_a_frozen_service_wakes_once_and_answers_everyone(gate: Gate) -> None:
    service = gate.services.by_name["shop"]
    service.state = "frozen"
    clients = [to(gate) for _ in range(10)]
    for client in clients[:9]:
        client.sendall(get("/head"))
    clients[9].sendall(get("/head"))
    eventually(lambda: service.wakes == 1)
    clients[9].close()  # nobody's wake ends with who asked for it
    gate.loop.call_soon_threadsafe(service.waking.set)
    for client in clients[:9]:
        assert b'"lines"' in until(client, b"}")
        client.close()
    assert service.wakes == 1


@pytest.mark.parametrize("status", [429, 500])
def test_why_a_service_could_not_be_woken_is_told(gate: Gate, status: int) -> None:
    service = gate.services.by_name["shop"]
    service.state = "frozen"
    service.wake_fails = no_slot() if status == 429 else SandboxFailed("Its container is lost")
    gate.loop.call_soon_threadsafe(service.waking.set)
    answer = ask(gate, get("/"))
    assert (answer.status, json.loads(answer.body)["code"]) == (status, service.wake_fails.code)
    assert service.wake_fails.error in page(gate)


@pytest.mark.parametrize(
    ("shows", "accept", "kind"),
    [
        (True, "text/html", "text/html; charset=utf-8"),
        (True, "*/*", "text/html; charset=utf-8"),
        (True, "application/json", "application/json"),
        (False, "text/html", "application/json"),
    ],
)
def test_a_frozen_service_that_nobody_may_wake_says_so(
    gate: Gate, shows: bool, accept: str, kind: str
) -> None:
    service = gate.services.by_name["shop"]
    service.state, service.wakes_on_demand, service.shows_freeze_page = "frozen", False, shows
    answer = ask(gate, get("/", SHOP, f"Accept: {accept}"))
    assert (answer.status, answer.headers["content-type"]) == (503, kind)
    assert b"frozen" in answer.body
    assert service.wakes == 0


def test_connections_to_one_service_are_bounded(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "MOST_STREAMS", 2)
    gate.add("small")
    small = "small.on.localhost"
    with connected(gate.port) as one, connected(gate.port) as two, connected(gate.port) as three:
        for connection in (one, two, three):
            connection.sendall(get("/events", small))
        until(one, b"data: one\n\n")
        until(two, b"data: one\n\n")
        assert ask(gate, get("/head")).status == 200
        while not select.select([three], [], [], 0.1)[0]:
            gate.advance(reach.TURN_SECONDS + 1)
        assert Answer(until(three, b"}")).status == 503
        ask(gate, get("/next"))
        until(one, b"0\r\n\r\n")
    assert ask(gate, get("/head", small)).status == 200


# --- time --------------------------------------------------------------------------------


def test_a_service_that_says_nothing_for_long_is_given_up(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/until-gone?long"))
        until(connection, b"103 Early Hints\r\n\r\n")
        gate.advance(IDLE_SECONDS + 1)
        assert Answer(until(connection, b"}")).status == 504


def test_an_answer_that_stops_for_long_is_broken_off(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/events"))
        received = until(connection, b"data: one\n\n")
        gate.advance(IDLE_SECONDS + 1)
        assert not Answer(received + until_end(connection)).complete


def test_a_connection_without_requests_ends(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/head"))
        until(connection, b"}")
        gate.advance(HEAD_SECONDS + 1)
        assert until_end(connection) == b""


# --- what is written down ----------------------------------------------------------------


def test_requests_are_written_down_without_what_they_carry(gate: Gate) -> None:
    ask(gate, post("/head?token=planted-1", b"planted-2", "Cookie: planted-3"))
    passage = lately(gate)
    assert (passage.service, passage.service_id, passage.port) == ("shop", "unsb-service-shop", WEB)
    assert (passage.method, passage.path, passage.status) == ("POST", "/head", 200)
    assert passage.sent == len("planted-2")
    assert passage.received > 100
    journal = gate.journal.entries(10)
    assert [entry["service"] for entry in journal] == ["shop"]
    assert journal[0]["query_parameters"] == ["token"]
    assert "planted" not in str(journal)


def test_what_is_refused_is_written_down_too(gate: Gate) -> None:
    answer = ask(gate, get("/", "nobody.on.localhost"))
    passage = lately(gate)
    assert (passage.status, passage.code) == (404, "NOT_FOUND")
    assert answer.headers["x-request-id"] == passage.request_id
