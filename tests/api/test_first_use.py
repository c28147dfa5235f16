"""A language whose image is not built is built when it is first asked for."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from emulator import life
from emulator.paths import RUNTIMES
from emulator.sandbox.runtimes import Catalogue
from tests.client import Client
from tests.server import Server, running, settings

Json = dict[str, Any]
Unbuilt = Callable[..., tuple[Client, Server]]

RUNTIME = """\
aliases = []
extensions = [".awk"]
interpreters = ["awk"]
{image}
[run]
source = "main.awk"
command = ["bash", "{{source}}"]
version = ["bash", "--version"]
"""
SLOW = "RUN sleep 3; cat /proc/sys/kernel/random/uuid > /made"
MADE = "cat /made"


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unbuilt]:
    """An emulator whose language awk has an image of these lines, which nobody has built yet."""
    folder = tmp_path / "runtimes"
    shutil.copytree(RUNTIMES, folder)
    monkeypatch.setattr(life, "RUNTIMES", folder)
    tags: list[str] = []
    with ExitStack() as stack:
        stack.callback(_remove, tags)

        def start(*lines: str, image: str = "", **flags: str) -> tuple[Client, Server]:
            _write_awk(folder / "awk", lines, image)
            asked = {"languages": "bash", "pool_size": "1", **flags}
            server = stack.enter_context(running(settings(tmp_path / "state", **asked)))
            client = stack.enter_context(closing(Client(server.api)))
            tags.append(server.emulator.images.image("awk").reference)
            return client, server

        yield start


def _write_awk(folder: Path, lines: Sequence[str], image: str) -> None:
    recipe = ("ARG BASE", "FROM ${BASE}", f"ENV UNIQUE={secrets.token_hex(8)}", *lines)
    shutil.rmtree(folder)
    (folder / "tests").mkdir(parents=True)
    for program in (RUNTIMES / "bash" / "tests").iterdir():
        shutil.copy(program, folder / "tests" / f"{program.stem}.awk")
    (folder / "Dockerfile").write_text("\n".join(recipe))
    (folder / "runtime.toml").write_text(RUNTIME.format(image=image))


def _remove(tags: Sequence[str]) -> None:
    with engine() as client:
        for tag in tags:
            with suppress(ImageNotFound):
                client.api.remove_image(tag)


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    with closing(docker.from_env()) as client:
        yield client


def awk(client: Client, code: str = "echo $((6 * 7))") -> Json:
    return client.execute("awk", code)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to hold")


def job(client: Client, job_id: str) -> Json:
    found: Json = client.send("GET", f"/jobs/{job_id}").json()
    return found


def begun(client: Client, code: str = "echo $((6 * 7))") -> str:
    accepted = client.post("/execute/async", {"language": "awk", "code": code})
    assert accepted.status_code == 200, accepted.text
    return str(accepted.json()["job_id"])


def test_the_first_request_waits_for_the_image_and_runs_in_it(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt("RUN touch /made")
    answer = awk(client, "ls /made && echo $((6 * 7))")
    assert (answer["stdout"], answer["success"]) == ("/made\n42\n", True)


def test_a_job_tells_that_its_image_is_being_built(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt(SLOW)
    job_id = begun(client)
    until(lambda: "message" in job(client, job_id))
    waiting = job(client, job_id)
    assert waiting["status"] == "pending"
    assert "image of awk is being built" in waiting["message"]
    until(lambda: job(client, job_id)["status"] == "completed")
    done = job(client, job_id)
    assert done["stdout"] == "42\n"
    assert "message" not in done
    assert done["total_time_ms"] < 3000  # the build is no time of the program


def test_however_many_wait_it_is_built_once(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt(SLOW)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: awk(client, MADE), range(6)))
    assert len({answer["stdout"] for answer in answers}) == 1
    assert all(answer["success"] for answer in answers)


def test_others_run_while_an_image_is_built(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt(SLOW)
    job_id = begun(client)
    until(lambda: "message" in job(client, job_id))
    assert client.execute("bash", "echo meanwhile")["stdout"] == "meanwhile\n"
    assert job(client, job_id)["status"] == "pending"


def test_a_job_that_waits_for_its_image_can_be_cancelled(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt(SLOW)
    job_id = begun(client)
    until(lambda: "message" in job(client, job_id))
    assert client.send("DELETE", f"/jobs/{job_id}").status_code == 200
    assert job(client, job_id)["status"] == "cancelled"
    assert awk(client, MADE)["success"]  # the build went on for who comes next


def test_an_image_that_cannot_be_built_is_a_503_with_reason_and_command(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt("RUN exit 7")
    for _ in range(2):
        response = client.post("/execute", {"language": "awk", "code": "echo"})
        assert (response.status_code, response.json()["code"]) == (503, "RUNTIME_UNAVAILABLE")
        assert "returned a non-zero code: 7" in response.json()["details"]
        assert "unsandbox-emulator runtimes build awk" in response.json()["details"]
    refused = client.post("/execute/async", {"language": "awk", "code": "echo"})
    assert (refused.status_code, refused.json()["code"]) == (503, "RUNTIME_UNAVAILABLE")


def test_a_job_whose_image_cannot_be_built_fails_with_the_reason(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt("RUN exit 7")
    job_id = begun(client)
    until(lambda: job(client, job_id)["status"] == "failed")
    assert "returned a non-zero code: 7" in job(client, job_id)["error"]
    assert "unsandbox-emulator runtimes build awk" in job(client, job_id)["error"]


def test_an_official_image_that_no_registry_gives_is_named(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt(image='[image]\nofficial = "nowhere.invalid/awk:1"')
    response = client.post("/execute", {"language": "awk", "code": "echo"})
    assert (response.status_code, response.json()["code"]) == (503, "RUNTIME_UNAVAILABLE")
    assert "no registry gave nowhere.invalid/awk:1" in response.json()["details"]


def test_a_request_does_not_wait_for_its_image_for_ever(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt("RUN sleep 8", queue_timeout="1")
    response = client.post("/execute", {"language": "awk", "code": "echo"})
    assert (response.status_code, response.json()["code"]) == (503, "NO_CAPACITY")
    assert "image of awk is still being built" in response.json()["details"]


def test_an_image_that_was_removed_meanwhile_is_built_again(unbuilt: Unbuilt) -> None:
    client, server = unbuilt(MADE.replace("cat", "RUN touch"), isolation="container", pool_size="0")
    assert awk(client)["success"]
    with engine() as docker_client:
        docker_client.api.remove_image(server.emulator.images.image("awk").reference, force=True)
    client.post("/execute", {"language": "awk", "code": "echo"})  # this one finds it gone
    assert awk(client)["success"]


def test_every_language_of_the_catalogue_is_listed_built_or_not(unbuilt: Unbuilt) -> None:
    client, _ = unbuilt()
    listed = client.send("GET", "/languages").json()
    assert listed["languages"] == Catalogue.load(RUNTIMES).languages()
