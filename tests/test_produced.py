"""The record of which documented answers the tests produce records, and its list is no fiction."""

import httpx

from emulator.paths import SPEC
from emulator.spec import Spec
from tests.client import Client
from tests.openapi.produced import documented, listed, produced
from tests.server import Server


def test_an_answer_counts_once_it_was_given(client: Client) -> None:
    before = set(produced)
    assert client.get("/jobs/nothing").status_code == 404
    assert ("getJob", "404") in produced
    produced.clear()
    client.get("/keys/self")
    assert produced == {("getKeySelf", "200")}
    produced.update(before)


def test_a_refusal_before_the_route_is_known_counts_for_its_operation(server: Server) -> None:
    assert httpx.get(f"{server.api}/health", headers={"Host": "x.test"}).status_code == 421
    assert ("getHealth", "421") in produced


def test_an_answer_that_a_fault_asked_for_does_not_count(server: Server) -> None:
    headers = {"X-Emulator-Fault": "status=499"}
    assert httpx.get(f"{server.api}/health", headers=headers).status_code == 499
    assert ("getHealth", "499") not in produced


def test_what_need_not_be_produced_is_documented_and_in_order() -> None:
    answers = documented(Spec(SPEC))
    assert len(answers) > 50
    assert set(listed()) <= answers
    assert listed() == sorted(set(listed()))
