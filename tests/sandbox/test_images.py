import io
import os
import secrets
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound

from emulator.paths import RUNTIMES
from emulator.sandbox.build_context import EXTRA_CA, BuildContext
from emulator.sandbox.build_log import BuildCancelled
from emulator.sandbox.build_targets import (
    AgentVolume,
    DebianImage,
    DockerfileImage,
    OfficialImage,
    Target,
)
from emulator.sandbox.engine import AGENT_MOUNT, LABEL
from emulator.sandbox.images import BuildFailed, Images, Progress, build, plan
from emulator.sandbox.runtimes import Catalogue
from tests.built import needs

CATALOGUE = Catalogue.load(RUNTIMES)


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> DockerfileImage:
    image = Images(client, CATALOGUE).image("base")
    build(client, plan(client, [image]), tmp_path_factory.mktemp("logs"), print)
    return image


Forget = Callable[[str], None]


@pytest.fixture
def forget(client: docker.DockerClient) -> Iterator[Forget]:
    """Remembers tags, to be removed after the test."""
    tags: list[str] = []
    yield tags.append
    for tag in tags:
        try:
            client.api.remove_image(tag)
        except NotFound:
            continue


Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes folders with the given lines as Dockerfile, with a name that nothing else has."""

    def make(*lines: str) -> Path:
        path = tmp_path / f"test-{secrets.token_hex(6)}"
        path.mkdir()
        (path / "Dockerfile").write_text("\n".join(lines))
        return path

    return make


def digest(path: Path) -> str:
    return BuildContext.of(path).digest()


def test_the_hash_changes_with_every_build_input(folder: Folder) -> None:
    path = folder("FROM scratch")
    (path / "script").write_text("one")
    seen = {digest(path)}

    def changed() -> bool:
        before = len(seen)
        seen.add(digest(path))
        return len(seen) > before

    (path / "Dockerfile").write_text("FROM debian")
    assert changed()
    (path / "script").write_text("two")
    assert changed()
    (path / "script").chmod(0o755)
    assert changed()
    (path / "script").rename(path / "program")
    assert changed()
    (path / "link").symlink_to("program")
    assert changed()
    assert not changed()


def test_the_hash_does_not_change_with_what_is_no_build_input(folder: Folder) -> None:
    path = folder("FROM scratch")
    (path / ".dockerignore").write_text("# not built\nnotes\n")
    before = digest(path)
    (path / "runtime.toml").write_text("aliases = []")
    (path / "notes").write_text("x")
    (path / "README.md").write_text("x")
    for name in ("test", "tests", "fuzz", ".build"):
        (path / name).mkdir()
        (path / name / "hello.py").write_text("x")
    os.utime(path / "Dockerfile", (1, 1))
    (path / "Dockerfile").chmod(0o600)
    assert digest(path) == before


def test_the_hash_covers_what_the_image_is_built_on(client: docker.DockerClient) -> None:
    debian = DebianImage("0" * 16, "debian:one", "bookworm")
    other = DebianImage("1" * 16, "debian:two", "bookworm")
    images = [DockerfileImage.of(RUNTIMES / "base", {"BASE": parent}) for parent in (debian, other)]
    assert images[0].digest != images[1].digest
    assert images[0].reference.startswith("unsandbox/base:")
    assert not images[0].exists(client)


def test_extra_certificates_are_sent_but_do_not_change_the_hash(folder: Folder) -> None:
    context = BuildContext.of(folder("FROM scratch"))
    before = context.digest()
    with tarfile.open(fileobj=context.archive(b"certificate")) as tar:
        assert sorted(tar.getnames()) == ["Dockerfile", EXTRA_CA]
        extracted = tar.extractfile(EXTRA_CA)
        assert extracted is not None
        assert extracted.read() == b"certificate"
    assert context.digest() == before


def test_a_plan_names_parents_first_and_every_step_once(client: docker.DockerClient) -> None:
    images = Images(client, CATALOGUE)
    names = [step.name for step in images.plan(CATALOGUE.available())]
    assert names[:4] == ["debian", "base", "agent", "agent volume"]
    assert len(names) == len(set(names))
    for runtime in CATALOGUE.available():
        needed = [runtime.image.parent, *runtime.image.uses]
        assert all(names.index(name) < names.index(runtime.name) for name in needed)


def test_an_image_copies_from_what_its_build_arguments_name(
    client: docker.DockerClient,
    base: DockerfileImage,
    folder: Folder,
    forget: Forget,
    tmp_path: Path,
) -> None:
    used = DockerfileImage.of(folder("ARG BASE", "FROM ${BASE}", "RUN touch /used"), {"BASE": base})
    recipe = ("ARG BASE", "ARG USED", "FROM ${USED} AS used", "FROM ${BASE}")
    image = DockerfileImage.of(
        folder(*recipe, "COPY --from=used /used /"), {"BASE": base, "USED": used}
    )
    forget(used.reference)
    forget(image.reference)
    steps = plan(client, [image])
    assert [step.name for step in steps][-2:] == [used.name, image.name]
    build(client, steps, tmp_path / "logs", lambda _: None)
    assert image.exists(client)


def test_an_official_image_that_no_registry_gives_is_told_by_its_name(
    client: docker.DockerClient, base: DockerfileImage, folder: Folder, tmp_path: Path
) -> None:
    official = OfficialImage("nowhere.invalid/language:1")
    recipe = ("ARG BASE", "ARG OFFICIAL", "FROM ${OFFICIAL} AS official", "FROM ${BASE}")
    image = DockerfileImage.of(folder(*recipe), {"BASE": base, "OFFICIAL": official})
    with pytest.raises(BuildFailed, match=r"no registry gave nowhere\.invalid/language:1"):
        build(client, plan(client, [image]), tmp_path / "logs", lambda _: None)
    assert not image.exists(client)


def test_an_image_is_built_once_with_visible_progress(
    client: docker.DockerClient,
    base: DockerfileImage,
    folder: Folder,
    forget: Forget,
    tmp_path: Path,
) -> None:
    path = folder("ARG BASE", "FROM ${BASE}", "RUN echo written to the log && touch /made")
    image = DockerfileImage.of(path, {"BASE": base})
    forget(image.reference)
    steps = plan(client, [image])
    assert [step.state for step in steps] == ["present", "present", "missing"]
    lines: list[str] = []
    build(client, steps, tmp_path / "logs", lambda progress: lines.append(str(progress)))
    assert lines[0].split() == [path.name, "building"]
    assert lines[1].startswith(f"{path.name} built in ")
    assert lines[1].endswith(" MB")
    assert len(lines) == 2
    assert "written to the log" in (tmp_path / "logs" / f"{path.name}.log").read_text()
    assert LABEL in client.images.get(image.reference).labels
    again = plan(client, [DockerfileImage.of(path, {"BASE": base})])
    assert [step.present for step in again] == [True, True, True]
    build(client, again, tmp_path / "logs", lambda progress: lines.append(str(progress)))
    assert len(lines) == 2


def test_a_failing_build_shows_the_end_of_its_log_and_stops_what_depends_on_it(
    client: docker.DockerClient, base: DockerfileImage, folder: Folder, tmp_path: Path
) -> None:
    failing = DockerfileImage.of(
        folder("ARG BASE", "FROM ${BASE}", r"RUN seq 100 | sed 's/^/line\x1b[31m /'; exit 7"),
        {"BASE": base},
    )
    child = DockerfileImage.of(folder("ARG BASE", "FROM ${BASE}"), {"BASE": failing})
    with pytest.raises(BuildFailed) as caught:
        build(client, plan(client, [child]), tmp_path / "logs", lambda _: None)
    message = str(caught.value)
    log = tmp_path / "logs" / f"{failing.name}.log"
    assert message.startswith(f"{failing.name} was not built: ")
    assert "returned a non-zero code: 7" in message
    assert "    line 100\n" in message
    assert "line 60\n" not in message
    assert message.endswith(f"the whole log: {log}")
    assert "line 1\n" in log.read_text()
    assert not failing.exists(client)
    assert not child.exists(client)


def test_a_failure_cancels_the_builds_beside_it(
    client: docker.DockerClient, base: DockerfileImage, folder: Folder, tmp_path: Path
) -> None:
    endless = DockerfileImage.of(
        folder("ARG BASE", "FROM ${BASE}", "RUN while :; do echo going on; sleep 0.1; done"),
        {"BASE": base},
    )
    failing = DockerfileImage.of(
        folder("ARG BASE", "FROM ${BASE}", "RUN sleep 1; exit 1"), {"BASE": base}
    )
    with pytest.raises(BuildFailed, match=failing.name):
        build(client, plan(client, [endless, failing]), tmp_path, lambda _: None)
    assert "going on" in (tmp_path / f"{endless.name}.log").read_text()


def test_a_build_ends_when_it_is_told_to_stop(
    client: docker.DockerClient, base: DockerfileImage, folder: Folder, tmp_path: Path
) -> None:
    endless = DockerfileImage.of(
        folder("ARG BASE", "FROM ${BASE}", "RUN while :; do echo going on; sleep 0.1; done"),
        {"BASE": base},
    )
    child = DockerfileImage.of(folder("ARG BASE", "FROM ${BASE}"), {"BASE": endless})
    stop = threading.Event()
    begun: list[str] = []

    def report(progress: Progress) -> None:
        begun.append(progress.step.name)
        threading.Timer(0.5, stop.set).start()

    with pytest.raises(BuildCancelled):
        build(client, plan(client, [child]), tmp_path, report, stop)
    assert begun == [endless.name]


def test_a_silent_mmdebstrap_ends_when_it_is_told_to_stop(
    client: docker.DockerClient,
    nowhere: DebianImage,
    mmdebstrap: Callable[[str], None],
    tmp_path: Path,
) -> None:
    mmdebstrap("exec sleep 250")
    stop = threading.Event()
    started = time.monotonic()
    with pytest.raises(BuildCancelled):
        build(
            client,
            plan(client, [nowhere]),
            tmp_path / "logs",
            lambda _: threading.Timer(0.5, stop.set).start(),
            stop,
        )
    assert time.monotonic() - started < 60
    assert not nowhere.exists(client)


def test_an_error_that_is_no_build_error_is_not_swallowed(
    client: docker.DockerClient, base: DockerfileImage, folder: Folder, tmp_path: Path
) -> None:
    image = DockerfileImage.of(folder("ARG BASE", "FROM ${BASE}", "RUN true"), {"BASE": base})

    def report(_: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build(client, plan(client, [image]), tmp_path, report)


def test_the_system_under_everything_is_one_that_is_here_already(
    client: docker.DockerClient, base: DockerfileImage, forget: Forget, tmp_path: Path
) -> None:
    here = f"test-{secrets.token_hex(6)}"
    client.api.tag(base.reference, here, "local")
    debian = DebianImage(secrets.token_hex(8), f"{here}:local", "bookworm")
    forget(f"{here}:local")
    forget(debian.reference)
    build(client, plan(client, [debian]), tmp_path, lambda _: None)
    assert debian.size(client) == base.size(client)


@pytest.fixture
def nowhere() -> DebianImage:
    """A system that no registry has."""
    return DebianImage(secrets.token_hex(8), "registry.invalid/debian:none", "bookworm")


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of mmdebstrap."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def make(script: str) -> None:
        (programs / "mmdebstrap").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "mmdebstrap").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    return make


def test_without_a_registry_the_system_is_made_by_mmdebstrap(
    client: docker.DockerClient,
    nowhere: DebianImage,
    mmdebstrap: Callable[[str], None],
    forget: Forget,
    tmp_path: Path,
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "debian_version").write_text("12.0")
    mmdebstrap(f'echo "$@" >&2; tar -C {tmp_path} -c etc')
    forget(nowhere.reference)
    build(client, plan(client, [nowhere]), tmp_path / "logs", lambda _: None)
    log = (tmp_path / "logs" / "debian.log").read_text()
    assert "no registry gave registry.invalid/debian:none" in log
    assert "--variant=minbase --format=tar bookworm -" in log
    assert LABEL in client.images.get(nowhere.reference).labels


def test_when_mmdebstrap_fails_nothing_is_kept(
    client: docker.DockerClient,
    nowhere: DebianImage,
    mmdebstrap: Callable[[str], None],
    tmp_path: Path,
) -> None:
    mmdebstrap(f"tar -C {tmp_path} -c bin; echo the archive does not answer >&2; exit 25")
    with pytest.raises(BuildFailed, match=r"exit code 25(.|\n)*the archive does not answer"):
        build(client, plan(client, [nowhere]), tmp_path / "logs", lambda _: None)
    assert not nowhere.exists(client)


def test_without_registry_and_mmdebstrap_the_remedy_is_told(
    client: docker.DockerClient,
    nowhere: DebianImage,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match="apt-get install mmdebstrap"):
        build(client, plan(client, [nowhere]), tmp_path / "logs", lambda _: None)


@pytest.fixture
def agent(folder: Folder, forget: Forget, base: DockerfileImage) -> DockerfileImage:
    """An image like the agent's: one file, which is a script here."""
    path = folder("FROM scratch", "COPY agent /agent")
    shutil.copy(RUNTIMES / "base" / "install-packages", path / "agent")
    with (path / "agent").open("a") as program:
        program.write(f"# {path.name}\n")
    image = DockerfileImage.of(path, {"BASE": base})
    forget(f"unsandbox/agent-volume:{image.digest}")
    forget(image.reference)
    return image


