"""Faults on demand, seen from the other end of a socket."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.errors import SudoRequired
from emulator.faults import MAX_RULES
from emulator.sudo import Action, Confirmation
from tests.client import Client, test_account
from tests.server import Server, running, settings

Json = dict[str, Any]
HEADER = "X-Emulator-Fault"
FREE = test_account("free")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An emulator of its own: rules are for everybody who sends to it."""
    flags = {"languages": "bash", "pool_size": "2"}
    with running(settings(tmp_path_factory.mktemp("faults"), **flags)) as made:
        yield made


@pytest.fixture
def faults(own: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{own.admin}/_emulator") as made:
        yield made
        made.post("/reset").raise_for_status()


@pytest.fixture
def client(own: Server) -> Iterator[Client]:
    made = Client(own.api)
    yield made
    made.close()


def rule(faults: httpx.Client, **fields: object) -> Json:
    response = faults.post("/faults", json=fields)
    assert response.status_code == 201, response.text
    document: Json = response.json()
    return document


def told(faults: httpx.Client, rule_id: str) -> Json:
    (entry,) = [one for one in faults.get("/faults").json()["faults"] if one["id"] == rule_id]
    return dict(entry)


def journalled(faults: httpx.Client, path: str) -> Json:
    entries = faults.get("/requests").json()["requests"]
    return next(dict(one) for one in entries if one["path"] == path)


def hello(client: Client, **headers: str) -> httpx.Response:
    body = json.dumps({"language": "bash", "code": "echo hi"}).encode()
    return client.send("POST", "/execute", body, **headers)


# --- answers -----------------------------------------------------------------------------------


def test_a_status_comes_in_the_envelope_with_retry_after_as_often_as_asked(
    faults: httpx.Client, client: Client
) -> None:
    made = rule(faults, operation="execute", status=503, retry_after=2, count=2)
    for _ in range(2):
        response = hello(client)
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert response.headers["x-request-id"]
        assert (response.json()["error"], response.json()["code"]) == (
            "Service unavailable",
            "UNAVAILABLE",
        )
        entry = journalled(faults, "/execute")
        assert entry["fault"] == {"by": made["id"], "status": 503, "retry_after": 2}
        assert (entry["status"], entry["operation"]) == (503, "execute")
        assert "job_id" not in entry
    assert hello(client).json()["stdout"] == "hi\n"
    assert "fault" not in journalled(faults, "/execute")
    assert (told(faults, made["id"])["hits"], told(faults, made["id"])["count"]) == (2, 2)


@pytest.mark.parametrize(
    ("asked", "code", "error"),
    [
        ({"status": 429}, "RATE_LIMITED", "rate_limit_exceeded"),
        ({"status": 429, "code": "CONCURRENCY_LIMIT"}, "CONCURRENCY_LIMIT", "concurrency_limit"),
        ({"status": 500}, "INTERNAL_ERROR", "Internal error"),
        ({"status": 507}, "HTTP_507", "Insufficient Storage"),
        ({"status": 599, "code": "ODD"}, "ODD", "Status 599"),
        ({"status": 405}, "METHOD_NOT_ALLOWED", "Method not allowed"),
    ],
)
def test_a_status_is_worded_as_the_api_words_it(
    faults: httpx.Client, client: Client, asked: Json, code: str, error: str
) -> None:
    rule(faults, **asked)
    response = client.get("/languages")
    assert response.status_code == asked["status"]
    assert response.json()["code"] == code
    assert response.json()["error"].startswith(error)


def raw(server: Server, request: bytes) -> bytes:
    """All that a plain socket gets back until the other end closes it."""
    address = urlsplit(server.api)
    with socket.create_connection((address.hostname, address.port), 30) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


GET_LANGUAGES = b"GET /languages HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_dropped_connection_gives_no_byte(faults: httpx.Client, own: Server) -> None:
    made = rule(faults, operation="listLanguages", drop=True)
    assert raw(own, GET_LANGUAGES) == b""
    entry = journalled(faults, "/languages")
    assert (entry["status"], entry["fault"]) == (0, {"by": made["id"], "drop": True})


def test_a_truncated_answer_ends_in_the_middle_of_its_body(
    faults: httpx.Client, own: Server
) -> None:
    rule(faults, operation="listLanguages", truncate=True)
    head, _, body = raw(own, GET_LANGUAGES).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    (length,) = [int(x.split()[1]) for x in head.split(b"\r\n") if x.startswith(b"content-length")]
    assert len(body) == length // 2 > 0
    faults.delete("/faults").raise_for_status()
    assert httpx.get(f"{own.api}/languages").content.startswith(body)


def test_clients_see_what_such_connections_look_like(faults: httpx.Client, client: Client) -> None:
    rule(faults, operation="execute", drop=True, count=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        hello(client)
    rule(faults, operation="execute", truncate=True, count=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        hello(client)
    assert hello(client).status_code == 200


def test_a_websocket_handshake_can_be_refused_and_dropped(
    faults: httpx.Client, own: Server
) -> None:
    handshake = (
        b"GET /sessions/x/shell HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    rule(faults, operation="openSessionShell", status=503, count=1)
    assert raw(own, handshake).startswith(b"HTTP/1.1 503 ")
    rule(faults, operation="openSessionShell", drop=True, count=1)
    assert raw(own, handshake) == b""


@pytest.fixture
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An emulator whose clock may be moved, where nobody waits long for a container."""
    flags = {"languages": "bash", "pool_size": "1", "queue_timeout": "1"}
    with running(settings(tmp_path_factory.mktemp("impatient"), **flags)) as made:
        yield made


def test_a_delay_runs_on_the_emulator_s_clock(impatient: Server) -> None:
    admin = httpx.Client(base_url=f"{impatient.admin}/_emulator")
    made = rule(admin, path="/health", delay=3000, count=1)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(httpx.get, f"{impatient.api}/health", timeout=60)
        while told(admin, made["id"])["hits"] == 0:
            time.sleep(0.01)
        assert not answer.done()
        admin.post("/clock", json={"advance": 3000}).raise_for_status()
        assert answer.result(30).json() == {"status": "ok"}
    admin.close()


# --- which requests ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "struck", "spared"),
    [
        ({"operation": "getJob"}, ["/jobs/a", "/jobs/b"], ["/jobs", "/languages"]),
        ({"path": "/jobs/*"}, ["/jobs/a"], ["/jobs", "/jobs/a/wait", "/languages"]),
        ({"path": "/nowhere"}, ["/nowhere"], ["/somewhere"]),
        ({"path": "/jobs", "method": "GET"}, ["/jobs"], ["/health"]),
        ({"path": "/jobs", "method": "POST"}, [], ["/jobs"]),
        ({}, ["/jobs", "/health", "/nowhere"], []),
    ],
)
def test_a_rule_is_for_an_operation_or_a_path(
    faults: httpx.Client, own: Server, fields: Json, struck: list[str], spared: list[str]
) -> None:
    rule(faults, status=418, **fields)
    assert all(httpx.get(f"{own.api}{path}").status_code == 418 for path in struck)
    assert all(httpx.get(f"{own.api}{path}").status_code != 418 for path in spared)


def test_a_rule_is_for_one_account(faults: httpx.Client, client: Client) -> None:
    rule(faults, status=503, account=FREE.public_key)
    other = client.as_account(FREE)
    assert (client.get("/keys/self").status_code, other.get("/keys/self").status_code) == (200, 503)
    other.close()


def test_the_first_rule_that_strikes_counts(faults: httpx.Client, client: Client) -> None:
    rule(faults, status=502, count=1)
    rule(faults, status=504)
    assert [client.get("/health").status_code for _ in range(2)] == [502, 504]


def strikes(faults: httpx.Client, client: Client, seed: int) -> list[int]:
    made = rule(faults, operation="getHealth", status=503, probability=0.5, seed=seed)
    statuses = [client.get("/health").status_code for _ in range(40)]
    entry = told(faults, made["id"])
    assert (entry["seen"], entry["hits"]) == (40, statuses.count(503))
    faults.delete(f"/faults/{made['id']}").raise_for_status()
    return statuses


def test_chance_is_drawn_from_the_seed(faults: httpx.Client, client: Client) -> None:
    first, again, other = (strikes(faults, client, seed) for seed in (7, 7, 8))
    assert first == again != other
    assert 5 < first.count(503) < 35


# --- the engine --------------------------------------------------------------------------------


@pytest.mark.parametrize("killed", ["agent", "container"])
@pytest.mark.parametrize("code", ["echo quick", "sleep 4711"])
def test_what_is_killed_in_mid_run_fails_its_job_as_a_real_loss_does(
    faults: httpx.Client, client: Client, killed: str, code: str
) -> None:
    made = rule(faults, operation="execute", kill=killed, count=1)
    response = client.post("/execute", {"language": "bash", "code": code})
    assert (response.status_code, response.json()["code"]) == (500, "SANDBOX_FAILED")
    entry = journalled(faults, "/execute")
    assert entry["fault"] == {"by": made["id"], "kill": killed}
    job = client.get(f"/jobs/{entry['job_id']}").json()
    assert (job["status"], job["success"]) == ("failed", False)
    assert hello(client).json()["stdout"] == "hi\n"


def test_the_job_of_an_accepted_program_fails_too(client: Client) -> None:
    body = json.dumps({"language": "bash", "code": "sleep 4711"}).encode()
    accepted = client.send("POST", "/execute/async", body, **{HEADER: "kill=container"})
    assert accepted.json()["status"] == "pending"
    job = client.get(f"/jobs/{accepted.json()['job_id']}/wait").json()
    assert (job["status"], job["success"]) == ("failed", False)
    assert "went away" in job["error"]


def test_what_is_killed_later_spares_who_has_ended_by_then(
    faults: httpx.Client, client: Client
) -> None:
    rule(faults, operation="execute", kill="agent", kill_after=1)
    assert hello(client).json()["stdout"] == "hi\n"
    response = client.post("/execute", {"language": "bash", "code": "sleep 4711"})
    assert response.json()["code"] == "SANDBOX_FAILED"


def test_a_slow_start_is_waited_for_and_not_counted_as_the_program_s_time(
    faults: httpx.Client, client: Client
) -> None:
    rule(faults, operation="execute", slow_start=2, count=1)
    body = {"language": "bash", "code": "sleep 0.2; echo hi", "ttl": 1}
    began = time.monotonic()
    answer = client.post("/execute", body).json()
    assert time.monotonic() - began >= 2
    assert (answer["status"], answer["stdout"]) == ("completed", "hi\n")


def test_a_start_that_takes_too_long_is_the_real_503(impatient: Server) -> None:
    client = Client(impatient.api)
    response = hello(client, **{HEADER: "slow_start=3600"})
    assert (response.status_code, response.json()["code"]) == (503, "NO_CAPACITY")
    client.close()


# --- one request -------------------------------------------------------------------------------


def test_a_header_asks_for_one_request_alone_so_that_tests_run_in_parallel(
    faults: httpx.Client, own: Server
) -> None:
    def send(asked: str | None) -> int:
        mine = Client(own.api)
        try:
            return hello(mine, **({HEADER: asked} if asked else {})).status_code
        finally:
            mine.close()

    asked = ["status=503; retry_after=1", None, "status=429", None, "kill=agent", None] * 3
    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(send, asked))
    assert statuses == [503, 200, 429, 200, 500, 200] * 3
    assert faults.get("/faults").json() == {"faults": [], "count": 0}


def test_a_header_can_ask_for_every_fault(faults: httpx.Client, client: Client) -> None:
    for asked in ("drop", "truncate", "delay=0.1; drop=true"):
        with pytest.raises(httpx.RemoteProtocolError):
            hello(client, **{HEADER: asked})
    response = hello(client, **{HEADER: "status=429; code=CONCURRENCY_LIMIT; retry_after=9"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "9")
    assert response.headers["x-ratelimit-limit"]
    entry = journalled(faults, "/execute")
    assert entry["fault"]["by"] == "header"
    assert entry["account"] == client.account.public_key
    assert hello(client, **{HEADER: "slow_start=0.1; kill=container"}).status_code == 500
    assert hello(client, **{HEADER: "delay=0.1"}).status_code == 200


def test_a_header_is_heeded_once_it_is_known_whose_request_it_is(own: Server) -> None:
    asked = {HEADER: "status=503"}
    assert httpx.get(f"{own.api}/jobs/x", headers=asked).status_code == 401
    assert httpx.get(f"{own.api}/health", headers=asked).status_code == 503
    assert httpx.get(f"{own.api}/health", headers={**asked, "Host": "x.test"}).status_code == 421


def test_the_header_can_be_switched_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    flags = {"languages": "bash", "pool_size": "0", "fault_header": "false"}
    with running(settings(tmp_path_factory.mktemp("off"), **flags)) as server:
        response = httpx.get(f"{server.api}/health", headers={HEADER: "status=503"})
        assert response.status_code == 200
        entries = httpx.get(f"{server.admin}/_emulator/requests").json()["requests"]
    assert entries[0]["notes"] == ["faults: X-Emulator-Fault is ignored, fault_header is off"]


# --- rules as data -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "one of status, delay, drop, truncate, slow_start, kill is needed"),
        ({"status": 200}, "status: Expected `int` >= 400"),
        ({"status": "503"}, "status: Expected `int | null`, got `str`"),
        ({"status": 503, "drop": True}, "status: does not go together with drop"),
        ({"drop": True, "kill": "agent"}, "drop: does not go together with kill"),
        ({"drop": True, "retry_after": 1}, "retry_after: needs status"),
        ({"status": 503, "method": "GET"}, "method: needs path"),
        ({"delay": -1}, "delay: Expected `float` >= 0"),
        ({"delay": 3601}, "delay: Expected `float` <= 3600"),
        ({"kill": "engine"}, "kill: Invalid enum value"),
        ({"status": 503, "operation": "exceute"}, "operation: no such operationId (did you mean"),
        ({"kill": "agent", "operation": "getHealth"}, "kill: getHealth runs no program"),
        ({"status": 503, "account": "me"}, "account: Expected `str` matching regex"),
        ({"status": 503, "path": "jobs"}, "path: Expected `str` matching regex"),
        ({"status": 503, "probability": 0}, "probability: Expected `float` > 0"),
        ({"status": 503, "count": 0}, "count: Expected `int` >= 1"),
        ({"status": 503, "code": "a b"}, "code: Expected `str` matching regex"),
        ({"status": 503, "colour": 1}, "Object contains unknown field `colour`"),
    ],
)
def test_a_bad_rule_is_a_400_that_names_field_and_rule(
    faults: httpx.Client, fields: Json, message: str
) -> None:
    response = faults.post("/faults", json=fields)
    assert response.status_code == 400
    assert response.json()["details"].startswith(message)
    assert faults.get("/faults").json()["count"] == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("status=200", "X-Emulator-Fault: status: Expected `int` >= 400"),
        ("delay=nan", "X-Emulator-Fault: delay: "),
        ("count=1; drop", "X-Emulator-Fault: Object contains unknown field `count`"),
        ("", "X-Emulator-Fault: one of status, "),
        ("status", "X-Emulator-Fault: status: "),
    ],
)
def test_a_bad_header_is_a_400_that_names_field_and_rule(
    client: Client, asked: str, message: str
) -> None:
    response = hello(client, **{HEADER: asked})
    assert response.status_code == 400
    assert response.json()["details"].startswith(message)


def test_a_bad_header_is_a_400_on_operations_that_have_none(server: Server) -> None:
    response = httpx.get(f"{server.api}/health", headers={HEADER: "status=200"})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")


def test_rules_are_listed_bounded_and_cleared(faults: httpx.Client, client: Client) -> None:
    ids = [rule(faults, status=503, operation="getHealth")["id"] for _ in range(MAX_RULES)]
    response = faults.post("/faults", json={"status": 503})
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")
    listed = faults.get("/faults").json()
    assert [one["id"] for one in listed["faults"]] == ids
    assert listed["count"] == MAX_RULES
    assert faults.delete(f"/faults/{ids[0]}").json() == {"status": "cleared", "id": ids[0]}
    assert faults.delete(f"/faults/{ids[0]}").status_code == 404
    assert faults.delete("/faults").json() == {"status": "cleared", "count": MAX_RULES - 1}
    assert client.get("/health").status_code == 200


def test_a_reset_forgets_the_journal_the_rules_the_rates_and_the_challenges(
    faults: httpx.Client, own: Server
) -> None:
    client = Client(own.api, test_account("tiny"))
    assert [client.get("/keys/self").status_code for _ in range(4)] == [200, 200, 200, 429]
    rule(faults, status=503)
    careful, action = test_account("sudo"), Action("deleteSession", frozenset())
    challenges = own.emulator.challenges
    with pytest.raises(SudoRequired) as asked:
        challenges.confirm(careful, action, None)
    assert faults.post("/reset").json() == {"status": "reset"}
    assert faults.get("/requests").json()["count"] == 0
    assert faults.get("/faults").json()["count"] == 0
    assert client.get("/keys/self").status_code == 200
    answer = Confirmation("424242", str(asked.value.extra["challenge_id"]))
    with pytest.raises(SudoRequired):
        challenges.confirm(careful, action, answer)
    client.close()
