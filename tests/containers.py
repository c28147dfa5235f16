"""What the engine knows of a server's containers."""

import time
from collections.abc import Callable

from docker.errors import APIError
from docker.models.containers import Container

from emulator.sandbox.engine import LABEL
from emulator.sandbox.pool import Figures
from tests.server import Server


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def containers(
    server: Server, *, runtime: str | None = None, everything: bool = False
) -> list[Container]:
    """Those of this server that run, or all of them; of one runtime or of all."""
    labels = [f"{LABEL}={server.emulator.engine.instance}"]
    if runtime is not None:
        labels.append(f"{LABEL}.runtime={runtime}")
    return server.emulator.engine.client.containers.list(
        all=everything, ignore_removed=True, filters={"label": labels}
    )


def figures(server: Server) -> Figures:
    async def ask() -> Figures:
        return server.emulator.pool.figures()

    return server.call(ask())


def settled(server: Server) -> bool:
    """Whether nothing runs, is made clean, started or removed."""
    now = figures(server)
    busy = now.allocated + now.spawning
    return busy == 0 and len(containers(server, everything=True)) == now.available


def warm_container(server: Server, runtime: str) -> Container:
    """The one that waits for the next run of `runtime`, once nothing else is going on."""
    eventually(lambda: settled(server) and len(containers(server, runtime=runtime)) == 1)
    return containers(server, runtime=runtime)[0]


def runs(container: Container, program: str) -> bool:
    try:
        rows = container.top()["Processes"] or ()
    except APIError:  # it ended meanwhile
        return False
    return any(program in " ".join(row) for row in rows)


def container_running(server: Server, program: str) -> Container:
    found: list[Container] = []

    def look() -> bool:
        found[:] = [one for one in containers(server) if runs(one, program)]
        return bool(found)

    eventually(look)
    return found[0]
