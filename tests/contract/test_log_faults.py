"""The checks of logs and streams find servers that show too little."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.mutants.table import MUTANTS
from tests.contract.runs import faulty, results
from tests.contract.standin import StandIn, running

FOUND_BY = {
    "stream-silent": {
        "a stream shows lines in the order of the log",
        "a stream goes on until its client goes",
        "a stream leaves out lines that lack a text",
    },
    "stream-falls-silent": {"a stream goes on until its client goes"},
    "stream-finds-nothing": {"a stream leaves out lines that lack a text"},
    "log-text-overlooked": {"lines that lack a text are left out"},
    "log-young-lost": {"a filter keeps what fits it"},
    "log-level-empty": {"a filter keeps what fits it"},
}
"""By the name of a mutant, the checks that have to find it."""


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with running() as made:
        yield made


@pytest.mark.parametrize("name", FOUND_BY)
def test_a_log_that_shows_too_little_is_found(standin: StandIn, name: str, tmp_path: Path) -> None:
    (operation,) = MUTANTS[name].operations
    with faulty(standin.url, name) as url:
        found = results(url, "streams", tmp_path, "--operations", operation)
    assert {it["check"] for it in found if it["outcome"] == "failed"} == FOUND_BY[name]
