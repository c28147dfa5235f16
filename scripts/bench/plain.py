"""Containers with no emulator in between: what the emulator's figures are held against."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from docker.types import LogConfig

from emulator.sandbox.frames import Demultiplexer
from emulator.sandbox.runtimes import Runtime
from scripts.bench.bench import Bench

LABEL = "com.unsandbox.emulator.bench"
OPTIONS: dict[str, Any] = {
    "network_mode": "none",
    "tmpfs": {"/tmp": "exec,mode=1777"},  # noqa: S108 - inside the container
}
"""What every one of them has: no network, and no limits."""

AT_A_TIME = 8
"""Containers that are started at the same time: as many as an emulator asks for, or more."""

PIECE = 65_536
SILENT_SECONDS = 120


class Streams:
    """The standard streams of a container, as Docker attaches them."""

    def __init__(self, container_id: str, attached: socket.socket) -> None:
        self.container_id = container_id
        self._attached = attached
        self._stdout, self._stderr = bytearray(), bytearray()
        self._docker = Demultiplexer(self._stdout.extend, self._stderr.extend)

    def send(self, data: bytes) -> None:
        self._attached.sendall(data)

    def line(self) -> str:
        """The next line of stdout."""
        while b"\n" not in self._stdout:
            self._receive()
        line, _, self._stdout[:] = self._stdout.partition(b"\n")
        return line.decode()

    def skip(self, count: int) -> None:
        """Receive `count` bytes of stdout and keep none of them."""
        while count > 0:
            if not self._stdout:
                self._receive()
            count -= len(self._stdout)
            self._stdout.clear()

    def _receive(self) -> None:
        data = self._attached.recv(PIECE)
        if not data:
            raise RuntimeError(f"a plain container ended early: {self._stderr.decode()}")
        self._docker.feed(data)


@contextmanager
def plain_container(bench: Bench, runtime: Runtime, command: Sequence[str]) -> Iterator[Streams]:
    """`command` in the runtime's image for the block; without a log."""
    api: Any = bench.engine.client.api
    container_id = _created(bench, runtime.name, command, environment=runtime.environment)
    try:
        with _attached(api, container_id) as attached:
            api.start(container_id)
            yield Streams(container_id, attached)
    finally:
        api.remove_container(container_id, force=True, v=True)


def started_at_once(bench: Bench, image: str, count: int) -> float:
    """Seconds that the engine takes to start so many containers of an image, which then go."""
    api: Any = bench.engine.client.api
    created: list[str] = []

    def start(_: int) -> None:
        created.append(_created(bench, image, ["sleep", "infinity"]))
        api.start(created[-1])

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            began = time.perf_counter()
            list(pool.map(start, range(count)))
            return time.perf_counter() - began
        finally:
            list(pool.map(lambda it: api.remove_container(it, force=True, v=True), created))


def _created(bench: Bench, image: str, command: Sequence[str], **options: object) -> str:
    """The id of a container that is still to be started."""
    api: Any = bench.engine.client.api
    log = LogConfig(type=LogConfig.types.NONE)
    created = api.create_container(
        bench.images.image(image).reference,
        entrypoint=list(command[:1]),
        command=list(command[1:]),
        stdin_open=True,
        labels={LABEL: ""},
        host_config=api.create_host_config(log_config=log, **OPTIONS),
        **options,
    )
    return str(created["Id"])


def _attached(api: Any, container_id: str) -> socket.socket:  # noqa: ANN401 - docker's own client
    params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    stream = api.attach_socket(container_id, params=params)
    try:
        attached = socket.socket(fileno=os.dup(stream.fileno()))
    finally:
        stream._response.close()
    attached.settimeout(SILENT_SECONDS)
    return attached
