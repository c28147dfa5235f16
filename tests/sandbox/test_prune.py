"""Old builds are removed, everything else stays. The label here is the test's own, so that nothing

that another emulator on this machine uses is in danger.
"""

import io
import secrets
from collections.abc import Collection, Iterator

import docker
import pytest
from docker.errors import NotFound

from emulator.paths import RUNTIMES
from emulator.sandbox.build_targets import REPOSITORY, TARGET_LABEL
from emulator.sandbox.images import Images
from emulator.sandbox.prune import disk_use, stale
from emulator.sandbox.runtimes import Catalogue

MARK = secrets.token_hex(6)
LABEL = f"com.unsandbox.emulator.test={MARK}"
LABELS = dict([LABEL.split("=")])


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


class Builds:
    """Images and volumes made for one test; what is left of them goes with it."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api = client.api
        self.tags: list[str] = []
        self.volumes: list[str] = []

    def image(self, name: str, *, ours: bool = True, target: str = "test") -> str:
        tag = f"{name}:{MARK}"
        labels = {**LABELS, TARGET_LABEL: target} if ours else {}
        lines = [f"LABEL {key}={value}" for key, value in {**labels, "name": tag}.items()]
        file = io.BytesIO("\n".join(["FROM scratch", *lines]).encode())
        events = self._api.build(fileobj=file, tag=tag, rm=True, forcerm=True, decode=True)
        assert not [event for event in events if "error" in event]
        self.tags.append(tag)
        return tag

    def tag(self, image: str, name: str) -> str:
        """Give an image one more tag, which another one may have had."""
        self._api.tag(image, name, MARK)
        self.tags.append(f"{name}:{MARK}")
        return self.tags[-1]

    def volume(self, name: str, *, ours: bool = True) -> str:
        self._api.create_volume(f"{name}-{MARK}", labels=LABELS if ours else {})
        self.volumes.append(f"{name}-{MARK}")
        return self.volumes[-1]

    def there(self) -> set[str]:
        images = {tag for image in self._api.images() for tag in image["RepoTags"] or ()}
        volumes = {volume["Name"] for volume in self._api.volumes()["Volumes"] or ()}
        return (images | volumes) & {*self.tags, *self.volumes}

    def remove(self) -> None:
        for names, remove in (
            (self.tags, self._api.remove_image),
            (self.volumes, self._api.remove_volume),
        ):
            for name in names:
                try:
                    remove(name)
                except NotFound:
                    continue


@pytest.fixture
def builds(client: docker.DockerClient) -> Iterator[Builds]:
    made = Builds(client)
    yield made
    made.remove()


def pruned(client: docker.DockerClient, keep: Collection[str]) -> dict[str, str | None]:
    """What was found, in that order, and why it is still there."""
    return {one.name: one.remove() for one in stale(client, keep, LABEL)}


def test_what_no_plan_uses_goes_and_all_else_stays(
    client: docker.DockerClient, builds: Builds
) -> None:
    kept = builds.image(f"{REPOSITORY}/test-kept")
    old = builds.image(f"{REPOSITORY}/test-old")
    second = builds.tag(old, f"{REPOSITORY}/test-second")
    elses = builds.tag(old, "somebody/elses")
    foreign = builds.image(f"{REPOSITORY}/test-foreign", ours=False)
    own = builds.image(f"{REPOSITORY}/emulator-test", target="emulator")
    volume, kept_volume = builds.volume(f"{REPOSITORY}-old"), builds.volume(f"{REPOSITORY}-kept")
    foreign_volume = builds.volume(f"{REPOSITORY}-foreign", ours=False)
    told = pruned(client, {kept, kept_volume})
    assert told == dict.fromkeys([old, second, f"volume {volume}"])
    stays = {kept, kept_volume, foreign, foreign_volume, own, elses}
    assert builds.there() == stays
    assert pruned(client, {kept, kept_volume}) == {}


def test_an_image_that_lost_its_tag_goes(client: docker.DockerClient, builds: Builds) -> None:
    tag = builds.image(f"{REPOSITORY}/test-again")
    before = client.images.get(tag).id
    builds.tag(builds.image(f"{REPOSITORY}/test-other"), f"{REPOSITORY}/test-again")
    name = f"untagged image {str(before).removeprefix('sha256:')[:12]}"
    assert pruned(client, builds.tags) == {name: None}
    assert builds.there() == {*builds.tags}


def test_what_a_container_uses_stays_and_is_told(
    client: docker.DockerClient, builds: Builds
) -> None:
    image, volume = builds.image(f"{REPOSITORY}/test-used"), builds.volume(f"{REPOSITORY}-used")
    container = client.api.create_container(
        image,
        ["nothing"],
        host_config=client.api.create_host_config(binds={volume: {"bind": "/x", "mode": "ro"}}),
    )
    try:
        told = pruned(client, ())
    finally:
        client.api.remove_container(container["Id"])
    assert list(told) == [image, f"volume {volume}"]
    assert all(reason and "use" in reason for reason in told.values())
    assert builds.there() == {image, volume}


def test_everything_that_this_version_may_use_is_kept(client: docker.DockerClient) -> None:
    catalogue = Catalogue.load(RUNTIMES)
    images = Images(client, catalogue)
    planned = {step.target.reference for step in images.plan(catalogue.available())}
    assert planned | {images.agent_volume.filled} <= images.references()


def test_the_space_is_that_of_images_and_volumes(client: docker.DockerClient) -> None:
    assert disk_use(client) > 100_000_000
