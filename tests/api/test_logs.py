import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from emulator import logbook
from emulator.accounts import Account
from emulator.logbook import FOLLOWERS_MOST
from emulator.store.accounts import read_seed
from tests.client import Client, test_account
from tests.server import Server, heard, running, settings

Json = dict[str, Any]
SECRET = "hunter2"
SEEDED = Account("unsb-pk-seed-0000-0000-0001", f"unsb-sk{'-aaaaa' * 4}")
READS = {
    "GET /paas/logs": ("GET", "/paas/logs?source=api&lines=500", b""),
    "POST /paas/logs": ("POST", "/paas/logs", b'{"source":"api","lines":500,"grep":null}'),
    "GET /logs": ("GET", "/logs?source=api&lines=500", b""),
    "GET /logs/api": ("GET", "/logs/api?lines=500", b""),
}
EVERYTHING = {
    "GET /paas/logs": ("GET", "/paas/logs", b""),
    "POST /paas/logs": ("POST", "/paas/logs", b""),
    "POST /paas/logs with all": ("POST", "/paas/logs", b'{"source":"all"}'),
    "GET /logs": ("GET", "/logs", b""),
    "GET /logs/all": ("GET", "/logs/all", b""),
}
STREAMS = ("/paas/logs/stream", "/logs/stream?source=api", "/logs/all/stream", "/logs/api/stream")


@pytest.fixture(scope="module")
def logging_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with heard(), running(quick(tmp_path_factory.mktemp("logs"))) as made:
        yield made


def quick(folder: Path, **flags: str) -> Any:  # noqa: ANN401 - Settings
    return settings(folder, languages="bash", pool_size="0", **flags)


@pytest.fixture
def client(logging_server: Server) -> Iterator[Client]:
    made = Client(logging_server.api)
    made.clock = logging_server.emulator.clock.time
    yield made
    made.close()


def asked(client: Client, method: str, path: str, body: bytes = b"") -> Json:
    response = client.send(method, path, body)
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


@pytest.mark.parametrize("dialect", READS)
def test_one_source_comes_as_text_in_every_dialect(client: Client, dialect: str) -> None:
    client.get("/jobs")
    answer = asked(client, *READS[dialect])
    assert any(line.endswith(" ms") and ": GET /jobs 200 " in line for line in answer["lines"])
    assert answer["logs"] == [{"source": "api", "line": line} for line in answer["lines"]]
    assert answer["count"] == len(answer["lines"])
    assert "sources" not in answer  # by which un.c knows that all were asked for


@pytest.mark.parametrize("dialect", EVERYTHING)
def test_all_sources_come_with_their_names_and_the_lines_last(client: Client, dialect: str) -> None:
    """What stands behind `lines` is printed by un.c, too."""
    client.get("/jobs")
    logging.getLogger("emulator.sandbox.x").warning("of the pool")
    answer = asked(client, *EVERYTHING[dialect])
    assert answer["sources"] == ["api", "portal", "pool/local"]
    assert answer["lines"] == answer["logs"]
    assert {"api", "pool/local"} <= {line["source"] for line in answer["lines"]}
    assert list(answer)[-1] == "lines"


def test_every_pool_is_the_one_that_there_is(client: Client) -> None:
    """un.c sends the slash in the name of a source as one."""
    logging.getLogger("emulator.sandbox.x").warning("of the pool")
    for path in ("/logs/pool/cammy", "/logs/pool%2Fai", "/logs?source=pool/local"):
        assert asked(client, "GET", path)["lines"][-1].endswith(": of the pool")
    with followed(client, "/logs/pool/cammy/stream") as events:
        logging.getLogger("emulator.sandbox.x").warning("more of the pool")
        assert next(events)["source"] == "pool/local"


def test_a_source_that_there_is_not_is_a_404_in_a_path_and_empty_else(client: Client) -> None:
    for path in ("/logs/nowhere", "/logs/nowhere/stream"):
        response = client.get(path)
        assert response.status_code == 404
        assert "pool/local" in response.json()["details"]
    assert asked(client, "GET", "/logs?source=nowhere")["lines"] == []


@pytest.mark.parametrize("path", ["/paas/logs", "/logs", "/logs/api", *STREAMS])
@pytest.mark.parametrize("wrong", ["since=soon", "level=loud", f"grep={'x' * 257}"])
def test_a_filter_that_is_none_is_a_400(client: Client, path: str, wrong: str) -> None:
    response = client.get(f"{path}{'&' if '?' in path else '?'}{wrong}")
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")


