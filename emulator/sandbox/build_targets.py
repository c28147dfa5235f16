"""What can be built: the Debian under everything, images from Dockerfiles, the agent's volume.

A target's reference holds a hash of all that goes into it, its parent's included. So what exists
under the reference is never built again, and what has changed is not found and is.
"""

import hashlib
import os
import select
import shutil
import subprocess
import tomllib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import Mount

from emulator.sandbox.build_context import BuildContext
from emulator.sandbox.build_log import BuildLog
from emulator.sandbox.engine import AGENT_MOUNT, LABEL

REPOSITORY = "unsandbox"
BUILD_LABEL = f"{LABEL}=build"
TARGET_LABEL = f"{LABEL}.target"
AGENT_IN_IMAGE = "/agent"
_BLOCK_BYTES = 1 << 20
_CHECK_SECONDS = 0.5


class BuildError(Exception):
    """A target could not be made; the message is the cause."""


class Target(Protocol):
    """Something that the engine holds once it is built."""

    @property
    def name(self) -> str: ...

    @property
    def reference(self) -> str:
        """An image's tag or a volume's name."""

    @property
    def needs(self) -> "Sequence[Target]":
        """What must be there before."""

    def exists(self, client: docker.DockerClient) -> bool: ...

    def make(self, client: docker.DockerClient, log: BuildLog) -> None:
        """Build it; raises BuildError."""

    def size(self, client: docker.DockerClient) -> int | None:
        """Bytes that it takes with all it is built on, where the engine tells."""


def labels(name: str) -> dict[str, str]:
    """What marks images and volumes as the emulator's."""
    key, value = BUILD_LABEL.split("=")
    return {key: value, TARGET_LABEL: name}


class _Image:
    """A target that is an image under a tag."""

    name: str
    digest: str

    @property
    def repository(self) -> str:
        return f"{REPOSITORY}/{self.name}"

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.digest}"

    def exists(self, client: docker.DockerClient) -> bool:
        return self.size(client) is not None

    def size(self, client: docker.DockerClient) -> int | None:
        return image_size(client, self.reference)


def image_size(client: docker.DockerClient, reference: str) -> int | None:
    """Bytes of an image; None when there is none under `reference`."""
    try:
        return int(client.images.get(reference).attrs["Size"])
    except ImageNotFound:
        return None


@dataclass(frozen=True)
class DebianImage(_Image):
    """A plain Debian: found here, or pulled, or made from the packages of the Debian archive."""

    digest: str
    image: str
    suite: str
    name: str = "debian"
    needs: Sequence[Target] = ()

    @classmethod
    def load(cls, file: Path) -> "DebianImage":
        """Read `debian.toml`."""
        content = file.read_bytes()
        facts = tomllib.loads(content.decode())
        return cls(hashlib.sha256(content).hexdigest()[:16], facts["image"], facts["suite"])

    def make(self, client: docker.DockerClient, log: BuildLog) -> None:
        if image_size(client, self.image) is not None or _pulled(client, self.image, log):
            client.api.tag(self.image, self.repository, self.digest)
        else:
            self._bootstrap(client, log)

    def _bootstrap(self, client: docker.DockerClient, log: BuildLog) -> None:
        program = shutil.which("mmdebstrap")
        if program is None:
            raise BuildError(
                f"no registry gave {self.image}, and mmdebstrap, which makes it from Debian "
                "packages, is not installed (Debian, Ubuntu: apt-get install mmdebstrap)"
            )
        command = [program, "--variant=minbase", "--format=tar", self.suite, "-"]
        changes = [f"LABEL {key}={value}" for key, value in labels(self.name).items()]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log.file
        ) as process:
            try:
                client.api.import_image_from_stream(
                    _output(process, log),
                    repository=self.repository,
                    tag=self.digest,
                    changes=['CMD ["bash"]', *changes],
                )
            finally:
                process.terminate()


@dataclass(frozen=True)
class OfficialImage:
    """An image that others made, here under its own name or pulled from a registry."""

    reference: str
    needs: Sequence[Target] = ()

    @property
    def name(self) -> str:
        return self.reference

    def exists(self, client: docker.DockerClient) -> bool:
        return self.size(client) is not None

    def size(self, client: docker.DockerClient) -> int | None:
        return image_size(client, self.reference)

    def make(self, client: docker.DockerClient, log: BuildLog) -> None:
        if not _pulled(client, self.reference, log):
            raise BuildError(
                f"no registry gave {self.reference}; build again where one can be reached, or "
                f"bring the image with docker load or docker tag"
            )


def _pulled(client: docker.DockerClient, image: str, log: BuildLog) -> bool:
    """Whether a registry gave `image`."""
    repository, _, tag = image.rpartition(":")
    try:
        _follow(client.api.pull(repository, tag=tag, stream=True, decode=True), log)
    except (APIError, BuildError) as error:
        log.write(f"no registry gave {image}: {error}\n")
        return False
    return True


