"""A pool may keep nothing warm."""

from pathlib import Path

from tests.client import Client
from tests.server import running, settings


def test_without_warm_containers_a_run_starts_its_own(tmp_path: Path) -> None:
    with running(settings(tmp_path, languages="bash", pool_size="0")) as server:
        client = Client(server.api)
        assert client.get("/cluster").json()["available"] == 0
        assert client.execute("bash", "echo cold")["stdout"] == "cold\n"
        client.close()
