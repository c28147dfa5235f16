"""What a run leaves for the next one in the same container: nothing."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from docker.models.containers import Container

from emulator import life
from emulator.clock import Clock
from emulator.sandbox import starting
from emulator.sandbox.engine import Engine, EngineError
from emulator.sandbox.limits import Limits
from emulator.sandbox.pool import Sandbox
from emulator.sandbox.starting import Starter
from tests.client import Client
from tests.containers import eventually, settled, warm_container
from tests.hostile import Program
from tests.leftovers import FINGERPRINT, LEFTOVERS
from tests.server import Server, running, settings

SLOW = 60
"""Seconds that cleaning may take where a test is about what is left, on however busy a machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A container for each language, used again and again."""
    flags = {"isolation": "reuse", "pool_size": "1", "languages": "bash,c,python"}
    with running(settings(tmp_path_factory.mktemp("reuse"), **flags)) as made:
        yield made


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "CLEAN_SECONDS", SLOW)


def container_id(server: Server, runtime: str) -> str:
    return str(warm_container(server, runtime).id)


def fingerprint(client: Client) -> list[str]:
    answer = client.execute("python", FINGERPRINT)
    assert answer["stderr"] == ""
    return str(answer["stdout"]).splitlines()


def leave(client: Client, left: Program) -> dict[str, Any]:
    """Runs a program where Python's run: only runs of one language share a container."""
    match left.language:
        case "c":
            built = client.execute("c", left.code, return_artifact=True)
            files = [{"filename": "left", "content": built["artifacts"][0]["data"]}]
            code = "import os; os.execv('/tmp/input/left', ['left'])"
        case "bash":
            files, code = [], f"import os; os.execv('/bin/bash', ['bash', '-c', {left.code!r}])"
        case _:
            files, code = [], left.code
    return client.execute("python", code, input_files=files, ttl=20)


@pytest.mark.usefixtures("patient")
def test_the_next_run_has_the_same_container_and_another_user(
    client: Client, server: Server
) -> None:
    before = container_id(server, "bash")
    users = [client.execute("bash", "id -u")["stdout"] for _ in range(5)]
    assert len(set(users)) == 5
    assert container_id(server, "bash") == before


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", LEFTOVERS)
def test_nothing_is_left_for_the_next_run(client: Client, server: Server, name: str) -> None:
    before, container = fingerprint(client), container_id(server, "python")
    left = leave(client, LEFTOVERS[name])
    assert left["status"] in ("completed", "timeout"), left
    assert fingerprint(client) == before
    assert container_id(server, "python") == container


def test_a_fingerprint_tells_what_is_there(client: Client) -> None:
    """Or its being the same would say nothing."""
    clean = fingerprint(client)
    plant = """
        import os, socket
        open("/tmp/planted", "w").close()
        there = socket.socket(socket.AF_UNIX); there.bind("\\0left")
        os.nice(3)
    """
    answer = client.execute("python", dedent(plant) + FINGERPRINT)
    assert len(set(answer["stdout"].splitlines()) - set(clean)) >= 4


@pytest.mark.usefixtures("patient")
def test_killed_for_memory_is_told_of_the_run_that_was(client: Client, server: Server) -> None:
    container = container_id(server, "python")
    hungry = client.execute("python", "x = [b'x' * (1 << 27) for _ in range(40)]")
    killed = client.execute("python", "import os; os.kill(os.getpid(), 9)")
    assert hungry["stderr"].endswith("[killed: out of memory]\n")
    assert (killed["exit_code"], killed["stderr"]) == (137, "")
    assert container_id(server, "python") == container


@pytest.mark.usefixtures("patient")
def test_another_size_is_taken_back(client: Client, server: Server) -> None:
    container = warm_container(server, "bash")
    usual = sizes(container)
    assert client.execute("bash", "sleep 0.1", vcpu=2)["success"]
    assert warm_container(server, "bash").id == container.id
    assert sizes(container) == usual


def sizes(container: Container) -> list[int]:
    container.reload()
    host = container.attrs["HostConfig"]
    return [host[name] for name in ("CpuQuota", "CpuPeriod", "Memory", "MemorySwap")]


# --- containers that are thrown away -----------------------------------------------------------


