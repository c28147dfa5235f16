import ssl
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.client import Client
from tests.server import Server, running, settings


def test_ready_is_200_when_an_execution_would_work(admin: httpx.Client) -> None:
    response = admin.get("/_emulator/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "reasons": []}


def test_tls_is_told_with_what_has_to_be_trusted(admin: httpx.Client, server: Server) -> None:
    told = admin.get("/_emulator/tls").json()
    assert told["address"] == server.addresses.tls
    assert admin.get("/_emulator/ca.pem").text == told["certificate"]
    trust = ssl.create_default_context(cadata=told["certificate"])
    assert httpx.get(f"{told['address']}/health", verify=trust).status_code == 200


def test_requests_are_listed_with_what_was_overlooked(admin: httpx.Client, client: Client) -> None:
    answer = client.execute("bash", "echo", network="zerotrust", env={"TOKEN": "s3cret"})
    (entry,) = admin.get(f"/_emulator/requests?job_id={answer['job_id']}").json()["requests"]
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/execute", 200)
    assert entry["account"] == client.account.public_key
    assert entry["operation"] == "execute"
    assert "compat: network read as network_mode" in entry["notes"]
    assert "s3cret" not in str(entry)


def test_the_journal_is_narrowed_and_bounded(admin: httpx.Client, client: Client) -> None:
    client.get("/jobs/nothing")
    document = admin.get("/_emulator/requests?status=404&limit=1").json()
    assert document["count"] == 1
    assert document["requests"][0]["status"] == 404


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "status=abc", "limit=99999999999"])
def test_a_bad_filter_is_a_400_that_names_it(admin: httpx.Client, query: str) -> None:
    response = admin.get(f"/_emulator/requests?{query}")
    assert response.status_code == 400
    assert response.json()["details"].startswith(query.partition("=")[0])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"advance":"1"}',
        b'{"advance":true}',
        b'{"advance":-1}',
        b"{",
        b'"\xff"',
    ],
)
def test_a_bad_step_of_the_clock_is_a_400(admin: httpx.Client, body: bytes) -> None:
    assert admin.post("/_emulator/clock", content=body).status_code == 400


def test_unknown_paths_and_methods_are_told_in_the_envelope(admin: httpx.Client) -> None:
    assert admin.get("/_emulator/nothing").json()["code"] == "NOT_FOUND"
    assert admin.get("/").json()["code"] == "NOT_FOUND"
    response = admin.put("/_emulator/clock")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


def test_a_websocket_is_refused_in_the_envelope(server: Server) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(server.admin.replace("http", "ws") + "/_emulator/ready"),
    ):
        pass
    assert refused.value.response.status_code == 404
    assert b"NOT_FOUND" in refused.value.response.body


def test_the_admin_surface_has_no_api_and_serves_loopback_names_only(admin: httpx.Client) -> None:
    assert admin.post("/execute").status_code == 404
    assert admin.get("/_emulator/ready", headers={"Host": "api.unsandbox.com"}).status_code == 421
    foreign = admin.get("/_emulator/ready", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An emulator whose clock may be moved without hurting other tests."""
    flags = {"languages": "bash", "pool_size": "1"}
    with running(settings(tmp_path_factory.mktemp("own"), **flags)) as made:
        yield made


def test_time_can_be_advanced_and_everything_follows(own: Server) -> None:
    client = Client(own.api)
    job_id = client.execute("bash", "echo")["job_id"]
    assert client.get(f"/jobs/{job_id}").status_code == 200
    before = time.time()
    response = httpx.post(f"{own.admin}/_emulator/clock", json={"advance": 90_000})
    assert response.json()["ahead_seconds"] == 90_000
    assert client.get("/keys/self").json()["code"] == "INVALID_TIMESTAMP"
    assert own.emulator.clock.time() - before >= 90_000
    client.close()
    with pytest.raises(Exception, match="finished jobs are kept"):
        own.call(own.emulator.jobs.get(job_id, client.account))


def test_the_journal_can_be_cleared(own: Server) -> None:
    httpx.get(f"{own.api}/health")
    assert httpx.get(f"{own.admin}/_emulator/requests").json()["count"] >= 1
    httpx.delete(f"{own.admin}/_emulator/requests")
    assert httpx.get(f"{own.admin}/_emulator/requests").json()["count"] == 0
