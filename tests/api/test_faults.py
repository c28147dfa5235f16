"""The agent, its container or the engine goes away: that run is told so, the next one works."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from docker.models.containers import Container

from emulator.log import LineFormatter
from emulator.sandbox import pool, steps
from tests.client import Client
from tests.containers import container_running, containers, eventually, warm_container
from tests.engine_proxy import EngineProxy
from tests.modes import MODES
from tests.server import Server, running, settings

RUNTIME = "bash"


@pytest.fixture(scope="module", params=MODES)
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    flags = {"languages": RUNTIME, "pool_size": "1", "isolation": request.param}
    with running(settings(tmp_path_factory.mktemp("faults"), **flags)) as made:
        yield made


@pytest.fixture(scope="module")
def own_client(own_server: Server) -> Iterator[Client]:
    made = Client(own_server.api)
    yield made
    made.close()


def assert_failed(response: httpx.Response) -> None:
    body = response.json()
    assert (response.status_code, body["code"]) == (500, "SANDBOX_FAILED")
    assert body["error"] == "Sandbox failed"
    assert "running it again may work" in body["details"]


def assert_works(client: Client) -> None:
    assert client.execute(RUNTIME, "echo fine")["stdout"] == "fine\n"


def send(client: Client, code: str, ttl: int = 60) -> httpx.Response:
    own = Client(client.base)
    try:
        return own.post("/execute", {"language": RUNTIME, "code": code, "ttl": ttl})
    finally:
        own.close()


@contextmanager
def running_program(
    server: Server, client: Client
) -> Iterator[tuple[str, "Future[httpx.Response]"]]:
    """The job of a program that sleeps, and the answer to come."""

    async def jobs() -> list[str]:
        return server.emulator.jobs.running(client.account)

    with ThreadPoolExecutor() as threads:
        answer = threads.submit(send, client, "sleep 4711")
        container_running(server, "sleep 4711")
        (job_id,) = server.call(jobs())
        yield job_id, answer


ENDINGS: dict[str, Callable[[Container], object]] = {
    "killed": Container.kill,
    "removed": lambda container: container.remove(force=True),
    "stopped": lambda container: container.stop(timeout=0),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_container_that_goes_away_fails_its_run_alone(
    own_server: Server, own_client: Client, name: str
) -> None:
    with running_program(own_server, own_client) as (job_id, answer):
        ENDINGS[name](container_running(own_server, "sleep 4711"))
        assert_failed(answer.result(30))
    job = own_client.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["success"]) == ("failed", False)
    assert "went away" in job["error"]
    assert_works(own_client)


def test_a_container_paused_for_ever_fails_its_run_after_the_ttl(
    own_server: Server, own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "GRACE_SECONDS", 1)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(send, own_client, "sleep 4711", ttl=3)
        paused = container_running(own_server, "sleep 4711")
        paused.pause()
        assert_failed(answer.result(30))
    assert_works(own_client)
    eventually(lambda: paused.id not in [one.id for one in containers(own_server, everything=True)])


def test_a_warm_container_that_was_paused_costs_no_run(
    own_server: Server, own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PING_AFTER_SECONDS", 0)
    monkeypatch.setattr(pool, "PING_SECONDS", 1)
    paused = warm_container(own_server, RUNTIME)
    paused.pause()
    assert_works(own_client)
    eventually(lambda: paused.id not in [one.id for one in containers(own_server, everything=True)])


def test_a_warm_container_that_goes_away_is_replaced(
    own_server: Server, own_client: Client
) -> None:
    before = warm_container(own_server, RUNTIME)
    before.remove(force=True)
    eventually(lambda: before.id not in [one.id for one in containers(own_server)])
    assert warm_container(own_server, RUNTIME).id != before.id
    assert_works(own_client)


def test_nothing_that_comes_from_outside_forges_the_log(
    own_server: Server, own_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="emulator")
    code = r"printf '\n2026-01-01T00:00:00Z FORGED\n\e[2J' | tee /tmp/x; cat /tmp/x >&2; sleep 4711"
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(send, own_client, code)
        container_running(own_server, "sleep 4711").kill()
        assert_failed(answer.result(30))
    own_client.get("/jobs/%0A2026-01-01T00:00:00Z%20FORGED%1B%5B2J")

    def lines() -> list[str]:
        return [LineFormatter().format(record) for record in caplog.records]

    assert any("a run of bash failed" in line for line in lines())
    forged = r"\n2026-01-01T00:00:00Z FORGED\x1b[2J"
    eventually(lambda: any(forged in line for line in lines()))  # an answer leaves before its line
    assert all(line.isprintable() for line in lines())


def ready(server: Server) -> tuple[int, str]:
    response = httpx.get(f"{server.admin}/_emulator/ready")
    return response.status_code, " ".join(response.json()["reasons"])


@pytest.mark.parametrize("isolation", MODES)
def test_an_engine_that_dies_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    with EngineProxy(tmp_path / "engine.sock") as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.url)
        flags = {"languages": RUNTIME, "pool_size": "1", "isolation": isolation}
        with running(settings(tmp_path, **flags)) as server:
            client = Client(server.api)
            assert ready(server) == (200, "")
            before = {one.id for one in containers(server)}
            with running_program(server, client) as (job_id, answer):
                engine.cut()
                assert_failed(answer.result(30))
            assert client.get(f"/jobs/{job_id}").json()["status"] == "failed"
            eventually(lambda: ready(server)[0] == 503)
            assert "bash: no container starts" in ready(server)[1]
            assert_failed(send(client, "echo"))
            engine.restore()
            assert_works(client)
            eventually(lambda: ready(server) == (200, ""))
            eventually(lambda: not before & {one.id for one in containers(server, everything=True)})
            client.close()
