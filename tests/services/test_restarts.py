"""What becomes of services when the emulator or the engine ends, however it does."""

import shlex
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import msgspec
import pytest
from docker.models.containers import Container

from emulator.sandbox.engine import LABEL
from emulator.sandbox.shells import IMAGE
from emulator.store.documents import unpack
from emulator.store.services import ServiceRecord
from tests.client import Client
from tests.containers import eventually
from tests.engine_proxy import EngineProxy
from tests.server import running, settings
from tests.test_life import instance, restarted, started

Json = dict[str, Any]

COUNTER = """\
echo again >> runs
cat > counter.py <<'END'
import http.server

class Counter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0

    def do_GET(self):
        Counter.count += 1
        body = str(Counter.count).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Counter).serve_forever()
END
python3 counter.py &
"""
"""Leaves a server in the background that counts its requests in memory, and prints them."""

WEB: Mapping[str, object] = {"ports": [8080], "bootstrap": COUNTER}
WAITING = "echo begun; until [ -e go ]; do sleep 0.05; done; echo over; exit 3"
FROM_INSIDE = "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/unheard')"
AT_A_TIME = 3
STARTED_AGAIN = "the container was started again"


class Machine:
    """The containers and the state of an emulator, for what happens while it does not run."""

    def __init__(self, directory: Path, engine: docker.DockerClient) -> None:
        self._directory = directory
        self._engine = engine

    def of(self, service: Json) -> Container:
        (found,) = (one for one in self.all() if hostname(one) == service["container_name"])
        return found

    def all(self) -> list[Container]:
        """Those of services, and the one that waits for the next."""
        labels = [f"{LABEL}={instance(self._directory)}", f"{LABEL}.runtime={IMAGE}"]
        return list(
            self._engine.containers.list(all=True, ignore_removed=True, filters={"label": labels})
        )

    def spare(self, services: list[Json]) -> Container:
        """The one that waits for the next service, once it is ready for it."""
        found: list[Container] = []
        taken = {service["container_name"] for service in services}

        def look() -> bool:
            found[:] = [one for one in self.all() if hostname(one) not in taken]
            if [one.status for one in found] != ["running"]:
                return False
            ready = ["test", "-d", "/tmp/artifacts"]  # the last that is made there
            return bool(found[0].exec_run(ready).exit_code == 0)

        eventually(look)
        return found[0]

    def record(self, service: Json) -> ServiceRecord:
        """What would be taken up of a service."""
        query = "select state from services where service_id = ?"
        ((state,),) = self._select(query, service["id"])
        return msgspec.convert(unpack(state), ServiceRecord)

    def vaults(self) -> int:
        ((count,),) = self._select("select count(*) from vaults")
        return int(count)

    def _select(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        path = self._directory / "data" / "emulator.sqlite3"
        with closing(sqlite3.connect(path)) as database:
            return database.execute(query, values).fetchall()


def hostname(container: Container) -> str:
    return str(container.attrs["Config"]["Hostname"])


class Asker:
    """Asks an emulator about services, and services themselves."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def make(self, name: str, **fields: object) -> Json:
        return self.ok(self.client.post("/services", {"name": name, **fields}))

    def settled(self, name: str, **fields: object) -> Json:
        """Made, and no longer starting."""
        service = self.make(name, **fields)
        eventually(lambda: self.state(service) != "starting")
        return self.read(service)

    def read(self, service: Json) -> Json:
        return self.ok(self.client.get(f"/services/{service['id']}"))

    def state(self, service: Json) -> str:
        return str(self.read(service)["state"])

    def change(self, service: Json, what: str, **fields: object) -> Json:
        return self.ok(self.client.post(f"/services/{service['id']}/{what}", fields))

    def run(self, service: Json, command: str) -> str:
        return str(self.change(service, "execute", command=command)["stdout"])

    def log(self, service: Json) -> str:
        return str(self.ok(self.client.get(f"/services/{service['id']}/logs"))["log"])

    def listed(self) -> list[Json]:
        found: list[Json] = self.ok(self.client.get("/services"))["services"]
        return found

    def page(self, service: Json, host: str = "{}.on.localhost") -> str:
        """What a service answers to a request by its host name."""
        headers = {"Host": host.format(service["name"])}
        answer = httpx.get(self.client.base, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    def ok(self, response: httpx.Response) -> Json:
        assert response.status_code == 200, response.text
        document: Json = response.json()
        return document


def described(service: Json) -> Json:
    """All but the address, as each emulator of these tests has another port."""
    return {name: value for name, value in service.items() if name != "url"}


Send = Callable[[str, str, object], "Future[int | None]"]


@contextmanager
def in_flight(api: str) -> Iterator[Send]:
    """Sends requests that may never be answered; each gives a future of the status, or of None."""

    def send(method: str, path: str, body: object) -> int | None:
        with closing(Client(api)) as client:
            try:
                return client.send(method, path, msgspec.json.encode(body)).status_code
            except httpx.TransportError:
                return None

    with ThreadPoolExecutor(4) as threads:
        yield lambda method, path, body: threads.submit(send, method, path, body)


def _destroy_all(client: Client) -> None:
    def destroy(service: Json) -> int:
        return client.send("DELETE", f"/services/{service['id']}").status_code

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        assert set(threads.map(destroy, Asker(client).listed())) == {200}


@dataclass(frozen=True)
class After:
    """Services of before a kill, as they were then, and who asks the emulator after it."""

    ask: Asker
    machine: Machine
    before: dict[str, Json]
    logs: dict[str, str]

    def __getitem__(self, name: str) -> Json:
        return self.before[name]


SERVICES: Mapping[str, Mapping[str, object]] = {
    "counting": {**WEB, "custom_domains": ["kept.example"], "env": {"GREETING": "two words"}},
    "frozen": WEB,
    "starting": {"ports": [9], "bootstrap": WAITING},
    "failed": {"bootstrap": "echo in vain; exit 7"},
    "ended": {**WEB, "custom_domains": ["ended.example"], "env": {"GREETING": "again"}},
    "ended-frozen": WEB,
    "ended-later": WEB,
    "paused": {},
    "removed": {},
    "redeployed": WEB,
    "destroyed": {},
}
FROZEN = ("frozen", "ended-frozen", "ended-later")


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[After]:
    """The emulator is killed amid work on services of all kinds; things go on without it."""
    directory = tmp_path_factory.mktemp("killed")
    with closing(docker.from_env()) as engine:
        machine = Machine(directory, engine)
        with started(directory) as process, in_flight(process.api) as send:
            process.wait_ready()
            with closing(Client(process.api)) as client:
                ask = Asker(client)
                with ThreadPoolExecutor(AT_A_TIME) as threads:
                    made = dict(
                        zip(
                            SERVICES,
                            threads.map(lambda name: ask.make(name, **SERVICES[name]), SERVICES),
                            strict=True,
                        )
                    )
                eventually(
                    lambda: (
                        {it["id"] for it in ask.listed() if it["state"] == "starting"}
                        == {made["starting"]["id"]}
                    )
                )
                for name in FROZEN:
                    assert ask.page(made[name]) == "1"
                    ask.change(made[name], "freeze")
                assert [ask.page(made["counting"]) for _ in range(2)] == ["1", "2"]
                before = {name: ask.read(service) for name, service in made.items()}
                logs = {name: ask.log(service) for name, service in made.items()}
            _begin_what_never_ends(machine, before, send)
            destroyed = send("DELETE", f"/services/{before['destroyed']['id']}", None)
            process.end(signal.SIGKILL)
            destroyed.result(60)
        _go_on_without(machine, before)
        with restarted(directory) as (_, client):
            yield After(Asker(client), machine, before, logs)
            _destroy_all(client)


def _begin_what_never_ends(machine: Machine, before: dict[str, Json], send: Send) -> None:
    """A creation and a redeploy in containers that stand still, so that both are half done."""
    spare = machine.spare(list(before.values()))
    spare.pause()
    made = send("POST", "/services", {"name": "half", "env": {"A": "b"}, **WEB})
    machine.of(before["redeployed"]).pause()
    path = f"/services/{before['redeployed']['id']}/redeploy"
    redeployed = send("POST", path, {"bootstrap": COUNTER + "echo anew"})
    eventually(lambda: machine.vaults() == 3)
    eventually(lambda: not machine.record(before["redeployed"]).deployed)
    assert not made.done()
    assert not redeployed.done()


def _go_on_without(machine: Machine, before: dict[str, Json]) -> None:
    machine.of(before["redeployed"]).unpause()
    command = shlex.join(["python3", "-c", FROM_INSIDE])
    assert machine.of(before["counting"]).exec_run(["sh", "-c", command]).exit_code == 0
    machine.of(before["ended"]).kill()
    machine.of(before["ended-frozen"]).kill()
    machine.of(before["paused"]).pause()
    machine.of(before["removed"]).remove(force=True, v=True)


@pytest.mark.parametrize("name", ["counting", "frozen", "starting", "failed"])
def test_after_a_kill_a_service_is_what_it_was(after: After, name: str) -> None:
    assert described(after.ask.read(after[name])) == described(after[name])
    assert after.ask.log(after[name]).startswith(after.logs[name])


def test_all_services_are_listed_and_one_that_was_being_destroyed_perhaps(after: After) -> None:
    made = {service["id"] for service in after.before.values()}
    listed = {service["id"] for service in after.ask.listed()}
    assert made - listed <= {after["destroyed"]["id"]}
    assert listed <= made


def test_a_service_goes_on_with_its_memory_files_vault_and_domain(after: After) -> None:
    service = after["counting"]
    assert after.ask.page(service) == "4"  # one was counted meanwhile
    assert after.ask.page(service, "kept.example") == "5"
    assert after.ask.run(service, "cat runs; printenv GREETING") == "again\ntwo words\n"
    eventually(lambda: after.ask.log(service).count("GET / ") == 4)


def test_a_frozen_service_wakes_for_a_request_with_its_memory(after: After) -> None:
    assert after.ask.page(after["frozen"]) == "2"
    assert after.ask.state(after["frozen"]) == "running"
    assert STARTED_AGAIN not in after.ask.log(after["frozen"])


def test_a_script_that_still_runs_is_heard_to_its_end(after: After) -> None:
    after.ask.run(after["starting"], "touch go")
    eventually(lambda: after.ask.state(after["starting"]) == "failed")
    assert "exit code 3" in after.ask.read(after["starting"])["message"]
    assert after.ask.log(after["starting"]) == "begun\nover\n"


def test_without_its_container_s_memory_a_service_starts_again_over_its_files(
    after: After,
) -> None:
    service = after["ended"]
    assert after.ask.page(service, "ended.example") == "1"
    eventually(lambda: after.ask.state(service) == "running")
    assert described(after.ask.read(service)) == described(service)
    assert after.ask.run(service, "cat runs; printenv GREETING") == "again\nagain\nagain\n"
    log = after.ask.log(service)
    assert log.startswith(after.logs["ended"])
    assert STARTED_AGAIN in log


def test_a_frozen_one_stays_frozen_and_starts_again_when_it_is_woken(after: After) -> None:
    service = after["ended-frozen"]
    assert described(after.ask.read(service)) == described(service)
    assert after.ask.log(service) == after.logs["ended-frozen"]
    assert after.ask.page(service) == "1"
    assert STARTED_AGAIN in after.ask.log(service)
    assert after.ask.run(service, "cat runs") == "again\nagain\n"


def test_a_frozen_one_of_an_earlier_emulator_may_lose_its_container_now(after: After) -> None:
    service = after["ended-later"]
    after.machine.of(service).kill()
    assert after.ask.state(service) == "frozen"
    assert after.ask.page(service) == "1"
    assert STARTED_AGAIN in after.ask.log(service)


def test_one_that_was_paused_and_not_yet_recorded_so_is_frozen(after: After) -> None:
    assert after.ask.state(after["paused"]) == "frozen"
    assert after.ask.change(after["paused"], "unfreeze")["state"] == "running"


def test_a_container_that_was_removed_meanwhile_is_told(after: After) -> None:
    document = after.ask.read(after["removed"])
    assert (document["state"], "was removed" in document["message"]) == ("failed", True)


def test_a_redeploy_that_was_begun_is_done(after: After) -> None:
    service = after["redeployed"]
    assert after.ask.page(service) == "1"
    assert "anew" in after.ask.log(service)
    eventually(lambda: after.ask.state(service) == "running")


def test_nothing_is_left_of_what_was_half_made_or_half_destroyed(after: After) -> None:
    listed = after.ask.listed()
    assert "half" not in {service["name"] for service in listed}
    assert after.machine.vaults() == 2
    known = {after.ask.read(service)["container_name"] for service in listed}
    known.remove(after["removed"]["container_name"])
    eventually(lambda: known <= {hostname(one) for one in after.machine.all()})
    again = after.ask.settled("half")  # its name is free
    kept = {*known, again["container_name"]}
    spare = hostname(after.machine.spare([{"container_name": name} for name in kept]))
    assert {hostname(one) for one in after.machine.all()} == {*kept, spare}


def test_an_engine_that_only_forgot_the_conversation_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EngineProxy(tmp_path / "engine") as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.url)
        with (
            running(settings(tmp_path, languages="bash", pool_size="1")) as server,
            closing(Client(server.api)) as client,
        ):
            ask = Asker(client)
            service = ask.settled("on", **WEB)
            assert ask.page(service) == "1"
            proxy.cut()
            eventually(lambda: ask.state(service) == "starting")
            proxy.restore()
            eventually(lambda: ask.state(service) == "running")
            assert ask.page(service) == "2"
            assert STARTED_AGAIN not in ask.log(service)
            ask.ok(client.send("DELETE", f"/services/{service['id']}"))
