"""Programs that use up what they can: memory, processes, places to write, the emulator itself."""

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from emulator.sandbox import frames
from tests.client import Client
from tests.hostile import BOMBS, FILLINGS, MIB, SOCKET_PAIRS
from tests.modes import in_both_modes
from tests.server import Server

pytestmark = in_both_modes


@contextmanager
def answering(server: Server) -> Iterator[None]:
    """The block goes by with `GET /health` answered in a moment all the while."""
    over = threading.Event()
    slowest = 0.0

    def ask() -> None:
        nonlocal slowest
        with httpx.Client(base_url=server.api, timeout=60) as http:
            while not over.wait(0.05):
                began = time.monotonic()
                assert http.get("/health").status_code == 200
                slowest = max(slowest, time.monotonic() - began)

    with ThreadPoolExecutor() as threads:
        asking = threads.submit(ask)
        try:
            yield
        finally:
            over.set()
        asking.result()
    assert slowest < 5


def assert_next_works(client: Client) -> None:
    assert client.execute("bash", "echo fine")["stdout"] == "fine\n"


@pytest.mark.parametrize("name", FILLINGS)
def test_what_can_be_filled_is_bounded(client: Client, name: str) -> None:
    filling = FILLINGS[name]
    answer = client.execute(filling.language, filling.code)
    assert filling.told in answer["stderr"]
    assert 0.9 * filling.bound <= int(answer["stdout"]) <= filling.bound


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_harms_nobody_else(client: Client, server: Server, name: str) -> None:
    bomb = BOMBS[name]
    with answering(server), ThreadPoolExecutor() as threads:
        run = threads.submit(client.execute, bomb.language, bomb.code, ttl=3)
        time.sleep(1)
        other = Client(client.base)
        assert_next_works(other)
        other.close()
        answer = run.result()
    assert answer["success"] is False
    assert answer["exit_code"] in (1, 124, 137)
    assert_next_works(client)


def test_processes_are_bounded(client: Client) -> None:
    code = "for i in {1..400}; do sleep 9 & done; echo unreached"
    answer = client.execute("bash", code, ttl=3)
    assert "Resource temporarily unavailable" in answer["stderr"]


def test_memory_that_no_process_owns_costs_the_run_at_most(client: Client) -> None:
    """Socket buffers count for the container alone: the kernel may choose the agent then."""
    response = client.post("/execute", {"language": "c", "code": SOCKET_PAIRS, "ttl": 20})
    if response.status_code != 200:
        assert (response.status_code, response.json()["code"]) == (500, "SANDBOX_FAILED")
    assert_next_works(client)


def resident() -> int:
    """Bytes of memory that this process, the server's too, has at the moment."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def test_a_flood_of_output_does_not_fill_the_server(client: Client, server: Server) -> None:
    before, most, over = resident(), 0, threading.Event()

    def watch() -> int:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, resident())
        return most

    with ThreadPoolExecutor() as threads, answering(server):
        watching = threads.submit(watch)
        answer = client.execute("bash", "yes & yes >&2 & yes; :", ttl=4)
        over.set()
        assert watching.result() - before < 512 * MIB
    assert answer["status"] == "timeout"
    assert len(answer["stdout"]) == 16 * MIB
    assert answer["stdout_truncated"] is answer["stderr_truncated"] is True


def forgeries() -> bytes:
    """Frames and Docker's headers as they would be if the program's output were the stream."""
    body = b"\x20\x04\0\0\0\0\0\0\0"
    made = b"".join(
        frames.header(kind, channel, epoch, body, 0) + body
        for kind in (frames.Type.EXIT, frames.Type.ERROR, frames.Type.CLOSE, frames.Type.HELLO)
        for channel in (*range(12), frames.OWN_CHANNELS)
        for epoch in (0, 1, 2**32 - 1)
    )
    docker = (
        b"\x01\0\0\0\0\0\0\x05evil\n" + b"\x02\0\0\0\xff\xff\xff\xff" + b"\x03\0\0\0\0\0\0\x01!"
    )
    return b"UB" + made + docker + frames.PADDING + made


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_program_prints_is_output_and_nothing_else(client: Client, stream: str) -> None:
    forged = forgeries()
    code = "import base64, os\nos.write({}, base64.b64decode({!r}))\nos._exit(7)"
    number = {"stdout": 1, "stderr": 2}[stream]
    code = code.format(number, base64.b64encode(forged).decode())
    answer = client.execute("python", code)
    assert answer[stream] == forged.decode("utf-8", "replace")
    assert (answer["exit_code"], answer["success"]) == (7, False)
