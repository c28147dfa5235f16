"""Services: what the gateway takes of a page, how soon a frozen one answers, how soon many do."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.sandbox.shells import IMAGE
from scripts.bench import page_server
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.load import Load, Page, burst, sustained
from scripts.bench.plain import plain_container, started_at_once
from scripts.bench.report import RATIO, Row, Sample
from scripts.bench.sessions import instance_of, new_emulator, wait_for_spare

PORT = 8080
PAGE = b"hello from here\n"
SERVER = Path(page_server.__file__)
CLIENTS = 16
"""Kept-alive connections, with one request at a time on each."""
TURNS = 5
COUNT = 30
SERVICE_MIB = "64"
"""What each is promised, so that a machine of 4 GB has them all."""
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 120


def gateway(bench: Bench) -> list[Row]:
    """The same program in a service, through the gateway, and on this machine's loopback."""
    sides: dict[str, tuple[list[Load], list[Load]]] = {}
    with (
        new_emulator() as emulator,
        Connection(emulator.api) as connection,
        page_server_here() as base,
    ):
        name = _made(connection, "bench")
        _first_page(emulator.api, name)
        wait_for_spare(bench, instance_of(connection), sessions=1)
        pages = {
            "gateway": Page(emulator.api, PAGE, f"{name}.on.localhost"),
            "directly": Page(base, PAGE),
        }
        for _ in range(TURNS):
            for side, page in pages.items():
                one, many = sides.setdefault(side, ([], []))
                one.append(sustained(page, 1, bench.effort.step_seconds / TURNS))
                many.append(sustained(page, CLIENTS, bench.effort.step_seconds / TURNS))
    times = {side: _times(side, one) for side, (one, _) in sides.items()}
    rates = {
        side: Sample(side, "/s", [load.per_second for load in many])
        for side, (_, many) in sides.items()
    }
    share = [load.own_share for load in sides["gateway"][1]]
    slower = times["gateway"].p50 / times["directly"].p50
    rate = rates["gateway"].p50 / rates["directly"].p50
    asked = f"pages a second, {CLIENTS} connections, through the gateway / directly"
    rated = (*rates.values(), Sample("clients' own processor time", "%", share))
    return [
        Row("gateway", asked, rate, RATIO, rated),
        Row(
            "gateway-p50",
            "a page through the gateway / directly, p50",
            slower,
            RATIO,
            (*times.values(),),
        ),
    ]


def _times(side: str, loads: list[Load]) -> Sample:
    return Sample(side, "ms", [value for load in loads for value in load.milliseconds])


def waking(bench: Bench) -> list[Row]:
    """From a request to a frozen service to its page, in turn with the engine's part of that."""
    woken, alone = [], []
    with (
        new_emulator() as emulator,
        Connection(emulator.api) as connection,
        plain_container(bench, bench.catalogue.usual()[0], ["sleep", "infinity"]) as plain,
    ):
        name = _made(connection, "bench")
        _first_page(emulator.api, name)
        wait_for_spare(bench, instance_of(connection), sessions=1)
        page = Page(emulator.api, PAGE, f"{name}.on.localhost")
        for _ in range(bench.effort.samples):
            alone.append(_unpaused(bench, plain.container_id))
            connection.post(f"/services/{name}/freeze", {})
            woken += burst(page, 1).milliseconds
    sample = Sample("to the page", "ms", woken)
    samples = (sample, Sample("the engine's unpause alone", "ms", alone))
    return [Row("wake", "a request to a frozen service, p50", sample.p50, "ms", samples)]


def _unpaused(bench: Bench, container_id: str) -> float:
    """Milliseconds in which the engine lets a paused container go on."""
    api: Any = bench.engine.client.api
    api.pause(container_id)
    began = time.perf_counter()
    api.unpause(container_id)
    return (time.perf_counter() - began) * 1000


def many_services(bench: Bench) -> list[Row]:
    """30 clients, each of which creates a service and asks for its page."""
    alone = started_at_once(bench, IMAGE, COUNT)
    with new_emulator(session_memory=SERVICE_MIB) as emulator:

        def make(number: int) -> tuple[float, float]:
            with Connection(emulator.api) as connection:
                name = _made(connection, f"bench-{number}")
                created = time.perf_counter()
                _first_page(emulator.api, name)
                return created - began, time.perf_counter() - began

        with ThreadPoolExecutor(COUNT) as pool:
            began = time.perf_counter()
            answered, shown = zip(*pool.map(make, range(COUNT)), strict=True)
        _destroy_all(emulator.api)
    samples = (
        Sample("pages", "s", shown),
        Sample("answers", "s", answered),
        Sample("the engine alone", "s", [alone]),
    )
    figure = f"{COUNT} services at once: to the last one's first page"
    return [Row("services-30", figure, max(shown), "s", samples)]


def _made(connection: Connection, name: str) -> str:
    """A service that serves the page; its name."""
    script = f"cat > server.py <<'END'\n{SERVER.read_text()}END\nexec python3 server.py {PORT}\n"
    connection.post("/services", {"name": name, "ports": [PORT], "bootstrap": script})
    return name


def _first_page(api: str, name: str) -> None:
    """Return once it is there; the gateway gives up on what takes long to start."""
    page, end = Page(api, PAGE, f"{name}.on.localhost"), time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            burst(page, 1)
        except RuntimeError:
            if time.monotonic() >= end:
                raise
            time.sleep(POLL_SECONDS)
        else:
            return


def _destroy_all(api: str) -> None:
    with Connection(api) as connection:
        for service in connection.get("/services").document["services"]:
            connection.delete(f"/services/{service['id']}")


@contextmanager
def page_server_here() -> Iterator[str]:
    """The same program on this machine for the block; its address."""
    command = [sys.executable, str(SERVER), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()
