import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator.api.table import NOT_IMPLEMENTED
from emulator.paths import SPEC
from emulator.spec import Spec
from tests.built import not_run
from tests.client import Client
from tests.openapi.produced import Answer, documented, listed, produced
from tests.server import Server, running, settings


def pytest_configure(config: pytest.Config) -> None:
    """Shells start background jobs with these ignored, which programs under test would inherit."""
    config.pluginmanager.register(Workers())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One emulator with the usual languages kept warm; `in_both_modes` asks for two."""
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


PARTIAL = pytest.StashKey[bool]()
_PRODUCED, _PARTIAL = "produced", "partial"
"""What a worker tells the process that started it."""


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[PARTIAL] = True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of the whole suite, with nothing failed, fails for an answer that it lost."""
    config = session.config
    asked = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if hasattr(config, "workeroutput"):
        config.workeroutput |= {_PRODUCED: sorted(produced), _PARTIAL: PARTIAL in config.stash}
        return
    partial = PARTIAL in config.stash or not asked or exitstatus != pytest.ExitCode.OK
    config.stash[PARTIAL] = partial
    if not partial and unproduced() - set(listed()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


class Workers:
    """Hears what the workers have seen, when the tests run in several processes (xdist)."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - xdist has no types
        told = getattr(node, "workeroutput", {})
        produced.update((operation, status) for operation, status in told.get(_PRODUCED, ()))
        if told.get(_PARTIAL, True):
            node.config.stash[PARTIAL] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of all: what this machine could not run."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        reporter.write_line(not_run())


def unproduced() -> set[Answer]:
    return documented(Spec(SPEC)) - produced


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    write = terminalreporter.write_line
    write(f"operations that answer 501 for now: {len(NOT_IMPLEMENTED)}")
    if terminalreporter.config.stash[PARTIAL]:
        return
    missing, known = unproduced(), set(listed())
    write(f"documented answers that no test has produced: {len(missing)}")
    for title, answers in (
        ("produce these, or add them to tests/openapi/unproduced.txt:", missing - known),
        ("these are produced by now, take them out of it:", known - missing),
    ):
        for line in [title, *(f"  {name} {status}" for name, status in sorted(answers))]:
            if answers:
                write(line)
