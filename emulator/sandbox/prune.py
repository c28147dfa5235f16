"""Removing what earlier versions built and this one does not use.

Only what bears our label is looked at, and of that only tags and volumes under our names. What a
container uses stays, and so does the emulator's own image, which `make image` makes.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import requests
from docker.errors import APIError

from emulator.sandbox.build_targets import BUILD_LABEL, REPOSITORY, TARGET_LABEL

_STAYS = "emulator"


@dataclass(frozen=True, slots=True)
class Stale:
    """One thing that is no longer needed."""

    name: str
    _remove: Callable[[str], object]
    _reference: str

    def remove(self) -> str | None:
        """Why it is still there afterwards; None once it is gone."""
        try:
            self._remove(self._reference)
        except APIError as error:
            if error.status_code != requests.codes.not_found:  # else it went with another one
                return str(error.explanation or error)
        return None


def stale(
    client: docker.DockerClient, keep: Collection[str], label: str = BUILD_LABEL
) -> Iterator[Stale]:
    """Images and volumes with `label` whose references are not in `keep`.

    Each is to be removed before the next is asked for: it may take others with it.
    """
    api = client.api
    for image in api.images(filters={"label": label}):
        if image["Labels"].get(TARGET_LABEL) != _STAYS:
            for tag in sorted({*(image["RepoTags"] or ())} - {*keep}):
                if tag.startswith(f"{REPOSITORY}/"):
                    yield Stale(tag, api.remove_image, tag)
    for image in api.images(filters={"label": label, "dangling": True}):
        name = f"untagged image {image['Id'].removeprefix('sha256:')[:12]}"
        yield Stale(name, api.remove_image, image["Id"])
    for volume in api.volumes(filters={"label": label})["Volumes"] or ():
        name = volume["Name"]
        if name.startswith(f"{REPOSITORY}-") and name not in keep:
            yield Stale(f"volume {name}", api.remove_volume, name)


def disk_use(client: docker.DockerClient) -> int:
    """Bytes that the engine's images and volumes take."""
    usage: dict[str, Any] = client.api.df()
    sizes = [volume["UsageData"]["Size"] for volume in usage["Volumes"] or ()]
    total: int = usage["LayersSize"] + sum(size for size in sizes if size > 0)
    return total