def _output(process: "subprocess.Popen[bytes]", log: BuildLog) -> Iterator[bytes]:
    """What a program writes. Its failure ends the transfer unfinished, so nothing is kept."""
    if process.stdout is None:
        raise BuildError("its output is not captured")
    while True:
        log.check()
        if select.select([process.stdout], [], [], _CHECK_SECONDS)[0]:
            block = os.read(process.stdout.fileno(), _BLOCK_BYTES)
            if not block:
                break
            yield block
    if process.wait() != 0:
        raise BuildError(f"{process.args!r} ended with exit code {process.returncode}")


@dataclass(frozen=True)
class DockerfileImage(_Image):
    """An image from a folder with a Dockerfile, and the images that its build arguments name."""

    name: str
    digest: str
    context: BuildContext
    dockerfile: str
    arguments: Mapping[str, Target]
    extra_ca: Path | None

    @classmethod
    def of(
        cls,
        folder: Path,
        arguments: Mapping[str, Target],
        *,
        name: str | None = None,
        dockerfile: str = "Dockerfile",
        extra_ca: Path | None = None,
    ) -> "DockerfileImage":
        """Read the folder; later changes in it are not seen."""
        context = BuildContext.of(folder, dockerfile)
        digest = context.digest(dockerfile, *(target.reference for target in arguments.values()))
        return cls(name or folder.name, digest, context, dockerfile, arguments, extra_ca)

    @property
    def needs(self) -> Sequence[Target]:
        return list(self.arguments.values())

    def make(self, client: docker.DockerClient, log: BuildLog) -> None:
        events = client.api.build(
            fileobj=self.context.archive(self.extra_ca.read_bytes() if self.extra_ca else b""),
            custom_context=True,
            dockerfile=self.dockerfile,
            buildargs={name: target.reference for name, target in self.arguments.items()},
            tag=self.reference,
            labels=labels(self.name),
            network_mode="host",
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow(events, log)


def _follow(events: Generator[Any, None, None], log: BuildLog) -> None:
    """Write what the engine tells to the log until it is done.

    Closing the generator closes the connection: it is how the engine learns that it may stop.

    Raises:
        BuildError: the engine says so.
        BuildCancelled: nobody waits any more.
    """
    with closing(events):
        for event in events:
            log.check()
            log.write(event.get("stream", ""))
            if "status" in event and "progress" not in event:
                log.write(f"{event.get('id', '')} {event['status']}\n")
            if "error" in event:
                raise BuildError(event["error"].strip())


@dataclass(frozen=True)
class AgentVolume:
    """The agent's program on a volume, which every sandbox mounts read-only.

    A volume that the engine made itself, because a container asked for one that was gone, is
    empty; it lacks our labels. One that was never filled lacks the tag that is set at the end.
    """

    image: DockerfileImage
    name: str = "agent volume"

    @property
    def needs(self) -> Sequence[Target]:
        return [self.image]

    @property
    def reference(self) -> str:
        return f"{REPOSITORY}-agent-{self.image.digest}"

    @property
    def filled(self) -> str:
        """The tag that is set once the volume has its content."""
        return f"{REPOSITORY}/agent-volume:{self.image.digest}"

    def exists(self, client: docker.DockerClient) -> bool:
        try:
            volume = client.api.inspect_volume(self.reference)
        except NotFound:
            return False
        ours = LABEL in (volume["Labels"] or {})
        return ours and image_size(client, self.filled) is not None

    def size(self, client: docker.DockerClient) -> int | None:
        return image_size(client, self.image.reference)

    def make(self, client: docker.DockerClient, log: BuildLog) -> None:
        self._remove(client)
        client.api.create_volume(self.reference, labels=labels(self.name))
        container = self._create_container(client)
        try:
            program, _ = client.api.get_archive(container, AGENT_IN_IMAGE)
            client.api.put_archive(container, AGENT_MOUNT, b"".join(program))
        finally:
            client.api.remove_container(container, force=True)
        repository, _, tag = self.filled.partition(":")
        client.api.tag(self.image.reference, repository, tag)
        log.write(f"{AGENT_IN_IMAGE} copied to volume {self.reference}\n")

    def _remove(self, client: docker.DockerClient) -> None:
        try:
            client.api.remove_volume(self.reference)
        except NotFound:
            return

    def _create_container(self, client: docker.DockerClient) -> str:
        """A container that is never started: files are copied through it."""
        mount = Mount(AGENT_MOUNT, self.reference, type="volume")
        created = client.api.create_container(
            self.image.reference,
            entrypoint=[AGENT_IN_IMAGE],
            labels=labels(self.name),
            host_config=client.api.create_host_config(mounts=[mount], network_mode="none"),
        )
        return str(created["Id"])