@pytest.mark.usefixtures("patient")
def test_a_size_that_cannot_be_taken_back_costs_the_container(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resize, calls = Engine.resize, itertools.count()

    async def once(self: Engine, container: str, limits: Limits) -> None:
        if next(calls) > 0:
            raise EngineError("the engine says no")
        await resize(self, container, limits)

    monkeypatch.setattr(Engine, "resize", once)
    container = container_id(server, "bash")
    assert client.execute("bash", "true", vcpu=2)["success"]
    assert container_id(server, "bash") != container
    assert next(calls) == 2


def test_a_container_that_is_not_clean_in_time_is_thrown_away(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "CLEAN_SECONDS", 0.01)
    container = container_id(server, "bash")
    assert client.execute("bash", "touch /tmp/{1..20000}")["success"]
    assert container_id(server, "bash") != container
    assert client.execute("bash", "ls /tmp")["stdout"].split() == ["artifacts", "code", "input"]


def test_cleaning_that_the_loop_ends_before_the_clock_costs_no_place(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop counts milliseconds, the clock parts of them: the loop can be the first to end."""
    renew = Starter.renew

    class Hasty(Clock):
        @asynccontextmanager
        async def timeout(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
            async with super().timeout(seconds and seconds / 1000) as timeout:
                yield timeout

    async def hasty(self: Starter, sandbox: Sandbox) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(self, "_clock", Hasty())
            await renew(self, sandbox)

    container = container_id(server, "bash")
    monkeypatch.setattr(Starter, "renew", hasty)
    assert client.execute("bash", "touch /tmp/{1..20000}")["success"]
    assert container_id(server, "bash") != container
    assert client.execute("bash", "true")["success"]


def test_a_fault_of_the_cleaning_costs_the_container_and_no_place(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = container_id(server, "bash")
    with monkeypatch.context() as patched:
        patched.setattr(Starter, "renew", None)
        assert client.execute("bash", "true")["success"]
        assert container_id(server, "bash") != container
    assert client.execute("bash", "true")["success"]


FLOW_LABEL = """
import socket, struct
label = struct.pack("!16sI", socket.inet_pton(socket.AF_INET6, "::1"), 0x12345)
asked = label + struct.pack("=BBHHHI", 0, 255, 1, 60, 60, 0)
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).setsockopt(41, 32, asked)
print(open("/proc/net/ip6_flowlabel").read())
"""


@pytest.mark.usefixtures("patient")
def test_a_flow_label_costs_the_container(client: Client, server: Server) -> None:
    """It lingers after its socket, and anybody may list it."""
    container = container_id(server, "python")
    answer = client.execute("python", FLOW_LABEL)
    assert "12345" in answer["stdout"], answer
    assert container_id(server, "python") != container


def test_a_container_serves_a_bounded_number_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "RUNS_MAX", 3)
    monkeypatch.setattr(starting, "CLEAN_SECONDS", SLOW)
    with running(settings(tmp_path, languages="bash", pool_size="1")) as own:
        client = Client(own.api)
        places = []
        for _ in range(6):
            places.append(container_id(own, "bash"))
            client.execute("bash", "true")
        client.close()
    assert places == [places[0]] * 3 + [places[3]] * 3
    assert places[0] != places[3]


def test_nothing_runs_any_more_when_the_answer_leaves(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent ends what a program began with the program, before anything is cleaned."""
    renew, seen = Starter.renew, []

    async def look(self: Starter, sandbox: Sandbox) -> None:
        api = server.emulator.engine.client.api
        seen.append((await asyncio.to_thread(api.top, sandbox.container_id))["Processes"])
        await renew(self, sandbox)

    monkeypatch.setattr(Starter, "renew", look)
    code = "for i in {1..5}; do (setsid sleep 4242 > /dev/null 2>&1 &) & done; sleep 0.1"
    assert client.execute("bash", code)["success"]
    eventually(lambda: settled(server))
    assert [len(processes) for processes in seen] == [1]


@pytest.mark.usefixtures("patient")
def test_a_refused_run_leaves_nothing_open(client: Client, server: Server) -> None:
    """Its files and its program are under way when a name turns out to be impossible."""
    container = container_id(server, "python")
    before = fingerprint(client)
    names = ["a", "a/b"]
    files = [{"filename": name, "content": "eA=="} for name in names]
    body = {"language": "python", "code": "while True: print('x' * 999)", "input_files": files}
    assert client.post("/execute", body).status_code == 400
    assert fingerprint(client) == before
    assert container_id(server, "python") == container
