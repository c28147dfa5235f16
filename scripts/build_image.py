"""Builds the emulator's own image on the base that sandboxes have; docker-compose.yml uses it."""

import sys
import tempfile
from contextlib import closing
from pathlib import Path

import docker

from emulator.paths import ROOT, RUNTIMES
from emulator.sandbox.build_targets import DockerfileImage
from emulator.sandbox.images import BuildFailed, Images, build, plan
from emulator.sandbox.runtimes import Catalogue
from emulator.settings import Settings


def main() -> int:
    with closing(docker.from_env()) as client:
        return build_image(client)


def build_image(client: docker.DockerClient) -> int:
    extra_ca = Settings.load({}).extra_ca
    base = Images(client, Catalogue.load(RUNTIMES), extra_ca).image("base")
    image = DockerfileImage.of(ROOT, {"BASE": base}, name="emulator", extra_ca=extra_ca)
    try:
        build(client, plan(client, [image]), Path(tempfile.mkdtemp()), print)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    client.api.tag(image.reference, image.repository, "latest")
    print(f"{image.repository}:latest is {image.reference}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
