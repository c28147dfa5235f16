"""Containers and the engine go away in the middle of many jobs: each ends in a true state."""

from pathlib import Path

import pytest

from tests.api.test_faults import assert_works, ready
from tests.api.test_jobs import ended, submit
from tests.client import Client
from tests.containers import container_running, containers, eventually, runs
from tests.engine_proxy import EngineProxy
from tests.server import Server, running, settings

FLAGS = {"languages": "bash", "pool_size": "2", "memory_budget": "10240"}
"""Five run at a time."""


def ended_as(client: Client, job_ids: list[str]) -> list[str]:
    return [ended(client, job_id)["status"] for job_id in job_ids]


def nothing_is_left(server: Server) -> None:
    """Slots, memory and containers are those of a server that has nothing to do."""

    async def idle() -> bool:
        return server.emulator.pool.figures().allocated == 0

    eventually(lambda: server.call(idle()))
    eventually(lambda: not any(runs(one, "sleep") for one in containers(server)))


def test_containers_killed_in_the_middle_of_many_jobs_fail_theirs_alone(tmp_path: Path) -> None:
    with running(settings(tmp_path, **FLAGS)) as server:
        client = Client(server.api)
        victims = [submit(client, "sleep 4731"), submit(client, "sleep 4732")]
        others = [submit(client, "sleep 0.5; echo whole") for _ in range(20)]
        container_running(server, "sleep 4731").kill()
        container_running(server, "sleep 4732").remove(force=True)
        assert ended_as(client, victims) == ["failed"] * 2
        assert ended_as(client, others) == ["completed"] * 20
        nothing_is_left(server)
        client.close()


def test_an_engine_that_dies_in_the_middle_of_50_jobs_fails_them_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EngineProxy(tmp_path / "engine.sock") as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.url)
        with running(settings(tmp_path, **FLAGS)) as server:
            client = Client(server.api)
            job_ids = [submit(client, "sleep 4733", ttl=900) for _ in range(50)]
            container_running(server, "sleep 4733")
            engine.cut()
            assert set(ended_as(client, job_ids)) == {"failed"}
            engine.restore()
            assert_works(client)
            eventually(lambda: ready(server) == (200, ""))
            nothing_is_left(server)
            client.close()
