"""The API over TLS: the same as without, for clients that trust the local authority alone."""

import asyncio
import http.client
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from emulator.gateway.authority import SERVED_NAMES
from emulator.listeners import bind, serving
from emulator.settings import SettingError
from tests.client import Client
from tests.server import Server, running, settings


@pytest.fixture
def trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=server.emulator.authority.certificate_pem.decode())


@pytest.fixture
def pem(server: Server) -> Path:
    return server.emulator.settings.ca_dir / "ca.pem"


def tls_port(server: Server) -> int:
    return int(urlsplit(server.addresses.tls).port or 0)


def to_tls(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", tls_port(server)), 10)


@pytest.fixture
def secure(server: Server, trust: ssl.SSLContext) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.addresses.tls, verify=trust, trust_env=False) as made:
        yield made


def test_both_schemes_give_the_same_answers(server: Server, secure: httpx.Client) -> None:
    for path in ("/health", "/languages", "/nothing", "/jobs/x"):
        plain, encrypted = httpx.get(server.api + path), secure.get(path)
        assert encrypted.status_code == plain.status_code
        assert encrypted.json().keys() == plain.json().keys()
    assert "strict-transport-security" not in secure.get("/health").headers


def test_an_address_that_is_taken_meanwhile_is_told_in_words() -> None:
    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None: ...

    async def serve_twice() -> None:
        with bind("127.0.0.1", 0) as first, bind(*first.getsockname()) as second:
            async with asyncio.timeout(30), serving(nothing, first), serving(nothing, second):
                pass

    with pytest.raises(
        SettingError, match=r"cannot listen on 127\.0\.0\.1 port \d+: Address already"
    ):
        asyncio.run(serve_twice())


def test_a_program_runs_over_tls(server: Server, trust: ssl.SSLContext) -> None:
    client = Client(server.addresses.tls, verify=trust)
    assert client.execute("bash", "echo over TLS")["stdout"] == "over TLS\n"
    client.close()


@pytest.mark.parametrize("host", ["api.unsandbox.com", "unsandbox.com"])
def test_api_and_portal_have_the_same_routes(
    server: Server, trust: ssl.SSLContext, client: Client, host: str
) -> None:
    with to_tls(server) as raw, trust.wrap_socket(raw, server_hostname=host) as secured:
        connection = http.client.HTTPSConnection(host)
        connection.sock = secured
        for method, path, status, said in _PORTAL:
            signed = client.send(method, path).request.headers
            headers = {name: value for name, value in signed.items() if name != "host"}
            connection.request(method, path, b"", headers)
            answer = connection.getresponse()
            assert (answer.status, said in answer.read()) == (status, True)


_PORTAL = (
    ("POST", "/keys/validate", 200, b'"valid":true'),
    ("GET", "/logs/all", 200, b'"lines":['),
)


def test_requests_trusts_it_by_its_file(server: Server, pem: Path) -> None:
    answer = requests.get(
        f"https://localhost:{tls_port(server)}/health", verify=str(pem), timeout=10
    )
    assert answer.json() == {"status": "ok"}


def test_whoever_does_not_trust_the_authority_is_not_served(server: Server) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.addresses.tls}/health")


@pytest.mark.parametrize("host", ["evil.example", "other.unsandbox.com"])
def test_a_name_that_is_not_served_is_refused_by_the_client(
    server: Server, trust: ssl.SSLContext, host: str
) -> None:
    with (
        to_tls(server) as raw,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        trust.wrap_socket(raw, server_hostname=host)


def test_a_foreign_host_is_refused_over_tls_too(secure: httpx.Client) -> None:
    refusal = secure.get("/health", headers={"Host": "evil.example"})
    assert (refusal.status_code, refusal.json()["code"]) == (421, "MISDIRECTED_REQUEST")


def test_a_websocket_is_answered_as_without_tls(server: Server, trust: ssl.SSLContext) -> None:
    url = server.addresses.tls.replace("https:", "wss:") + "/sessions/sess_x/shell"
    assert asyncio.run(refused(url, trust, {})) == 404
    assert asyncio.run(refused(url, trust, EVIL)) == 403


async def refused(url: str, trust: ssl.SSLContext, headers: dict[str, str]) -> int:
    """The status of the refusal; the client without event loop may hang on it, over TLS."""
    with pytest.raises(InvalidStatus) as refusal:
        await connect(url, ssl=trust, additional_headers=headers)
    return refusal.value.response.status_code


EVIL = {"Origin": "https://evil.example"}


@pytest.mark.parametrize("body", [b"", b"x" * 4_000_000], ids=["short", "long"])
def test_plain_http_on_the_tls_port_is_told_so(
    server: Server, secure: httpx.Client, body: bytes
) -> None:
    refusal = httpx.post(f"http://127.0.0.1:{tls_port(server)}/execute", content=body)
    assert (refusal.status_code, refusal.json()["code"]) == (400, "INVALID_REQUEST")
    assert "https://" in refusal.json()["details"]
    assert secure.get("/health").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x16",
        b"\x16\x03\x01\x00\x05hello",
        b"\x00" * 100,
    ],
    ids=["nothing", "a byte", "half a greeting", "zeros"],
)
def test_what_is_no_tls_is_closed_without_an_answer_or_harm(
    server: Server, secure: httpx.Client, sent: bytes
) -> None:
    with to_tls(server) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert b"HTTP/" not in b"".join(iter(lambda: raw.recv(4096), b""))
    assert secure.get("/health").status_code == 200


def test_a_connection_that_says_nothing_keeps_nobody_waiting(
    server: Server, secure: httpx.Client
) -> None:
    with to_tls(server):
        assert secure.get("/health").status_code == 200


def test_old_versions_of_tls_are_refused(server: Server) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_1", "-connect", f"127.0.0.1:{tls_port(server)}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0


def test_the_authority_is_the_same_after_a_restart_and_serves_allowed_hosts(tmp_path: Path) -> None:
    flags = {"languages": "bash", "pool_size": "0", "allowed_hosts": "emulator 10.9.8.7"}
    with running(settings(tmp_path, **flags)) as first:
        before = first.emulator.authority.certificate_pem
    with running(settings(tmp_path, **flags)) as second:
        assert second.emulator.authority.certificate_pem == before
        trust = ssl.create_default_context(cadata=before.decode())
        for name in (*SERVED_NAMES[:2], "emulator", "10.9.8.7", "shop.on.localhost"):
            with to_tls(second) as raw, trust.wrap_socket(raw, server_hostname=name):
                pass
