import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import yaml

from emulator.api.table import HANDLERS, NOT_IMPLEMENTED
from emulator.paths import SPEC
from tests.client import Client
from tests.server import Server

PUBLIC = ["/health", "/languages", "/shells", "/cluster", "/pools", "/stats", "/openapi"]
PUBLIC += ["/_emulator/ready"]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_operations_need_no_key_and_mind_no_bad_one(server: Server, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer none"}):
        response = httpx.get(server.api + path, headers=headers)
        assert response.status_code == 200, response.text


def test_health_is_what_the_documentation_shows(server: Server) -> None:
    assert httpx.get(f"{server.api}/health").content == b'{"status":"ok"}'


def test_all_forty_two_languages_are_listed(server: Server) -> None:
    document = httpx.get(f"{server.api}/languages").json()
    assert document["count"] == len(document["languages"]) == 42
    documented = {"js": "javascript", "node": "javascript", "ts": "typescript"}
    assert documented.items() <= document["aliases"].items()


def test_shells_are_counted_and_grouped(server: Server) -> None:
    document = httpx.get(f"{server.api}/shells").json()
    assert document["count"] == len(document["shells"])
    members = {name for group in document["categories"].values() for name in group}
    assert members <= set(document["shells"])


def test_the_contract_that_is_served_is_the_file(server: Server) -> None:
    served = httpx.get(f"{server.api}/openapi").json()
    assert served == yaml.load(SPEC.read_bytes(), yaml.CSafeLoader)


def test_allocated_rises_with_a_run_and_falls_after_it(client: Client, server: Server) -> None:
    def allocated() -> int:
        document = httpx.get(f"{server.api}/cluster").json()
        (pool,) = httpx.get(f"{server.api}/pools").json()["pools"]
        breakdown = document["network_breakdown"]["zerotrust"]
        assert breakdown["allocated"] == document["allocated"]
        assert pool["total"] == pool["allocated"] + pool["available"]
        return int(document["allocated"])

    assert allocated() == 0
    with ThreadPoolExecutor() as threads:
        run = threads.submit(client.execute, "bash", "sleep 3")
        deadline = time.monotonic() + 30
        while allocated() != 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.result()
    assert allocated() == 0


def test_stats_tell_loads_as_strings(server: Server) -> None:
    document = httpx.get(f"{server.api}/stats").json()
    assert isinstance(document["containers"], int)
    for name in ("load_1min", "load_5min", "load_15min"):
        assert float(document[name]) >= 0


def test_what_is_still_to_come_says_so(client: Client, server: Server) -> None:
    operations = server.emulator.spec.operations
    for name in sorted(NOT_IMPLEMENTED):
        operation = operations[name]
        path = operation.path.replace("{", "x").replace("}", "x")
        response = client.send(operation.method, path, b"" if operation.method == "GET" else b"{}")
        assert response.status_code == 501, f"{name}: {response.text}"
        assert response.json()["code"] == "NOT_IMPLEMENTED"


def test_the_table_of_what_is_to_come_only_shrinks() -> None:
    assert len(NOT_IMPLEMENTED) <= 87
    assert not HANDLERS.keys() & NOT_IMPLEMENTED


def test_picture_generation_is_a_permanent_501(client: Client) -> None:
    response = client.post("/image", {"prompt": "a fox"})
    assert (response.status_code, response.json()["code"]) == (501, "NOT_IMPLEMENTED")
    assert client.post("/image", {}).status_code == 400
