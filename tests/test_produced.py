"""The record of which documented answers the tests produce records, and its list is no fiction."""

import time

import httpx

from emulator.paths import SPEC
from emulator.spec import Spec
from tests.client import Client
from tests.openapi.produced import Answer, documented, listed, produced
from tests.server import Server


def came_about(*answers: Answer) -> bool:
    """Whether these are recorded, which happens just after they were sent."""
    end = time.monotonic() + 30
    while not produced.issuperset(answers) and time.monotonic() < end:
        time.sleep(0.01)
    return produced.issuperset(answers)


def test_an_answer_counts_once_it_was_given(client: Client) -> None:
    produced.discard(("getJob", "404"))
    assert client.get("/keys/self").status_code == 200
    assert came_about(("getKeySelf", "200"))
    assert ("getJob", "404") not in produced
    assert client.get("/jobs/nothing").status_code == 404
    assert came_about(("getJob", "404"))


def test_a_refusal_before_the_route_is_known_counts_for_its_operation(server: Server) -> None:
    assert httpx.get(f"{server.api}/health", headers={"Host": "x.test"}).status_code == 421
    assert came_about(("getHealth", "421"))


def test_an_answer_that_a_fault_asked_for_does_not_count(server: Server) -> None:
    headers = {"X-Emulator-Fault": "status=499"}
    assert httpx.get(f"{server.api}/health", headers=headers).status_code == 499
    assert httpx.get(f"{server.api}/health", headers={"Host": "x.test"}).status_code == 421
    assert came_about(("getHealth", "421"))
    assert ("getHealth", "499") not in produced


def test_what_need_not_be_produced_is_documented_in_order_and_no_success() -> None:
    answers = documented(Spec(SPEC))
    assert len(answers) > 50
    assert set(listed()) <= answers
    assert listed() == sorted(set(listed()))
    assert [answer for answer in listed() if answer[1].startswith("2")] == []