def test_lines_are_narrowed_as_asked(client: Client, logging_server: Server) -> None:
    def lines(query: str) -> list[str]:
        return [str(line) for line in asked(client, "GET", f"/logs/api?{query}")["lines"]]

    client.get("/jobs")
    client.get("/keys/self")
    assert all("/keys/self" in line for line in lines("grep=/keys/self"))
    assert len(lines("lines=2")) == 2
    assert lines("grep=%2Fkeys.self") == []
    logging.getLogger("emulator.api.x").error("it is bad")
    for level in ("err", "error"):
        assert lines(f"level={level}")[-1].endswith("it is bad")
    assert lines("level=crit") == []
    for level in ("notice", "warning"):
        assert not any(" INFO " in line for line in lines(f"level={level}"))
    assert len(lines("since=1h&grep=it%20is")) == 1

    async def later() -> None:
        logging_server.emulator.clock.advance(7200)

    logging_server.call(later())
    assert lines("since=1h&grep=it%20is") == []
    assert len(lines("since=1d&grep=it%20is")) == 1


@pytest.mark.parametrize("path", ["/paas/logs", "/logs", "/logs/api", *STREAMS])
@pytest.mark.parametrize("name", ["second", "sudo"])
def test_the_log_is_for_operators(client: Client, path: str, name: str) -> None:
    other = client.as_account(test_account(name))
    for method in ("GET", *(["POST"] if path == "/paas/logs" else [])):
        response = other.send(method, path)
        assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")
    other.close()


def test_who_is_an_operator_is_said_by_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="operator must be true or false"):
        read_seed(seeded(tmp_path, '"no"'))


def seeded(folder: Path, operator: str) -> Path:
    """A seed file with SEEDED in it."""
    file = folder / "seed.toml"
    keys = f'public_key = "{SEEDED.public_key}"\nsecret_key = "{SEEDED.secret_key}"'
    file.write_text(f"[[accounts]]\n{keys}\noperator = {operator}\n")
    return file


def test_nothing_of_other_accounts_and_no_secret_is_in_the_log(
    client: Client, logging_server: Server
) -> None:
    """Of those that are not known, requests are told by the contract's path alone."""
    stranger = client.as_account(test_account("second"))
    stranger.get(f"/jobs/of-{SECRET}")
    stranger.get(f"/{SECRET}")
    httpx.get(f"{stranger.base}/jobs/unsigned-{SECRET}")
    stranger.send("PUT", f"/services/{SECRET}/env", f"A={SECRET}".encode(), "text/plain")
    stranger.close()
    httpx.get(f"{logging_server.api}/nowhere/{SECRET}?{SECRET}")
    with pytest.raises(InvalidStatus):
        connect(f"ws{logging_server.api[4:]}/sessions/sess_{SECRET}/shell")
    client.send("POST", f"/run?env=%7B%22A%22:%22{SECRET}%22%7D", b"", "text/plain")
    answer = client.get("/logs/all?lines=10000")
    assert SECRET not in answer.text
    lines = [entry["line"].partition(": ")[2].rsplit(" ", 2)[0] for entry in answer.json()["lines"]]
    assert {"GET /jobs/{id} 401", "GET ... 404", "GET /sessions/{id}/shell 404"} <= set(lines)
    assert any(line.startswith("POST /run 4") for line in lines)
    assert not any("/services" in line for line in lines)


@contextmanager
def opened(client: Client, path: str, method: str = "GET") -> Iterator[httpx.Response]:
    headers = client.signed(method, path, b"")
    timeout = httpx.Timeout(30)
    with httpx.stream(method, client.base + path, headers=headers, timeout=timeout) as response:
        yield response


@contextmanager
def followed(client: Client, path: str) -> Iterator[Iterator[Json]]:
    """Lines of a stream, which has begun."""
    with opened(client, path) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert {"x-request-id", "x-ratelimit-limit"} <= set(response.headers)
        events = events_of(response)
        assert next(events) == ":keepalive"
        yield (json.loads(event) for event in events if event != ":keepalive")


def events_of(response: httpx.Response) -> Iterator[str]:
    for line in response.iter_lines():
        assert line == "" or line.startswith("data: ")
        if line:
            yield line.removeprefix("data: ")


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_shows_what_comes_after_it_was_opened(client: Client, path: str) -> None:
    client.get("/keys/self")
    with followed(client, path) as lines:
        for _ in range(3):
            client.get("/jobs")
        for _ in range(3):
            shown = next(lines)
            assert (shown["source"], ": GET /jobs 200" in shown["line"]) == ("api", True)


