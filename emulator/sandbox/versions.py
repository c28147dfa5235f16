"""What the toolchains in images say of their versions, asked once for each image."""

import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from emulator.sandbox.build_targets import labels
from emulator.sandbox.images import Images
from emulator.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)

WORKERS = 4
FILE = "versions.json"
"""In the data directory: what was answered before."""

_USER = "2000:2000"


def versions(
    client: docker.DockerClient, images: Images, built: Iterable[Runtime], kept: Path
) -> dict[str, str]:
    """A line by the name of each language, empty where its toolchain does not answer.

    Args:
        client: the engine.
        images: which image is whose.
        built: those whose images are here.
        kept: a file of what was answered before, by image.
    """
    references = [(runtime, images.image(runtime.name).reference) for runtime in built]
    known = _read(kept)
    new = [(runtime, reference) for runtime, reference in references if reference not in known]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="versions") as threads:
        answers = threads.map(lambda it: _asked(client, *it), new)
        known |= {reference: line for (_, reference), line in zip(new, answers, strict=True)}
    if new:
        _write(kept, known)
    return {runtime.name: known[reference] for runtime, reference in references}


def _asked(client: docker.DockerClient, runtime: Runtime, reference: str) -> str:
    """The first line that the version command prints."""
    try:
        printed = client.containers.run(
            reference,
            entrypoint=list(runtime.version_command),
            environment=runtime.environment,
            user=_USER,
            working_dir="/tmp",  # noqa: S108 - inside the container
            network_mode="none",
            labels=labels("version"),
            stderr=True,
            remove=True,
        )
    except (DockerException, requests.RequestException) as error:
        logger.warning("%s does not tell its version: %s", runtime.name, error)
        return ""
    lines = (line.strip() for line in printed.decode("utf-8", "replace").splitlines())
    return next(filter(None, lines), "")


def _read(file: Path) -> dict[str, str]:
    try:
        known: Mapping[str, str] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return dict(known)


def _write(file: Path, known: Mapping[str, str]) -> None:
    """Without it they are asked again next time."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(json.dumps(known, indent=1), encoding="utf-8")
    except OSError as error:
        logger.warning("versions are not kept: %s", error)
