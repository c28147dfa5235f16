"""Something dies in the middle of fifty runs: each ends as it truly did, and nothing leaks."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from emulator.sandbox import steps
from tests.client import Client
from tests.containers import containers, eventually, figures, settled
from tests.engine_proxy import EngineProxy
from tests.server import Server, running, settings

RUNS = 50
AT_ONCE = 6
LANGUAGE = "bash"
FLAGS = {"languages": LANGUAGE, "pool_size": "2", "memory_budget": str(AT_ONCE * 2048)}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProxy]:
    with EngineProxy(tmp_path_factory.mktemp("engine") / "engine.sock") as made:
        yield made


@pytest.fixture(scope="module")
def own_server(proxy: EngineProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("mishaps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", proxy.url)
        with running(settings(directory, **FLAGS)) as made:
            yield made


def send(server: Server, number: int) -> httpx.Response:
    client = Client(server.api)
    code = f"sleep 0.5; echo run {number}"
    try:
        return client.post("/execute", {"language": LANGUAGE, "code": code, "ttl": 5})
    finally:
        client.close()


def on_each(server: Server, act: Callable[[Container], None]) -> None:
    for container in containers(server):
        with suppress(APIError):  # the server may be removing it at this moment
            act(container)


def stop_agents(server: Server, _proxy: EngineProxy) -> None:
    on_each(server, lambda container: container.kill("SIGSTOP"))


def kill_agents(server: Server, _proxy: EngineProxy) -> None:
    on_each(server, lambda container: container.kill())


def remove_containers(server: Server, _proxy: EngineProxy) -> None:
    on_each(server, lambda container: container.remove(force=True))


def cut_the_engine_off(_server: Server, proxy: EngineProxy) -> None:
    proxy.cut()
    time.sleep(1)
    proxy.restore()


MISHAPS: dict[str, Callable[[Server, EngineProxy], None]] = {
    "agents hang": stop_agents,
    "agents are killed": kill_agents,
    "containers are removed": remove_containers,
    "the engine goes away for a second": cut_the_engine_off,
}


@pytest.mark.parametrize("name", MISHAPS)
def test_every_run_ends_as_it_did_and_nothing_leaks(
    own_server: Server, proxy: EngineProxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "GRACE_SECONDS", 2)
    with ThreadPoolExecutor(RUNS) as threads:
        answers = [threads.submit(send, own_server, number) for number in range(RUNS)]
        eventually(lambda: sum(answer.done() for answer in answers) >= AT_ONCE)
        eventually(lambda: figures(own_server).allocated >= AT_ONCE // 2)
        MISHAPS[name](own_server, proxy)
        responses = [answer.result(120) for answer in answers]
    failed = [number for number, it in enumerate(responses) if not went_well(it, number)]
    assert len(failed) >= 1
    assert len(failed) < RUNS or name == "the engine goes away for a second"
    assert told_of_jobs(own_server) == {200: "completed", 500: "failed"}
    eventually(lambda: settled(own_server))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        after = list(threads.map(lambda number: send(own_server, number), range(AT_ONCE)))
    assert all(went_well(response, number) for number, response in enumerate(after))


def went_well(response: httpx.Response, number: int) -> bool:
    """Whether the run did what it should; else the platform says that it is to blame."""
    if response.status_code == 200:
        assert response.json()["stdout"] == f"run {number}\n"
        return True
    assert (response.status_code, response.json()["code"]) == (500, "SANDBOX_FAILED")
    return False


def told_of_jobs(server: Server) -> dict[int, str]:
    """The state of the jobs behind answers of each status; more than one is a contradiction."""
    client = Client(server.api)
    query = {"limit": str(RUNS), "operation": "execute"}
    entries = httpx.get(f"{server.admin}/_emulator/requests", params=query).json()["requests"]
    found: dict[int, str] = {}
    for entry in entries:
        state = client.get(f"/jobs/{entry['job_id']}").json()["status"]
        assert found.setdefault(entry["status"], state) == state
    client.close()
    return found
