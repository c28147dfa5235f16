from collections.abc import Iterator

import pytest

from emulator.gateway.authority import SERVED_NAMES, Authority
from tests.gateway.gate import Gate, running_gate
from tests.server import settings


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.of(settings(tmp_path_factory.mktemp("authority")))


@pytest.fixture(scope="session")
def running(authority: Authority) -> Iterator[Gate]:
    """One gateway, and one container with a few servers, for all tests."""
    with running_gate(authority.server_context(SERVED_NAMES)) as gate:
        yield gate


@pytest.fixture
def gate(running: Gate) -> Gate:
    """The same without what an earlier test changed; `shop` is there."""
    running.services.by_name.clear()
    running.services.by_domain.clear()
    running.passages.clear()
    running.journal.clear()
    running.add("shop")
    return running