def test_a_stream_takes_up_the_past_and_leaves_out_what_was_not_asked_for(client: Client) -> None:
    client.get("/keys/self?past")
    client.get("/jobs/none")
    with followed(client, "/paas/logs/stream?source=api&since=1h&grep=/jobs/none") as lines:
        assert "/jobs/none 404" in next(lines)["line"]
        client.get("/keys/self")
        client.get("/jobs/none2")
        assert "/jobs/none2 404" in next(lines)["line"]


def test_a_quiet_stream_says_that_it_is_alive(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "QUIET_SECONDS", 0.05)
    with opened(client, "/logs/stream?grep=nothing") as response:
        events = events_of(response)
        assert [next(events) for _ in range(4)] == [":keepalive"] * 4


def test_streams_are_bounded_and_one_that_ends_makes_room(
    client: Client, logging_server: Server
) -> None:
    path = "/paas/logs/stream"
    streams = [opened(client, path) for _ in range(FOLLOWERS_MOST)]
    for one in streams:
        assert one.__enter__().status_code == 200
    refused = client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "CONCURRENCY_LIMIT")
    for one in streams:
        one.__exit__(None, None, None)
    eventually(lambda: not logging_server.emulator.logs._followers)
    with followed(client, path):
        pass
    entries = logging_server.emulator.journal.entries(1000, operation="streamPaasLogs")
    assert sum(entry["status"] == 200 for entry in entries) >= FOLLOWERS_MOST


def eventually(true: Any) -> None:  # noqa: ANN401 - a function
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_reader_that_does_not_read_holds_up_nobody_and_holds_no_memory(
    client: Client, logging_server: Server
) -> None:
    """What it does not take is forgotten, and it is told so when it reads again."""
    address = client.base.removeprefix("http://").split(":")
    path = "/logs/api/stream"
    head = "".join(
        f"{name}: {value}\r\n" for name, value in client.signed("GET", path, b"").items()
    )
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((address[0], int(address[1])))
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        assert b"200 OK" in slow.recv(4096)
        noisy = logging.getLogger("emulator.api.noise")
        with followed(client, path) as lines:
            for number in range(18):
                for _ in range(1000):
                    noisy.info("x" * 900)
                noisy.info("mark %d", number)
                while f"mark {number}" not in next(lines)["line"]:
                    pass
        slow.settimeout(30)
        seen = b""
        while b"lines are missing here" not in seen:
            seen = seen[-100:] + slow.recv(1 << 20)
    eventually(lambda: not logging_server.emulator.logs._followers)


def test_what_is_no_get_of_a_stream_has_no_events(client: Client) -> None:
    with opened(client, "/logs/stream", "HEAD") as response:
        assert (response.status_code, response.read()) == (200, b"")
    headers = client.signed("GET", "/logs/stream", b"")
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws{client.base[4:]}/logs/stream", additional_headers=headers)
    assert refusal.value.response.status_code == 400


def test_a_truncated_stream_breaks_off(client: Client, logging_server: Server) -> None:
    path = "/logs/stream"
    headers = {**client.signed("GET", path, b""), "X-Emulator-Fault": "truncate"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("GET", client.base + path, headers=headers, timeout=30) as response,
    ):
        response.read()
    eventually(lambda: not logging_server.emulator.logs._followers)


def test_a_stream_ends_with_its_key_and_with_the_emulator(tmp_path: Path) -> None:
    """It comes to its end: it is not broken off after the time that other requests get."""
    seed = seeded(tmp_path, "true")
    with ExitStack() as stack:
        stack.enter_context(heard())
        server = stack.enter_context(running(quick(tmp_path, seed_file=str(seed))))
        readers = [Reader(server, account) for account in (SEEDED, test_account("default"))]
        server.emulator.accounts.revoke(SEEDED.public_key, 0)
        logging.getLogger("emulator.api.x").info("something new")
        readers[0].join(30)
        assert (readers[0].ended, readers[1].ended) == (True, False)
    readers[1].join(30)
    assert readers[1].ended


class Reader(threading.Thread):
    """Reads a stream that has begun, to its end."""

    def __init__(self, server: Server, account: Account) -> None:
        super().__init__(daemon=True)
        self.ended = False
        self._client = Client(server.api, account)
        self._began = threading.Event()
        self.start()
        assert self._began.wait(30)

    def run(self) -> None:
        with opened(self._client, "/logs/stream") as response:
            for _ in response.iter_bytes():
                self._began.set()
        self._client.close()
        self.ended = True
