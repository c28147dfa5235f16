"""Jobs over the API: submitted, polled, waited for, listed; each account has its own."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Client, test_account
from tests.server import Server, running, settings

JSON = "application/json"
OBJECT = "application/vnd.unsandbox.jobs+json"


def submit(client: Client, code: str, **fields: object) -> str:
    """The id of an accepted job."""
    response = client.post("/execute/async", {"language": "bash", "code": code, **fields})
    assert response.status_code == 200, response.text
    return str(response.json()["job_id"])


def job_of(client: Client, job_id: str) -> dict[str, Any]:
    response = client.get(f"/jobs/{job_id}")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def job_in(client: Client, job_id: str, *statuses: str) -> dict[str, Any]:
    """The job once it has one of these statuses."""
    end = time.monotonic() + 60
    while True:
        job = job_of(client, job_id)
        if job["status"] in statuses:
            return job
        assert time.monotonic() < end, job
        time.sleep(0.02)


def ended(client: Client, job_id: str) -> dict[str, Any]:
    response = client.get(f"/jobs/{job_id}/wait")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_an_execution_leaves_a_job_with_its_result(client: Client) -> None:
    answer = client.execute("bash", "echo hi; exit 3")
    job = job_of(client, answer["job_id"])
    for name in answer:
        assert job[name] == answer[name]
    assert job["status"] == "completed"
    assert job["created_at"] <= job["started_at"] <= job["completed_at"]
    assert job["completed_at"].endswith("Z")


async def running_jobs(server: Server, client: Client) -> str | None:
    return next(iter(server.emulator.jobs.running(client.account)), None)


def test_a_running_job_can_be_seen_running(client: Client, server: Server) -> None:
    with ThreadPoolExecutor() as threads:
        execution = threads.submit(client.execute, "bash", "sleep 2")
        job_id = None
        while job_id is None:
            job_id = server.call(running_jobs(server, client))
        job = job_of(client, job_id)
        assert job["status"] == "running"
        assert "started_at" in job
        assert "exit_code" not in job
        assert execution.result()["job_id"] == job_id


def test_a_job_is_accepted_at_once_polled_and_ends_with_its_result(client: Client) -> None:
    response = client.post("/execute/async", {"language": "bash", "code": "sleep 1; echo done"})
    accepted = response.json()
    assert (response.status_code, accepted["status"]) == (200, "pending")
    assert accepted["message"] == "Job accepted for execution"
    seen = [job_of(client, accepted["job_id"])["status"]]
    while seen[-1] in ("pending", "running"):
        time.sleep(0.02)
        seen.append(job_of(client, accepted["job_id"])["status"])
    order = ["pending", "running", "completed"]
    assert [order.index(status) for status in seen] == sorted(map(order.index, seen))
    assert seen[-1] == "completed"
    job = job_of(client, accepted["job_id"])
    assert (job["stdout"], job["exit_code"], job["success"]) == ("done\n", 0, True)
    assert job["output"] == job["stdout"]
    assert job["total_time_ms"] == job["execution_time_ms"] == job["execution_time"] >= 1000


def test_a_run_is_accepted_with_the_language_that_was_found(client: Client) -> None:
    code = b"#!/usr/bin/env python3\nprint(6 * 7)"
    response = client.send("POST", "/run/async", code, "text/plain")
    accepted = response.json()
    assert (accepted["status"], accepted["detected_language"]) == ("pending", "python")
    job = ended(client, accepted["job_id"])
    assert (job["stdout"], job["detected_language"]) == ("42\n", "python")


def test_a_run_as_json_is_accepted_too(client: Client) -> None:
    body = {"code": "#!/bin/bash\necho $N", "env": {"N": "7"}}
    accepted = client.post("/run/async?ttl=5", body).json()
    assert ended(client, accepted["job_id"])["stdout"] == "7\n"


def test_a_program_that_fails_is_a_completed_job_and_one_over_its_ttl_a_timeout(
    client: Client,
) -> None:
    failing, endless = submit(client, "exit 3"), submit(client, "echo x; sleep 60", ttl=1)
    job = ended(client, failing)
    assert (job["status"], job["success"], job["exit_code"]) == ("completed", False, 3)
    job = ended(client, endless)
    assert (job["status"], job["exit_code"], job["stdout"]) == ("timeout", 124, "x\n")


@pytest.mark.parametrize(
    "body",
    [
        {"language": "klingon", "code": "x"},
        {"language": "bash"},
        {"language": "bash", "code": "x", "ttl": 0},
    ],
)
def test_what_cannot_be_run_is_refused_before_it_is_accepted(
    client: Client, body: dict[str, object]
) -> None:
    assert client.post("/execute/async", body).status_code == 400


def test_waiting_for_a_job_that_has_ended_answers_at_once(client: Client) -> None:
    job_id = client.execute("bash", "echo hi")["job_id"]
    assert ended(client, job_id) == job_of(client, job_id)


def test_a_waiter_that_hangs_up_harms_nothing(client: Client) -> None:
    job_id = submit(client, "sleep 1; echo fine")
    impatient = Client(client.base)
    impatient._http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        impatient.get(f"/jobs/{job_id}/wait")
    impatient.close()
    assert ended(client, job_id)["stdout"] == "fine\n"


def test_a_job_of_another_account_does_not_exist(client: Client) -> None:
    job_id = submit(client, "sleep 30")
    other = client.as_account(test_account("free"))
    for method, path in (
        ("GET", f"/jobs/{job_id}"),
        ("GET", f"/jobs/{job_id}/wait"),
        ("DELETE", f"/jobs/{job_id}"),
        ("POST", f"/jobs/{job_id}/cancel"),
    ):
        response = other.send(method, path)
        assert response.status_code == 404
        assert response.json()["error"] == "Job ID not found or expired"
    assert job_id not in [job["job_id"] for job in other.get("/jobs").json()]
    other.close()
    assert job_of(client, job_id)["status"] in ("pending", "running")
    assert client.send("DELETE", f"/jobs/{job_id}").status_code == 200


@pytest.mark.parametrize("suffix", ["", "/wait"])
def test_an_unknown_job_is_a_404(client: Client, suffix: str) -> None:
    for job_id in ("nothing", "%00", "..", "a" * 5000, "%F0%9F%92%A9"):
        assert client.get(f"/jobs/{job_id}{suffix}").status_code == 404
        assert client.send("DELETE", f"/jobs/{job_id}").status_code == 404


def test_jobs_are_listed_as_an_array_the_newest_first_without_results(client: Client) -> None:
    first = client.execute("bash", "echo hi")["job_id"]
    second = submit(client, "sleep 30")
    listed = client.get("/jobs").json()
    ids = [job["job_id"] for job in listed]
    assert ids.index(second) < ids.index(first)
    one = listed[ids.index(first)]
    assert one["id"] == first
    assert one.keys() == {"job_id", "id", "status", "language", "network_mode", "created_at"}
    assert listed[ids.index(second)]["status"] in ("pending", "running")
    client.send("DELETE", f"/jobs/{second}")


OBJECT_FORMS: list[tuple[str, dict[str, str], bool]] = [
    ("/jobs?format=object", {}, True),
    ("/jobs?limit=1", {}, True),
    ("/jobs", {"Accept": OBJECT}, True),
    ("/jobs", {"User-Agent": "un-cli/2.0"}, True),
    ("/jobs", {"User-Agent": "python-requests/2.32"}, True),
    ("/jobs", {"User-Agent": "Python/3.11 aiohttp/3.9"}, True),
    ("/jobs", {"User-Agent": "Java/17.0"}, True),
    ("/jobs", {"User-Agent": "curl/8.0"}, False),
    ("/jobs", {"Accept": "application/json"}, False),
    ("/jobs?format=array", {"User-Agent": "un-cli/2.0"}, False),
    ("/jobs?format=array&limit=1", {"Accept": OBJECT}, False),
]


@pytest.mark.parametrize(("path", "headers", "as_object"), OBJECT_FORMS)
def test_the_list_is_an_object_for_who_asks_for_one(
    client: Client, path: str, headers: dict[str, str], as_object: bool
) -> None:
    client.execute("bash", "echo")
    document = client.send("GET", path, b"", JSON, **headers).json()
    assert isinstance(document, dict) is as_object
    jobs = document["jobs"] if isinstance(document, dict) else document
    if isinstance(document, dict):
        assert document["count"] == len(jobs)
    assert len(jobs) == 1 if "limit" in path else len(jobs) >= 1


def test_what_is_done_for_a_client_s_sake_is_in_the_journal(
    client: Client, admin: httpx.Client
) -> None:
    response = client.send("GET", "/jobs", b"", JSON, **{"User-Agent": "un-js/2.0"})
    path = f"/_emulator/requests?request_id={response.headers['x-request-id']}"
    (entry,) = admin.get(path).json()["requests"]
    assert "compat: the list as an object, for this client" in entry["notes"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "format=xml"])
def test_a_bad_parameter_of_the_list_is_a_400_that_names_it(client: Client, query: str) -> None:
    response = client.get(f"/jobs?{query}")
    assert response.status_code == 400
    assert response.json()["details"].startswith(query.partition("=")[0])


def test_strict_knows_no_clients(tmp_path: Path) -> None:
    with running(settings(tmp_path, languages="bash", pool_size="0", strict="true")) as server:
        client = Client(server.api)
        assert client.send("GET", "/jobs", b"", JSON, **{"User-Agent": "un-cli/2.0"}).json() == []
        assert client.get("/jobs?format=object").json() == {"jobs": [], "count": 0}
        client.close()


def test_the_ttl_and_the_retention_of_a_job_follow_the_clock(tmp_path: Path) -> None:
    with running(settings(tmp_path, languages="bash", pool_size="1")) as server:
        client = Client(server.api)
        job_id = submit(client, "echo before; sleep 600", ttl=900)
        while job_of(client, job_id)["status"] != "running":
            time.sleep(0.02)
        job = server.emulator.jobs.live(job_id, client.account)
        assert job is not None
        httpx.post(f"{server.admin}/_emulator/clock", json={"advance": 901})
        server.call(job.ended.wait())
        assert job.status == "timeout"
        httpx.post(f"{server.admin}/_emulator/clock", json={"advance": 86_401})
        with pytest.raises(Exception, match="finished jobs are kept"):
            server.call(server.emulator.jobs.get(job_id, client.account))
        client.close()
