"""Values of vaults, planted in every way, are looked for wherever others could come by them."""

import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import docker
import httpx
import pytest
from docker.models.containers import Container

from tests.api.test_vault import forms, planted
from tests.client import Client
from tests.containers import eventually
from tests.test_life import Process, containers, restarted, started

ENV = "/services/planted/env"
RUNTIME = Path("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby")
"""Where an engine that runs as root keeps what it starts containers from."""


class Planting:
    """Puts secrets into vaults, and makes sure that no answer but the export repeats one."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.secrets: list[str] = []
        self.token = secrets.token_hex(4)

    def secret(self, name: str) -> str:
        """No other run of this test has the same."""
        self.secrets.append(planted(f"{name} {self.token}"))
        return self.secrets[-1]

    def send(self, method: str, path: str, body: object, media: str = "json", **more: str) -> int:
        content = body if isinstance(body, str) else json.dumps(body)
        kind = "text/plain" if media == "text" else "application/json"
        answer = self.client.send(method, path, content.encode(), kind, **more)
        assert not [secret for secret in self.secrets if secret in answer.text]
        return answer.status_code

    def made(self, name: str, **fields: object) -> int:
        return self.send("POST", "/services", {"name": name, **fields})

    def state(self, name: str) -> str:
        return str(self.client.get(f"/services/{name}").json()["state"])

    def exported(self) -> str:
        return str(self.client.send("POST", f"{ENV}/export").json()["env"])


def plant(planting: Planting) -> None:
    """Taken and refused, in all dialects, through all that gives them to programs."""
    secret, send, made = planting.secret, planting.send, planting.made
    waits = {"bootstrap": "sleep 1000"}
    assert made("planted", env={"A": secret("made with it")}, **waits) == 200
    assert made("failing", env={"A": secret("failing")}, bootstrap="exit 3") == 200
    assert made("planted", env={"A": secret("name taken")}) == 409
    assert made("bad-env", env={"A": [secret("no text")]}) == 400
    assert made("bad-env", env=f"A={secret('no object')}") == 400
    assert made("bad-env", env={f"A{n}": secret("too much") * 800 for n in range(4)}) == 400
    assert made("bad-files", env={"A": secret("bad files")}, input_files=[{"x": "y"}]) == 400
    assert send("PUT", ENV, f"A='{secret('text')}'", "text") == 200
    assert send("PUT", ENV, {"content": f"A='{secret('content')}'"}) == 200
    assert send("PUT", ENV, {"env": f"A='{secret('text in env')}'"}) == 200
    assert send("PUT", ENV, {"env": {"A": secret("object")}}) == 200
    assert send("POST", ENV, {"A": secret("flat")}) == 200
    assert send("POST", ENV, f"A='{secret('sent as json')}'") == 200
    assert send("PUT", ENV, f"A=1\n{secret('no line')}\n", "text") == 400
    assert send("PUT", ENV, f"A='{secret('no end')}\n", "text") == 400
    assert send("PUT", ENV, {"A": {"B": secret("nested")}}) == 400
    assert send("PUT", ENV, f'{{"A": "{secret("no json")}"') == 400
    assert send("PUT", "/services/nobody/env", {"A": secret("nobody")}) == 404
    assert send("PUT", ENV, {"A": secret("unsigned")}, **{"X-Signature": "0"}) == 401
    for what in ("redeploy", "freeze", "unfreeze"):
        assert send("PUT", ENV, {"A": secret(f"before {what}")}) == 200
        assert send("POST", f"/services/planted/{what}", {}) == 200
    assert send("POST", "/services/planted/execute", {"command": "test -n $A"}) == 200
    eventually(lambda: planting.state("failing") == "failed")
    assert send("POST", "/services/failing/redeploy", {"bootstrap": "exit ${#A}"}) == 200
    assert send("DELETE", ENV, {"keys": [secret("as a name")]}) == 200
    assert planted(f"before unfreeze {planting.token}") in planting.exported()


def told(process: Process, client: Client) -> Iterator[tuple[str, bytes]]:
    """What is answered."""
    for what in ("requests?limit=1000", "connections?limit=1000", "faults"):
        yield f"admin: {what}", httpx.get(f"{process.admin}/_emulator/{what}").content
    for path in ("/services", "/services/planted", ENV, "/services/planted/logs", "/jobs"):
        yield path, client.get(path).content
    yield "/paas/logs", client.get("/paas/logs?lines=1000").content


def kept(directory: Path, engine: docker.DockerClient) -> Iterator[tuple[str, bytes]]:
    """What is on disk, and what the engine knows."""
    for path in directory.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    for container_id in containers(engine, directory):
        known = engine.api.inspect_container(container_id)
        yield f"inspect {container_id}", json.dumps(known).encode()
    if os.geteuid() == 0:
        root = Path(engine.info()["DockerRootDir"]) / "containers"
        for container_id in containers(engine, directory):
            for folder in (root / container_id, RUNTIME / container_id):
                yield from _files(folder)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.glob("*"):
        with suppress(OSError):  # a pipe, a socket, or gone
            if path.is_file():
                yield str(path), path.read_bytes()


def environments(container: Container) -> Iterator[tuple[str, bytes]]:
    """Of all processes of this machine but those of a container."""
    inside = {row[1] for row in container.top()["Processes"] or ()}
    for process in Path("/proc").glob("[0-9]*"):
        if process.name not in inside:
            for what in ("environ", "cmdline"):
                with suppress(OSError):  # another user's, or gone
                    yield f"{process}/{what}", (process / what).read_bytes()


def assert_nowhere(hidden: list[str], places: Iterator[tuple[str, bytes]]) -> set[str]:
    """Returns where was looked."""
    wanted = [(secret, form) for secret in hidden for form in set(forms(secret))]
    looked = dict(places)
    found = {
        (secret, name)
        for name, content in looked.items()
        for secret, form in wanted
        if form in content
    }
    assert found == set()
    return set(looked)


def test_no_value_of_a_vault_is_found_outside_of_its_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the emulator runs, after it was killed, and in the next one over the same state."""
    monkeypatch.setenv("UNSANDBOX_EMULATOR_LOG_LEVEL", "debug")
    engine = docker.from_env()
    with closing(engine), started(tmp_path) as process:
        process.wait_ready()
        with closing(Client(process.api)) as client:
            planting = Planting(client)
            plant(planting)
            looked = assert_nowhere(planting.secrets, told(process, client))
            looked |= assert_nowhere(planting.secrets, kept(tmp_path, engine))
            name = client.get("/services/planted").json()["container_name"]
            (own,) = (
                one
                for one in map(engine.containers.get, containers(engine, tmp_path))
                if one.attrs["Config"]["Hostname"] == name
            )
            assert_nowhere(planting.secrets, environments(own))
        process.end(signal.SIGKILL)
        looked |= assert_nowhere(planting.secrets, kept(tmp_path, engine))
        assert {str(tmp_path / "output"), str(tmp_path / "data" / "emulator.sqlite3")} <= looked
        with restarted(tmp_path) as (again, other):
            planting.client = other
            assert planted(f"before unfreeze {planting.token}") in planting.exported()
            assert planting.send("POST", "/services/planted/redeploy", {}) == 200
            assert planting.send("DELETE", ENV, {}) == 200
            assert planting.send("PUT", ENV, {"A": planting.secret("deleted with it")}) == 200
            assert_nowhere(planting.secrets, told(again, other))
            for name in ("planted", "failing"):
                assert planting.send("DELETE", f"/services/{name}", "") == 200
            assert_nowhere(planting.secrets, kept(tmp_path, engine))
