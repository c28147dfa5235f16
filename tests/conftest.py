from collections.abc import Iterator

import httpx
import pytest

from emulator.api.table import NOT_IMPLEMENTED
from tests.client import Client
from tests.server import Server, running, settings


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One emulator with every language that this version has; `in_both_modes` asks for two."""
    flags = {"isolation": request.param} if hasattr(request, "param") else {}
    with running(settings(tmp_path_factory.mktemp("emulator"), **flags)) as made:
        yield made


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = Client(server.api)
    yield made
    made.close()


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.admin) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"operations that answer 501 for now: {len(NOT_IMPLEMENTED)}")
