"""The end of a job by request: at once, with all its processes, and with what it made so far."""

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.api.test_jobs import ended, job_in, job_of, running_jobs, submit
from tests.client import Client, test_account
from tests.containers import container_running, containers, eventually, runs
from tests.server import Server, running, settings

SECONDS = 20
"""Many times what an end takes, and less than any program here would run by itself."""


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A machine on which one program runs at a time."""
    flags = {"languages": "bash c", "pool_size": "1", "memory_budget": "2048"}
    with running(settings(tmp_path_factory.mktemp("cancel"), **flags)) as made:
        yield made


@pytest.fixture
def own_client(own_server: Server) -> Iterator[Client]:
    made = Client(own_server.api)
    yield made
    made.close()


def cancel(client: Client, job_id: str) -> dict[str, Any]:
    began = time.monotonic()
    response = client.send("DELETE", f"/jobs/{job_id}")
    assert time.monotonic() - began < SECONDS
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def executed(client: Client, code: str, **fields: object) -> dict[str, Any]:
    """The answer to a program, on a connection of its own."""
    own = Client(client.base)
    try:
        return own.execute("bash", code, **fields)
    finally:
        own.close()


def printed(server: Server, client: Client, job_id: str, program: str) -> None:
    """Wait until the job's program has come to its last command."""
    job_in(client, job_id, "running")
    container_running(server, program)


def test_a_running_job_ends_with_what_it_made_so_far(
    own_server: Server, own_client: Client
) -> None:
    code = "echo out; echo err >&2; echo made > /tmp/artifacts/file; sleep 4712"
    job_id = submit(own_client, code, return_artifact=True)
    printed(own_server, own_client, job_id, "sleep 4712")
    answer = cancel(own_client, job_id)
    assert (answer["job_id"], answer["status"], answer["success"]) == (job_id, "cancelled", True)
    assert answer["message"] == "Job cancelled"
    assert (answer["stdout"], answer["output"], answer["stderr"]) == ("out\n", "out\n", "err\n")
    (artifact,) = answer["artifacts"]
    assert artifact["filename"] == "file"
    assert base64.b64decode(artifact["content_base64"]) == b"made\n"
    job = job_of(own_client, job_id)
    assert (job["status"], job["success"], job["exit_code"]) == ("cancelled", False, 137)
    for name in ("stdout", "stderr", "artifacts", "completed_at"):
        assert job[name] == answer[name]


def test_the_whole_tree_of_processes_ends_at_once(own_server: Server, own_client: Client) -> None:
    code = "trap '' TERM INT HUP; (setsid sleep 4713 &); sleep 4713 & nohup sleep 4713 & sleep 4713"
    job_id = submit(own_client, code)
    printed(own_server, own_client, job_id, "sleep 4713")
    cancel(own_client, job_id)
    eventually(lambda: not any(runs(one, "sleep 4713") for one in containers(own_server)))


def test_a_compiler_is_ended_too_and_the_program_does_not_start(
    own_server: Server, own_client: Client
) -> None:
    doubling = "\n".join(f"#define A{n} A{n - 1} A{n - 1}" for n in range(1, 40))
    body = {"language": "c", "code": f"#define A0 +1\n{doubling}\nint x = A39;", "ttl": 600}
    job_id = own_client.post("/execute/async", body).json()["job_id"]
    job_in(own_client, job_id, "running")
    container_running(own_server, "cc1")
    assert cancel(own_client, job_id)["status"] == "cancelled"
    assert job_of(own_client, job_id)["exit_code"] == 137


def test_a_pending_job_never_starts(own_client: Client) -> None:
    first = submit(own_client, "sleep 4714")
    job_in(own_client, first, "running")
    second = submit(own_client, "echo never")
    assert job_of(own_client, second)["status"] == "pending"
    answer = cancel(own_client, second)
    assert (answer["status"], answer["stdout"], answer["artifacts"]) == ("cancelled", "", [])
    cancel(own_client, first)
    assert own_client.execute("bash", "echo next")["stdout"] == "next\n"
    job = job_of(own_client, second)
    assert (job["status"], job["stdout"]) == ("cancelled", "")
    assert "started_at" not in job


def test_a_job_that_waits_for_a_slot_never_starts(own_server: Server) -> None:
    client = Client(own_server.api, test_account("one slot"))
    first, second = submit(client, "sleep 4715"), submit(client, "echo never")
    third = submit(client, "echo third")
    job_in(client, first, "running")
    assert cancel(client, second)["stdout"] == ""
    cancel(client, first)
    assert ended(client, third)["stdout"] == "third\n"
    assert job_of(client, second)["status"] == "cancelled"
    client.close()


