"""The proxy's life: what is told when it cannot be had, and what is left when it ends."""

import shutil
from pathlib import Path

import docker
import pytest

from emulator.clock import Clock
from emulator.errors import Unavailable
from emulator.gateway.egress import Egress, EgressSettings
from emulator.paths import RUNTIMES
from emulator.sandbox.builder import Builder
from emulator.sandbox.engine import LABEL, Engine
from emulator.sandbox.images import Images
from emulator.sandbox.origin import Connection
from emulator.sandbox.runtimes import Catalogue
from tests.client import Client
from tests.sandbox.agent_process import scenario
from tests.server import Server, running, settings


def kept(server: Server) -> list[str]:
    """Names of the networks and volumes, and ids of the containers, of an emulator."""
    client = docker.from_env()
    ours: dict[str, str | list[str] | bool] = {
        "label": f"{LABEL}={server.emulator.engine.instance}"
    }
    found = [network.name for network in client.networks.list(filters=ours)]
    found += [volume.name for volume in client.volumes.list(filters=ours)]
    found += [container.id for container in client.containers.list(all=True, filters=ours)]
    client.close()
    return [str(name) for name in found]


def test_nothing_is_left_and_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    with running(settings(tmp_path, languages="bash", pool_size="0")) as server:
        client = Client(server.api)
        assert client.execute("bash", "true")["success"]
        assert not any("egress" in name or "trust" in name for name in kept(server))
        assert client.execute("bash", "true", network_mode="semitrusted")["success"]
        assert sum("egress" in name or "trust" in name for name in kept(server)) == 2
        client.close()
    assert kept(server) == []


@scenario
async def test_a_proxy_that_cannot_be_built_is_told_with_the_reason(tmp_path: Path) -> None:
    runtimes = tmp_path / "runtimes"
    shutil.copytree(RUNTIMES, runtimes)
    (runtimes / "egress" / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN exit 3\n")
    recorded: list[Connection] = []
    engine = Engine(docker.from_env(), "test-egress", 2)
    images, clock = Images(engine.client, Catalogue.load(runtimes)), Clock()
    egress = Egress(
        engine,
        images,
        Builder(engine.client, images, tmp_path / "logs", clock),
        EgressSettings((), (), 60),
        clock,
        recorded.append,
    )
    try:
        with pytest.raises(Unavailable, match="There is no egress proxy: egress was not built"):
            await egress.require()
    finally:
        await egress.close()
        engine.close()