@pytest.fixture
def volume(client: docker.DockerClient, agent: DockerfileImage) -> Iterator[AgentVolume]:
    made = AgentVolume(agent)
    yield made
    try:
        client.api.remove_volume(made.reference)
    except NotFound:
        return


def in_a_sandbox(client: docker.DockerClient, image: Target, volume: AgentVolume) -> str:
    """What is at the mount, as a run's user sees it."""
    binds = {volume.reference: {"bind": AGENT_MOUNT, "mode": "ro"}}
    command = [
        "sh",
        "-c",
        f"ls -A {AGENT_MOUNT}; stat -c %A {AGENT_MOUNT}/*; tail -1 {AGENT_MOUNT}/*",
    ]
    output = client.containers.run(
        image.reference, command, remove=True, volumes=binds, network_mode="none", user="2000"
    )
    return str(output, "utf-8")


def test_the_agent_is_put_on_a_volume_of_its_hash(
    client: docker.DockerClient,
    base: DockerfileImage,
    agent: DockerfileImage,
    volume: AgentVolume,
    tmp_path: Path,
) -> None:
    assert volume.reference == f"unsandbox-agent-{agent.digest}"
    build(client, plan(client, [volume]), tmp_path, lambda _: None)
    assert volume.exists(client)
    assert in_a_sandbox(client, base, volume) == f"agent\n-rwxr-xr-x\n# {agent.name}\n"
    assert LABEL in client.volumes.get(volume.reference).attrs["Labels"]
    leftovers = client.containers.list(all=True, filters={"ancestor": agent.reference})
    assert leftovers == []


