"""An emulator of the services' own, and services that are gone after their test."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.client import Client
from tests.containers import eventually
from tests.server import Server, running, settings

Json = dict[str, Any]


@dataclass(frozen=True)
class Maker:
    """Makes services of one account, and remembers them."""

    server: Server
    client: Client
    made: list[str]

    def __call__(self, **fields: object) -> Json:
        """Made and, unless it is to be looked at before, no longer starting."""
        document = self.ask("POST", "/services", {"name": self.name(), **fields})
        self.made.append(document["id"])
        return document

    def name(self) -> str:
        return f"service-{len(self.made)}-{id(self.made) % 100_000}"

    def ready(self, **fields: object) -> Json:
        service = self(**fields)
        eventually(lambda: self.read(service)["state"] != "starting")
        return self.read(service)

    def read(self, service: Json) -> Json:
        return self.ask("GET", f"/services/{service['id']}")

    def change(self, service: Json, what: str, **fields: object) -> Json:
        return self.ask("POST", f"/services/{service['id']}/{what}", fields)

    def run(self, service: Json, command: str) -> str:
        return str(self.change(service, "execute", command=command)["stdout"])

    def log(self, service: Json, query: str = "") -> str:
        return str(self.ask("GET", f"/services/{service['id']}/logs{query}")["log"])

    def refused(self, service: Json, what: str, **fields: object) -> tuple[int, str]:
        response = self.client.post(f"/services/{service['id']}/{what}", fields)
        assert response.status_code >= 400, response.text
        return response.status_code, response.json()["details"]

    def ask(self, method: str, path: str, body: object = None) -> Json:
        content = b"" if body is None else json.dumps(body).encode()
        response = self.client.send(method, path, content)
        assert response.status_code in (200, 202), response.text
        document: Json = response.json()
        return document


@pytest.fixture(scope="package")
def services_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = {"languages": "bash", "pool_size": "1", "allowed_hosts": "emu.lan.example"}
    with running(settings(tmp_path_factory.mktemp("services"), **flags)) as made:
        yield made


@pytest.fixture
def services(services_server: Server) -> Iterator[Maker]:
    client = Client(services_server.api)
    client.clock = services_server.emulator.clock.time
    maker = Maker(services_server, client, [])
    yield maker
    for service_id in maker.made:
        client.post(f"/services/{service_id}/unlock", {})
        client.send("DELETE", f"/services/{service_id}")
    client.close()
