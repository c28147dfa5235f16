"""The door that services share with the API: whose connection is it?"""

import asyncio
import json
import ssl
from typing import Any

import pytest

from emulator.clock import Clock
from emulator.gateway import entrance
from emulator.gateway.authority import Authority
from emulator.gateway.hosts import Hosts
from emulator.gateway.ingress import Ingress
from emulator.gateway.reach import Reach
from emulator.listeners import bind, serving
from tests.gateway.gate import API_HOSTS, FILES, NOBODY, SECRET, WEB, Gate, Services, guarded
from tests.gateway.wire import (
    SHOP,
    Answer,
    connected,
    get,
    refused,
    request,
    talk,
    until,
    until_end,
)
from tests.sandbox.agent_process import scenario


def whose(answer: Answer) -> str:
    """`api` or `service`, whatever they were asked; a code where neither answered."""
    said: dict[str, Any] = json.loads(answer.body)
    return next((name for name in ("api", "lines") if name in said), said.get("code", "?"))


def asked(gate: Gate, host: str, path: str = "/head") -> Answer:
    return Answer(talk(gate.port, get(path, host)))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8042", "[::1]:1", "api.unsandbox.com"])
def test_hosts_of_the_api_lead_to_the_api(gate: Gate, host: str) -> None:
    assert whose(asked(gate, host)) == "api"


@pytest.mark.parametrize(
    "host",
    [
        SHOP,
        f"{SHOP}:8042",
        "SHOP.on.LocalHost",
        "shop.on.unsandbox.com",
        f"shop--{WEB}.on.localhost",
    ],
)
def test_the_name_of_a_service_leads_to_its_first_port(gate: Gate, host: str) -> None:
    assert whose(asked(gate, host)) == "lines"
    assert (gate.passages[-1].service, gate.passages[-1].port) == ("shop", WEB)


def test_another_port_of_a_service_is_named_in_its_host(gate: Gate) -> None:
    answer = asked(gate, f"shop--{FILES}.on.localhost:8042", "/answering.py")
    assert b"as they come" in answer.body


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("nothing.on.localhost", 404),
        (f"shop--{SECRET}.on.localhost", 404),
        ("shop--99999.on.localhost", 404),
        ("shop--0.on.localhost", 404),
        (f"shop--{NOBODY}.on.localhost", 502),
        (".on.localhost", 404),
        ("deep.shop.on.localhost", 404),
        ("on.localhost", 421),
        ("shop.on.localhost.evil.example", 421),
        ("evil.example", 421),
        (f"localhost, {SHOP}", 421),
        ("", 421),
    ],
)
def test_what_is_nobodys_is_refused(gate: Gate, host: str, status: int) -> None:
    assert asked(gate, host).status == status


def test_a_custom_domain_leads_to_its_service(gate: Gate) -> None:
    gate.services.by_domain["shop.example"] = gate.services.by_name["shop"]
    assert whose(asked(gate, "Shop.Example:80")) == "lines"


@pytest.mark.parametrize("host", API_HOSTS[:2] + API_HOSTS[3:])
def test_no_custom_domain_shadows_the_api(gate: Gate, host: str) -> None:
    gate.services.by_domain[host] = gate.services.by_name["shop"]
    assert whose(asked(gate, host)) == "api"


def test_the_api_gets_every_byte_as_it_came(gate: Gate) -> None:
    lines = ("POST /a%20b?c HTTP/1.1", "Host: localhost", "X-One: 1", "x-TWO:  2 ", "X-One: 3")
    body = bytes(range(256)) * 300
    sent = request(*lines, f"Content-Length: {len(body)}", body=body)
    whole, pieces = Answer(talk(gate.port, sent)), b""
    with connected(gate.port) as connection:
        for at in range(len(sent) - len(body)):
            connection.sendall(sent[at : at + 1])
        connection.sendall(body)
        pieces = until(connection, b"}")
    assert whole.body == Answer(pieces).body
    said = json.loads(whole.body)
    assert (said["api"], said["body"]) == ("/a%20b", len(body))
    names = ["host", "x-one", "x-two", "x-one", "content-length"]
    assert [name for name, _ in said["headers"]] == names


def test_a_head_in_pieces_leads_where_it_would_whole(gate: Gate) -> None:
    sent = get("/head")
    with connected(gate.port) as connection:
        for at in range(len(sent)):
            connection.sendall(sent[at : at + 1])
        assert b"GET /head HTTP/1.1" in until(connection, b"}")


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n", b"\x00"], ids=["tls", "words", "nul"]
)
def test_what_is_no_request_is_told_at_once(gate: Gate, sent: bytes) -> None:
    assert refused(gate.port, sent).status == 400


