import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path
from threading import Event

import pytest

from contract.mutants.serving import Stage
from contract.mutants.table import MUTANTS
from contract.mutants.trial import Trial, warmed
from contract.spec import SPEC, loaded
from contract.target import Target, resolve
from tests.server import Server

Seen = Callable[[str, str], None]


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ledgers of these tests lie in no user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Where trials of mutants are forked from."""
    return warmed()


@pytest.fixture(scope="module")
def target(server: Server) -> Target:
    """The emulator of the tests."""
    return resolve(None, server.api)


@pytest.fixture(scope="module")
def stage(target: Target) -> Iterator[Stage]:
    """Serves mutants in front of it."""
    with Stage.opened(target, loaded(SPEC)) as made:
        yield made


@pytest.fixture
def seen_by(stage: Stage, target: Target, context: ForkServerContext, tmp_path: Path) -> Seen:
    """Asserts that a mutant, by its name, is found by one check alone, by the check's name."""

    def seen(name: str, check: str) -> None:
        mutant = MUTANTS[name]
        trial = Trial(mutant.family, check, mutant.operations)
        with stage.serving(mutant.mutator()) as url:
            found = trial.run(context, replace(target, url=url), None, 1, tmp_path, Event())
        assert found.failures, found.said

    return seen
