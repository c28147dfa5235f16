"""An emulator whose clock can be advanced, and sessions that are gone after their test."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from tests import shell
from tests.client import Client
from tests.server import Server, running, settings

Json = dict[str, Any]


@dataclass(frozen=True)
class Maker:
    """Makes sessions of one account, and remembers them."""

    server: Server
    client: Client
    made: list[str]

    def __call__(self, path: str = "/sessions", **fields: object) -> Json:
        response = self.client.post(path, fields)
        assert response.status_code == 200, response.text
        document: Json = response.json()
        self.made.append(document["id"])
        return document

    def read(self, session: Json) -> Json:
        return self._answer(self.client.get(f"/sessions/{session['id']}"))

    def change(self, session: Json, what: str, **fields: object) -> Json:
        return self._answer(self.client.post(f"/sessions/{session['id']}/{what}", fields))

    def run(self, session: Json, command: str) -> str:
        return str(self.change(session, "execute", command=command)["stdout"])

    def delete(self, session: Json, query: str = "") -> Json:
        return self._answer(self.client.send("DELETE", f"/sessions/{session['id']}{query}"))

    def shell(self, session: Json) -> AbstractContextManager[shell.Shell]:
        return shell.signed(self.client, session["id"])

    def advance(self, seconds: float) -> None:
        async def move() -> None:
            self.server.emulator.clock.advance(seconds)

        self.server.call(move())

    def _answer(self, response: Any) -> Json:  # noqa: ANN401 - httpx's
        assert response.status_code == 200, response.text
        document: Json = response.json()
        return document


@pytest.fixture(scope="package")
def sessions_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = {"languages": "bash", "pool_size": "1"}
    with running(settings(tmp_path_factory.mktemp("sessions"), **flags)) as made:
        yield made


@pytest.fixture
def sessions(sessions_server: Server) -> Iterator[Maker]:
    client = Client(sessions_server.api)
    client.clock = sessions_server.emulator.clock.time
    maker = Maker(sessions_server, client, [])
    yield maker
    for session_id in maker.made:
        client.post(f"/sessions/{session_id}/unlock", {})
        client.send("DELETE", f"/sessions/{session_id}")
    client.close()
