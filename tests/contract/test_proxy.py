"""The proxy passes bytes on as they are, keeps web pages out, and tells what is wrong."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import jsonschema
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refusal
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from contract.campaign import opened
from contract.proxy import forward
from contract.proxy.findings import LINE
from contract.proxy.report import page
from contract.shell import handshake, refused
from contract.signing import signed_headers
from contract.target import EMULATOR, MAIN, resolve
from contract.wire import BrokenAnswer
from tests.contract.proxying import SECONDS, proxying, upstream
from tests.contract.standin import running as standing_in
from tests.server import Server, running, settings

ACCOUNT = EMULATOR.accounts[MAIN]
RUN = b'{"language":"bash","code":"echo hi"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(settings(tmp_path_factory.mktemp("proxied"), languages="bash")) as started:
        yield started


def exchange(port: int, request: bytes) -> bytes:
    """What comes back for raw bytes, until the connection is closed."""
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(SECONDS)
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def test_bytes_pass_both_ways_as_they_are() -> None:
    packed = gzip.compress(b"answer")
    head = (
        b"HTTP/1.1 207 Odd\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Encoding: gzip\r\n"
        b"X-Odd: \xe9\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: %d\r\n\r\n" % len(packed)
    )
    target = b"/jobs/a%2fb//%7e?x=%7B|{1}&&y='\"+%20&x"
    body = b'\x00\xff{"a" :1}\r\n'
    with (
        upstream(lambda connection: connection.sendall(head + packed), body) as behind,
        proxying(behind.url) as proxy,
    ):
        came = exchange(
            proxy.port,
            b"PATCH " + target + b" HTTP/1.1\r\nHost: localhost:9\r\nX-Signature:  AbC \r\n"
            b"Connection: close, X-Mine\r\nX-Mine: 1\r\nAccept-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        )
        sent_head, _, sent_body = bytes(behind.came).partition(b"\r\n\r\n")
        lines = sent_head.lower().split(b"\r\n")
        answer_head, _, answer_body = came.partition(b"\r\n\r\n")
    assert sent_head.startswith(b"PATCH " + target + b" HTTP/1.1\r\n")
    assert sent_body == body
    assert set(lines[1:]) == {
        f"host: 127.0.0.1:{behind.port}".encode(),
        b"x-signature: abc",
        b"accept-encoding: gzip",
        b"content-length: %d" % len(body),
    }
    assert b"AbC" in sent_head
    assert answer_head.startswith(b"HTTP/1.1 207")
    assert answer_body == packed
    kept = answer_head.lower().split(b"\r\n")[1:]
    assert b"set-cookie: a=1" in kept
    assert b"set-cookie: b=2" in kept
    assert b"x-odd: \xe9" in kept
    assert not any(it.startswith((b"x-hop", b"server", b"date")) for it in kept)


def test_an_answer_is_passed_on_while_it_comes_and_ends_when_the_client_goes() -> None:
    seen = threading.Event()

    def stream(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
        connection.sendall(head + b"\r\n\r\n9\r\ndata: 1\n\n\r\n")
        assert seen.wait(SECONDS)
        connection.sendall(b"9\r\ndata: 2\n\n\r\n")

    with upstream(stream, b"\r\n\r\n") as behind, proxying(behind.url) as proxy:
        with httpx.stream("GET", f"{proxy.url}/paas/logs/stream", timeout=SECONDS) as answer:
            events = answer.iter_raw()
            assert next(events) == b"data: 1\n\n"
            seen.set()
            assert next(events) == b"data: 2\n\n"
        assert behind.closed.wait(SECONDS), "the target still sends to nobody"


@contextmanager
def shell_server() -> Iterator[int]:
    def answer(connection: ServerConnection) -> None:
        connection.send(str(connection.request and connection.request.path))
        for message in connection:
            if message == "end":
                connection.close(4001, "enough")
            else:
                connection.send(message)

    def refuse(connection: ServerConnection, request: Handshake) -> Refusal | None:
        if "elsewhere" in request.path:
            leads_back = connection.respond(307, "")
            leads_back.headers["Location"] = "/sessions/x/shell"
            return leads_back
        if "refuse" not in request.path:
            return None
        refusal = connection.respond(401, '{"error":"no"}')
        refusal.headers["X-Why"] = "because"
        return refusal

    with serve(
        answer,
        "127.0.0.1",
        0,
        subprotocols=["unsandbox-shell"],  # type: ignore[list-item]
        process_request=refuse,
    ) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield listening.socket.getsockname()[1]
        finally:
            listening.shutdown()
            thread.join(SECONDS)


def test_a_shell_passes_through_both_ways() -> None:
    with shell_server() as port, proxying(f"http://127.0.0.1:{port}") as proxy:
        url = f"ws://127.0.0.1:{proxy.port}/sessions/x%2F1/shell?a=%7b"
        with connect(url, subprotocols=["unsandbox-shell"], proxy=None) as shell:  # type: ignore[list-item]
            assert shell.subprotocol == "unsandbox-shell"
            assert shell.recv(SECONDS) == "/sessions/x%2F1/shell?a=%7b"
            for message in ("text", b"\x00\xff", "x" * 900_000):
                shell.send(message)
                assert shell.recv(SECONDS) == message
            shell.send("end")
            with pytest.raises(ConnectionClosed):
                shell.recv(SECONDS)
            assert (shell.close_code, shell.close_reason) == (4001, "enough")
        with pytest.raises(InvalidStatus) as error:
            connect(f"ws://127.0.0.1:{proxy.port}/sessions/refuse/shell", proxy=None)
        assert error.value.response.status_code == 401
        assert error.value.response.headers["X-Why"] == "because"
        assert error.value.response.body == b'{"error":"no"}'


def test_a_shell_that_leads_elsewhere_is_not_followed() -> None:
    with shell_server() as port, proxying(f"http://127.0.0.1:{port}") as proxy:
        with closing(socket.create_connection(("127.0.0.1", proxy.port))) as client:
            client.settimeout(SECONDS)
            head = b"GET /sessions/elsewhere/shell HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE
            client.sendall(head + b"\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 307 ")
        target = resolve(None, f"http://127.0.0.1:{port}")
        with opened(target) as campaign, pytest.raises(BrokenAnswer, match="answered 307"):
            refused(campaign.api, handshake(campaign.api, "elsewhere"))


UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


FOREIGN = (
    b"Host: evil.example\r\n",
    b"Host: 127.0.0.1.evil.example\r\n",
    b"Host: localhost\r\nOrigin: https://evil.example\r\n",
    b"Host: localhost\r\nOrigin: null\r\n",
    b"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
)


@pytest.mark.parametrize("kind", [b"Connection: close\r\n", UPGRADE], ids=["http", "shell"])
def test_web_pages_do_not_get_through(kind: bytes) -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as behind,
        proxying(f"http://127.0.0.1:{behind.getsockname()[1]}") as proxy,
    ):
        for headers in FOREIGN:
            request = b"GET /sessions/1/shell HTTP/1.1\r\n" + headers + kind + b"\r\n"
            answer = exchange(proxy.port, request)
            assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 421 "))
        behind.settimeout(0.1)
        with pytest.raises(TimeoutError):
            behind.accept()


JSON_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def test_an_answer_that_unpacks_to_very_much_is_not_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forward, "COPY_BYTES", 100_000)
    packed = gzip.compress(bytes(30_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(packed)
    with (
        upstream(lambda connection: connection.sendall(head + packed), b"\r\n\r\n") as behind,
        proxying(behind.url) as proxy,
        httpx.stream("GET", f"{proxy.url}/health") as answer,
    ):
        assert b"".join(answer.iter_raw()) == packed
    (line,) = proxy.log.latest
    assert [it["rule"] for it in line["findings"]] == []


def test_faults_of_the_server_are_told() -> None:
    body = b'{"status": 7, "x": null}'
    answer = JSON_ANSWER % (len(body), body)
    with (
        upstream(lambda it: it.sendall(answer), b"\r\n\r\n") as behind,
        proxying(behind.url) as proxy,
    ):
        assert httpx.get(f"{proxy.url}/health").content == body
        _until(lambda: proxy.log.latest != [])
        (line,) = proxy.log.latest
    assert {"schema", "plain JSON"} == {it["rule"] for it in line["findings"]}


def test_what_came_over_the_wire_is_escaped_in_the_report() -> None:
    answer = JSON_ANSWER % (1, b"1")
    with (
        upstream(lambda it: it.sendall(answer), b"\r\n\r\n") as behind,
        proxying(behind.url) as proxy,
    ):
        request = (
            b"GET /<script>1</script> HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        exchange(proxy.port, request)
        _until(lambda: proxy.log.latest != [])
        html = page(proxy.log, "<b>")
    assert "<script" not in html
    assert "<b>" not in html
    assert "/&lt;script&gt;" in html


def test_a_target_that_is_not_there_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        port = gone.getsockname()[1]
    with proxying(f"http://127.0.0.1:{port}") as proxy:
        assert httpx.get(f"{proxy.url}/health").status_code == 502
        _until(lambda: proxy.log.latest != [])
        assert [it["rule"] for it in proxy.log.latest[0]["findings"]] == ["answers"]


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def command(url: str, report: Path, *more: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command as a user starts it, and where it listens."""
    argv = [sys.executable, "-m", "contract.cli", "proxy", "--url", url, "--port", "0"]
    with subprocess.Popen(
        [*argv, "--report", str(report), *more], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[0], process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    return process.returncode


def send(
    base: str, method: str, target: str, body: bytes = b"", signed: bytes | None = None
) -> httpx.Response:
    over = body if signed is None else signed
    headers = signed_headers(ACCOUNT, method, target, over, time.time())
    kind = {"Content-Type": "application/json"} if body else {}
    return httpx.request(
        method, base + target, content=body, headers={**headers, **kind}, timeout=SECONDS
    )


def test_a_client_that_keeps_the_contract_ends_with_0(server: Server, tmp_path: Path) -> None:
    with command(server.api, tmp_path / "report") as (base, process):
        assert send(base, "GET", "/health").status_code == 200
        assert send(base, "POST", "/execute", RUN).json()["stdout"] == "hi\n"
        assert send(base, "GET", "/jobs?limit=3").status_code == 200
        assert ended(process) == 0
    lines = (tmp_path / "report/requests.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["pass"] * 3
    assert "Nothing was found" in (tmp_path / "report/report.html").read_text()


def test_what_a_server_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    told = {
        "GET /jobs/none": "the server refused the request: 404 {",
        "POST /image": "the server does not have this operation: 501 {",
    }
    with standing_in() as standin, command(standin.url, tmp_path) as (base, process):
        assert process.stdout
        for request, sentence in told.items():
            method, path = request.split()
            send(base, method, path, b'{"prompt":"a cat"}' if method == "POST" else b"")
            assert process.stdout.readline().startswith(f"warn {request} -> ")
            line = process.stdout.readline()
            assert line.startswith(f"  warning: {sentence}")
            assert line.endswith("} [answer, refused]\n")
        assert ended(process) == 0


def test_what_a_client_does_wrong_is_told_with_its_remedy(server: Server, tmp_path: Path) -> None:
    spaced = b'{"language": "bash", "code": "echo hi"}'
    with command(server.api, tmp_path) as (base, process):
        assert send(base, "POST", "/execute", RUN, spaced).status_code == 401
        odd = b'{"language":"bash","code":"","network":"zerotrust","ttl":9999,"memo":null,"z":1}'
        send(base, "POST", "/execute", odd)
        send(base, "GET", "/jobs?limit=x&foo=1")
        send(base, "POST", "/jobs/1/cancel")
        send(base, "GET", "/nowhere")
        send(base, "PUT", "/execute", RUN)
        httpx.post(f"{base}/execute", content=RUN)
        assert ended(process) == 1
    lines = [json.loads(it) for it in (tmp_path / "requests.jsonl").read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, LINE)
    found = [{(it["rule"], it.get("where", "")) for it in line["findings"]} for line in lines]
    assert found[0] == {("re-serialised", "header/X-Signature")}
    assert lines[0]["findings"][0]["offset"] == 12
    assert {
        ("request", "body/ttl"),
        ("alias", "body/network"),
        ("request", ""),
        ("undocumented", "body/z"),
    } <= found[1]
    assert {("request", "limit"), ("undocumented", "query/foo")} <= found[2]
    assert ("alias path", "path") in found[3]
    assert ("path", "path") in found[4]
    assert ("method", "method") in found[5]
    assert ("content type", "header/Content-Type") in found[6]
    assert any(rule == "header-missing" for rule, _ in found[6])
    written = "".join(it.read_text() for it in tmp_path.iterdir())
    assert ACCOUNT.secret_key not in written
    assert "send network_mode" in (tmp_path / "report.html").read_text()


def test_a_real_service_needs_the_opt_in() -> None:
    argv = [sys.executable, "-m", "contract.cli", "proxy", "--target", "real", "--port", "0"]
    environment = {**os.environ, "UNSANDBOX_CONTRACT_REAL": ""}
    done = subprocess.run(  # noqa: PLW1510 - its status is looked at
        argv, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 2
    assert "UNSANDBOX_CONTRACT_REAL" in done.stderr