def test_a_head_without_end_is_refused(gate: Gate) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000
    for sent in (endless, endless + b"\r\n\r\n"):
        answer = refused(gate.port, sent)
        assert (answer.status, json.loads(answer.body)["code"]) == (431, "HEAD_TOO_LARGE")


def test_who_does_not_send_a_head_in_time_is_left(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "HEAD_SECONDS", 0.1)
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"):
        with connected(gate.port) as connection:
            connection.sendall(sent)
            assert until_end(connection) == b""


def test_connections_are_bounded(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "MOST_CONNECTIONS", 1)
    with connected(gate.port) as first:
        first.sendall(get("/head"))
        until(first, b"}")
        with connected(gate.port) as second:
            assert Answer(until_end(second)).status == 503
        first.sendall(get("/head"))
        assert until(first, b"}")


def test_a_later_request_may_be_for_another_service_and_for_nobody_else(gate: Gate) -> None:
    gate.add("other", ports=(FILES,))
    for host, status in (("other.on.localhost", 200), ("localhost", 421), ("evil.example", 421)):
        with connected(gate.port) as connection:
            connection.sendall(get("/head"))
            until(connection, b"}")
            connection.sendall(get("/answering.py", host, "Connection: close"))
            assert Answer(until_end(connection)).status == status


def test_a_connection_to_the_api_does_not_come_to_a_service(gate: Gate) -> None:
    with connected(gate.port) as connection:
        connection.sendall(get("/", "localhost"))
        until(connection, b"}")
        connection.sendall(get("/head", SHOP, "Connection: close"))
        assert Answer(until_end(connection)).status == 421


@pytest.mark.parametrize(
    "target", ["http://localhost/execute", "http://api.unsandbox.com/", "//localhost/"]
)
def test_a_page_of_a_service_does_not_reach_the_api_by_its_own_host(
    gate: Gate, target: str
) -> None:
    said = [Answer(talk(gate.port, get(path))) for path in ("/execute", "/_emulator/ready", target)]
    assert [whose(answer) for answer in said[:2]] == ["lines", "lines"]
    assert whose(said[2]) in ("INVALID_REQUEST", "lines")


@pytest.mark.parametrize("origin", [f"http://{SHOP}:8042", "https://shop.on.unsandbox.com", "null"])
def test_a_page_of_a_service_is_foreign_to_the_api(gate: Gate, origin: str) -> None:
    answer = Answer(talk(gate.port, get("/", "localhost", f"Origin: {origin}")))
    assert (answer.status, whose(answer)) == (403, "FOREIGN_ORIGIN")
    assert "access-control-allow-origin" not in answer.headers


def test_origins_are_a_services_own_business(gate: Gate) -> None:
    answer = Answer(talk(gate.port, get("/head", SHOP, "Origin: https://elsewhere.example")))
    assert "Origin: https://elsewhere.example" in json.loads(answer.body)["lines"]


def test_services_are_reached_over_tls(gate: Gate, authority: Authority) -> None:
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    for host, owner in ((SHOP, "lines"), ("localhost", "api")):
        with connected(gate.tls_port, trust, host) as connection:
            connection.sendall(get("/head", host, "Connection: close"))
            answer = Answer(until_end(connection))
        assert whose(answer) == owner
    assert "X-Forwarded-Proto: https" in Answer(talk_tls(gate, trust)).body.decode()


def talk_tls(gate: Gate, trust: ssl.SSLContext) -> bytes:
    with connected(gate.tls_port, trust) as connection:
        connection.sendall(get("/head", SHOP, "Connection: close"))
        return until_end(connection)


@scenario
async def test_connections_that_wait_do_not_hold_the_servers_end_up() -> None:
    clock = Clock()
    ingress = Ingress(Hosts(Services(), API_HOSTS), Reach(clock), clock, lambda _: None)
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with serving(guarded(), listener, None, ingress):
            silent, half, waiting = [
                await asyncio.open_connection("127.0.0.1", port) for _ in "abc"
            ]
            half[1].write(b"GET / HTTP/1.1\r\n")
            waiting[1].write(get("/", "nobody.on.localhost"))
            await waiting[0].readuntil(b"}")
        for reader, writer in (silent, half, waiting):
            assert await reader.read() == b""
            writer.close()
