"""The checks of logs and streams find servers that show too little."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.mutants.mutators import document, for_operations
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


def test_what_a_session_does_not_tell_is_no_evidence(standin: StandIn, tmp_path: Path) -> None:
    untold = document(lambda body: [body.pop(name, None) for name in ("container_name", "shell")])
    names = ("createSession", "getSession")
    with faulty(standin.url, for_operations(untold, frozenset(names))) as url:
        only = ["--only", "name_of_its_container or shell_that_it_was_given"]
        found = results(url, "lifecycle", tmp_path, *only)
    assert len(found) > 1
    assert {it["outcome"] for it in found} == {"not run"}