def test_a_volume_that_was_removed_and_made_empty_by_the_engine_is_filled_again(
    client: docker.DockerClient, base: DockerfileImage, volume: AgentVolume, tmp_path: Path
) -> None:
    build(client, plan(client, [volume]), tmp_path, lambda _: None)
    client.api.remove_volume(volume.reference)
    client.api.create_volume(volume.reference)
    assert not volume.exists(client)
    build(client, plan(client, [volume]), tmp_path, lambda _: None)
    assert in_a_sandbox(client, base, volume).startswith("agent\n")


def test_a_volume_whose_filling_was_interrupted_is_filled_again(
    client: docker.DockerClient,
    base: DockerfileImage,
    volume: AgentVolume,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def cut(*_: object) -> None:
        raise APIError("cut")

    with monkeypatch.context() as broken:
        broken.setattr(client.api, "put_archive", cut)
        with pytest.raises(BuildFailed, match="cut"):
            build(client, plan(client, [volume]), tmp_path, lambda _: None)
    assert not volume.exists(client)
    build(client, plan(client, [volume]), tmp_path, lambda _: None)
    assert in_a_sandbox(client, base, volume).startswith("agent\n")


@pytest.mark.parametrize(
    "name", [pytest.param(it.name, marks=needs(it)) for it in CATALOGUE.available()]
)
def test_an_image_has_the_run_users_and_no_setuid_program(
    client: docker.DockerClient, base: DockerfileImage, name: str
) -> None:
    image = Images(client, CATALOGUE).image(name)
    assert base.exists(client)
    command = ["sh", "-c", "whoami; id -ng; find / -xdev -type f -perm /6000; date +%Z"]
    for uid in ("2000", "2063"):
        output = client.containers.run(
            image.reference, command, remove=True, network_mode="none", user=f"{uid}:{uid}"
        )
        assert output.split() == [b"sandbox", b"sandbox", b"UTC"]


def test_reports_of_two_builds_at_once_come_from_two_threads(
    client: docker.DockerClient,
    base: DockerfileImage,
    folder: Folder,
    forget: Forget,
    tmp_path: Path,
) -> None:
    path = [folder("ARG BASE", "FROM ${BASE}", f"ENV N={number}") for number in range(2)]
    images = [DockerfileImage.of(one, {"BASE": base}) for one in path]
    for image in images:
        forget(image.reference)
    both = threading.Barrier(2, timeout=30)

    def report(progress: Progress) -> None:
        if progress.seconds is None:
            both.wait()

    build(client, plan(client, images), tmp_path, report)
    assert all(image.exists(client) for image in images)


def test_the_archive_can_be_read_again(folder: Folder) -> None:
    context = BuildContext.of(folder("FROM scratch"))
    assert isinstance(context.archive(b""), io.BytesIO)
    assert context.archive(b"").read() == context.archive(b"").read()
