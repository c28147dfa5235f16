from concurrent.futures import ThreadPoolExecutor

from tests.client import Client, test_account
from tests.server import Server


def test_an_execution_leaves_a_job_with_its_result(client: Client) -> None:
    answer = client.execute("bash", "echo hi; exit 3")
    job = client.get(f"/jobs/{answer['job_id']}").json()
    for name in ("job_id", "success", "stdout", "stderr", "exit_code", "language", "network_mode"):
        assert job[name] == answer[name]
    assert job["status"] == "completed"
    assert job["created_at"] <= job["started_at"] <= job["completed_at"]
    assert job["completed_at"].endswith("Z")


async def running(server: Server, client: Client) -> str | None:
    return next(iter(server.emulator.jobs.running(client.account)), None)


def test_a_running_job_can_be_seen_running(client: Client, server: Server) -> None:
    with ThreadPoolExecutor() as threads:
        execution = threads.submit(client.execute, "bash", "sleep 2")
        job_id = None
        while job_id is None:
            job_id = server.call(running(server, client))
        job = client.get(f"/jobs/{job_id}").json()
        assert job["status"] == "running"
        assert "exit_code" not in job
        assert execution.result()["job_id"] == job_id


def test_a_job_of_another_account_does_not_exist(client: Client) -> None:
    job_id = client.execute("bash", "echo secret")["job_id"]
    other = client.as_account(test_account("free"))
    response = other.get(f"/jobs/{job_id}")
    other.close()
    assert (response.status_code, response.json()["error"]) == (404, "Job ID not found or expired")


def test_an_unknown_job_is_a_404(client: Client) -> None:
    for job_id in ("nothing", "%00", "..", "a" * 5000, "%F0%9F%92%A9"):
        assert client.get(f"/jobs/{job_id}").status_code == 404
