"""The walk covers everything, what differs by nature is equal, and a difference has its path."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.campaign import opened
from contract.cli import main
from contract.diff import Comparison, compared
from contract.differences import differences
from contract.exchange import Response
from contract.mutants.mutators import on_response
from contract.mutants.traffic import Answer, Call
from contract.normal import Normal
from contract.sequence import steps
from contract.spec import Spec
from contract.target import EMULATOR, MAIN, resolve
from tests import server as emulator
from tests.contract import standin
from tests.contract.runs import faulty

SPEC = Spec()
JSON = (("Content-Type", "application/json"),)


def test_every_operation_is_on_the_way() -> None:
    called = {step.operation for step in steps()}
    assert called == {it.id for it in SPEC.operations.values() if not it.is_extension}


def test_steps_have_names_of_their_own_and_refer_to_earlier_ones() -> None:
    path = steps()
    assert len({step.name for step in path}) == len(path)
    made = {"account"}
    for step in path:
        used = set(re.findall(r"\$([a-z]+)\.[a-z_]+", json.dumps(step.document)))
        assert used <= made, step.name
        made.add(step.document.get("as", "account"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(values, values)
def test_two_values_differ_somewhere_unless_they_are_equal(left: object, right: object) -> None:
    assert not list(differences(left, left))
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert bool(list(differences(left, right))) != same


def test_a_difference_has_its_path() -> None:
    left = {"a": [{"b": 1}, {"b": 2}], "c/d": "x", "e": ["x", "y"]}
    right = {"a": [{"b": 1}, {"b": True}], "e": ["y", "z"], "f": None}
    assert {it.path: (it.left, it.right) for it in differences(left, right)} == {
        "/a/1/b": (2, True),
        "/c~1d": ("x", "<nothing>"),
        "/e": (["x"], ["z"]),
        "/f": ("<nothing>", None),
    }


def answer(normal: Normal, operation: str, body: Any, status: int = 200) -> Any:  # noqa: ANN401
    response = Response(status, JSON, json.dumps(body).encode())
    return normal.answer(SPEC.operations[operation], response)["body"]


def test_what_differs_by_nature_is_named_and_what_is_the_same_thing_has_one_name() -> None:
    normal = Normal("contract-1234", EMULATOR.accounts)
    made = answer(
        normal,
        "createSession",
        {
            "id": "sess_12ab34",
            "session_id": "sess_12ab34",
            "websocket_url": "wss://api.example.com/sessions/sess_12ab34/shell",
            "created_at": "2026-01-02T03:04:05.678Z",
            "remaining_ttl": 3599,
            "vcpu": 1,
        },
    )
    assert made == {
        "id": "<session:1>",
        "session_id": "<session:1>",
        "websocket_url": "ws://<host>/sessions/<session:1>/shell",
        "created_at": "<date-time>",
        "remaining_ttl": "<duration>",
        "vcpu": 1,
    }
    kept = answer(normal, "snapshotSession", {"snapshot_id": "snap_1", "source_id": "sess_12ab34"})
    assert kept == {"snapshot_id": "<snapshot:1>", "source_id": "<session:1>"}


def test_things_of_others_are_no_part_of_a_list() -> None:
    normal = Normal("contract-1234", EMULATOR.accounts)
    answer(normal, "execute", {"job_id": "0123456789"})
    mine, other = {"job_id": "0123456789"}, {"job_id": "9876543210"}
    assert answer(normal, "listJobs", [other, mine]) == [{"job_id": "<job:1>"}]
    listed = answer(normal, "listJobs", {"jobs": [other, mine], "count": 2})
    assert listed == {"jobs": [{"job_id": "<job:1>"}], "count": "<number>"}


def test_an_error_is_its_code_and_not_its_words() -> None:
    normal = Normal("contract-1234", EMULATOR.accounts)
    body = {"error": "Not found", "code": "NOT_FOUND", "details": "x", "message": "y"}
    assert answer(normal, "getJob", body, 404) == {
        "error": "Not found",
        "code": "NOT_FOUND",
        "details": "<text>",
        "message": "<text>",
    }


def walked(*faults: str) -> Comparison:
    """Two stand-ins compared, the second one with faults; without jobs, which they do not have."""
    path = [step for step in steps() if SPEC.operations[step.operation].tag != "Jobs"]
    with (
        standin.running() as one,
        standin.running(*faults) as other,
        opened(resolve(None, one.url)) as left,
        opened(resolve(None, other.url)) as right,
    ):
        return compared(left, right, path)


def test_a_server_that_is_like_the_other_has_no_difference() -> None:
    comparison = walked()
    assert comparison.found == {}
    assert list(comparison.left_out) == ["generateImage.plain"]
    assert comparison.compared > 120


def test_a_fault_is_found_by_its_path() -> None:
    comparison = walked("deleted stays")
    assert comparison.found["getSession.deleted"][0].path == "/status"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.Server]:
    with emulator.running(
        emulator.settings(tmp_path_factory.mktemp("one"), languages="bash")
    ) as started:
        yield started


def test_the_command_tells_what_differs_and_what_was_not_compared(
    server: emulator.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with standin.running() as other:
        url = other.url
        status = main(["diff", server.api, url, "--profile", "readonly", "--json", f"{tmp_path}/d"])
    told = capsys.readouterr().out
    assert status == 1
    assert "listLanguages.plain /body/languages: " in told
    assert "not compared, 127.0.0.1: limit: the profile readonly " in told
    document = json.loads((tmp_path / "d").read_text())
    assert {"path", "left", "right"} == set(document["differences"]["listLanguages.plain"][0])
    assert main(["diff", server.api, server.api, "--profile", "readonly"]) == 0


def test_two_that_cannot_be_compared_are_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "nowhere", "emulator"]) == 2
    assert main(["diff", "http://127.0.0.1:1", "http://127.0.0.1:1"]) == 2
    assert main(["diff", "real", "emulator"]) == 2
    assert "UNSANDBOX_CONTRACT_REAL" in capsys.readouterr().err


def _echo(call: Call, answer: Answer) -> None:
    if call.target == "/health":
        answer.document = {"status": "ok", "key": EMULATOR.accounts[MAIN].secret_key}


def test_a_secret_that_a_server_tells_is_not_told_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    with standin.running() as healthy, faulty(healthy.url, on_response(_echo)) as telling:
        assert main(["diff", healthy.url, telling, "--json", str(file)]) == 1
    said = capsys.readouterr().out
    assert "[redacted]" in said
    assert EMULATOR.accounts[MAIN].secret_key not in said + file.read_text()
