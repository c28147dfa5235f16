from collections.abc import Iterator

import pytest

from tests.server import Server, running, settings


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that is strict and has a single language, its test keys not used up by other tests."""
    folder = tmp_path_factory.mktemp("contract")
    with running(settings(folder, languages="bash", strict="true")) as made:
        yield made