def test_cancelling_again_answers_the_same_again(own_server: Server, own_client: Client) -> None:
    job_id = submit(own_client, "echo once; sleep 4716")
    printed(own_server, own_client, job_id, "sleep 4716")
    with ThreadPoolExecutor() as threads:
        clients = [Client(own_client.base) for _ in range(5)]
        answers = list(threads.map(lambda client: cancel(client, job_id), clients))
        for client in clients:
            client.close()
    assert all(answer == answers[0] for answer in answers)
    assert own_client.post(f"/jobs/{job_id}/cancel", {}).json() == answers[0]
    assert cancel(own_client, job_id) == answers[0]
    assert answers[0]["stdout"] == "once\n"


@pytest.mark.parametrize(("method", "suffix"), [("DELETE", ""), ("POST", "/cancel")])
def test_a_job_that_ended_by_itself_cannot_be_cancelled(
    own_client: Client, method: str, suffix: str
) -> None:
    job_id = own_client.execute("bash", "echo whole")["job_id"]
    response = own_client.send(method, f"/jobs/{job_id}{suffix}")
    assert (response.status_code, response.json()["code"]) == (409, "JOB_ENDED")
    assert "completed" in response.json()["details"]
    job = job_of(own_client, job_id)
    assert (job["status"], job["stdout"]) == ("completed", "whole\n")


def test_the_alias_of_clients_cancels_too(own_server: Server, own_client: Client) -> None:
    job_id = submit(own_client, "echo alias; sleep 4717")
    printed(own_server, own_client, job_id, "sleep 4717")
    response = own_client.send("POST", f"/jobs/{job_id}/cancel")
    assert (response.status_code, response.json()["stdout"]) == (200, "alias\n")


def test_a_waiting_sender_is_told_when_another_request_cancels(
    own_server: Server, own_client: Client
) -> None:
    with ThreadPoolExecutor() as threads:
        code = "echo partly; sleep 4718"
        execution = threads.submit(executed, own_client, code, ttl=900)
        container_running(own_server, "sleep 4718")
        job_id = own_server.call(running_jobs(own_server, own_client))
        assert job_id is not None
        cancel(own_client, job_id)
        answer = execution.result(SECONDS)
    assert (answer["status"], answer["success"], answer["exit_code"]) == ("cancelled", False, 137)
    assert (answer["stdout"], answer["job_id"]) == ("partly\n", job_id)


def test_a_waiting_sender_whose_program_has_not_started_is_told_too(own_client: Client) -> None:
    holder = submit(own_client, "sleep 4719")
    job_in(own_client, holder, "running")
    with ThreadPoolExecutor() as threads:
        execution = threads.submit(executed, own_client, "echo never")
        cancel(own_client, latest(own_client, "pending"))
        assert execution.result(SECONDS)["status"] == "cancelled"
    cancel(own_client, holder)


def latest(client: Client, status: str) -> str:
    """The latest job, once one has this status."""
    found: list[str] = []

    def seen() -> bool:
        jobs = client.get("/jobs").json()
        found[:] = [job["job_id"] for job in jobs if job["status"] == status]
        return bool(found)

    eventually(seen)
    return found[0]


def sent_by_hand(client: Client, code: str) -> AbstractContextManager[None]:
    """A program whose sender waits for its answer for the block, then hangs up."""
    return client.waiting("/execute", {"language": "bash", "ttl": 900, "code": code})


def test_a_program_whose_sender_hangs_up_does_not_run_on(
    own_server: Server, own_client: Client
) -> None:
    with sent_by_hand(own_client, "echo begun; sleep 4720"):
        container_running(own_server, "sleep 4720")
        job_id = latest(own_client, "running")
    job = job_in(own_client, job_id, "cancelled")
    assert (job["stdout"], job["message"]) == ("begun\n", "Cancelled: the sender hung up")
    eventually(lambda: not any(runs(one, "sleep 4720") for one in containers(own_server)))
    assert own_client.execute("bash", "echo free again")["stdout"] == "free again\n"


def test_a_program_whose_sender_hangs_up_before_it_starts_never_does(own_client: Client) -> None:
    holder = submit(own_client, "sleep 4722")
    job_in(own_client, holder, "running")
    with sent_by_hand(own_client, "echo never"):
        job_id = latest(own_client, "pending")
    job = job_in(own_client, job_id, "cancelled")
    assert (job["stdout"], job["message"]) == ("", "Cancelled: the sender hung up")
    assert "started_at" not in job
    cancel(own_client, holder)
