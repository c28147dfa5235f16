"""Services by the API: their scripts, logs, names, states, commands and ends."""

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx

from tests import shell
from tests.client import test_account
from tests.containers import containers, eventually
from tests.services.conftest import Maker

WEB = "echo begun; exec python3 -m http.server 8080"
TICKS = "(while sleep 0.05; do echo tick; done) & echo started"


def ids(services: Maker) -> set[str]:
    return {str(one.id) for one in containers(services.server, everything=True)}


# --- made ------------------------------------------------------------------------------------


def test_a_service_tells_all_that_clients_read(services: Maker) -> None:
    service = services(name="of-mine", ports=[8080], vcpu=1)
    port = services.server.api.rpartition(":")[2]
    assert service == {
        "id": service["service_id"],
        "service_id": service["id"],
        "name": "of-mine",
        "url": f"http://of-mine.on.localhost:{port}",
        "status": service["state"],
        "state": service["status"],
        "ports": [8080],
        "container_name": service["container_name"],
        "network_mode": "zerotrust",
        "domains": [],
        "custom_domains": [],
        "service_type": "web",
        "vcpu": 1,
        "memory_mb": 2048,
        "locked": False,
        "unfreeze_on_demand": True,
        "show_freeze_page": True,
        "host_ports": {},
        "created_at": service["created_at"],
    }
    assert service["id"].startswith("unsb-service-")


def test_who_knows_us_by_the_cloud_s_name_gets_the_cloud_s_url(services: Maker) -> None:
    service = services(name="in-the-cloud")
    path = f"/services/{service['id']}"
    answer = services.client.send("GET", path, Host="api.unsandbox.com").json()
    assert answer["url"] == "https://in-the-cloud.on.unsandbox.com"


def test_a_name_is_an_account_s_once_and_stands_for_the_id(services: Maker) -> None:
    service = services(name="taken")
    again = services.client.post("/services", {"name": "taken"})
    assert (again.status_code, "already taken" in again.json()["details"]) == (409, True)
    for name in ("taken", service["container_name"]):
        assert services.ask("GET", f"/services/{name}")["id"] == service["id"]


def test_another_account_finds_nothing_and_may_have_the_name(services: Maker) -> None:
    service = services(name="twice")
    with closing(services.client.as_account(test_account("second"))) as other:
        for name in (service["id"], "twice"):
            assert other.get(f"/services/{name}").status_code == 404
            assert other.post(f"/services/{name}/execute", {"command": "id"}).status_code == 404
            assert other.send("DELETE", f"/services/{name}").status_code == 404
        theirs = other.post("/services", {"name": "twice"}).json()
        try:
            assert theirs["name"] == "twice"
            assert theirs["url"] != service["url"]
            assert other.get("/services").json()["count"] == 1
        finally:
            other.send("DELETE", f"/services/{theirs['id']}")


def test_the_free_tier_has_no_services(services: Maker) -> None:
    with closing(services.client.as_account(test_account("free"))) as free:
        response = free.post("/services", {"name": "free"})
    assert (response.status_code, response.json()["code"]) == (403, "TIER_REQUIRED")


# --- scripts and logs ------------------------------------------------------------------------


def test_a_web_server_runs_once_its_port_answers(services: Maker) -> None:
    service = services.ready(ports=[8080], bootstrap=WEB)
    assert service["state"] == "running"
    assert "Directory listing" in services.run(service, "curl -s localhost:8080")
    assert services.run(service, "cat /tmp/bootstrap.sh") == WEB


def test_what_the_script_leaves_in_the_background_goes_on_and_is_heard(services: Maker) -> None:
    service = services.ready(bootstrap=TICKS)
    assert service["state"] == "running"
    eventually(lambda: services.log(service).count("tick") > 3)
    assert services.log(service).startswith("started\n") or "tick\nstarted" in services.log(service)


def test_a_script_that_fails_is_the_service_s_state(services: Maker) -> None:
    service = services(bootstrap="echo so far; exit 7")
    eventually(lambda: services.read(service)["state"] == "failed")
    assert "exit code 7" in services.read(service)["message"]
    assert services.log(service) == "so far\n"


def test_a_script_of_another_language_says_so_in_its_first_line(services: Maker) -> None:
    script = "#!/usr/bin/env python3\nprint('of python', 6 * 7, flush=True)\n"
    service = services.ready(bootstrap_content=script)
    eventually(lambda: services.log(service) == "of python 42\n")


def test_input_files_are_there_before_the_script_runs(services: Maker) -> None:
    file = {"filename": "a.txt", "content": base64.b64encode(b"sent").decode()}
    service = services.ready(bootstrap="cat a.txt", input_files=[file])
    eventually(lambda: services.log(service) == "sent")


def test_the_log_s_last_lines_or_all_of_it(services: Maker) -> None:
    service = services.ready(bootstrap="seq 20000")
    eventually(lambda: services.log(service).endswith("20000\n"))
    assert services.log(service).startswith("11001\n")
    assert services.log(service, "?lines=2") == "19999\n20000\n"
    assert services.log(service, "?all=true").startswith("1\n2\n")


# --- redeployed ------------------------------------------------------------------------------


def test_a_redeploy_ends_what_runs_and_runs_the_script_again_over_the_files(
    services: Maker,
) -> None:
    service = services.ready(bootstrap="echo again >> runs; " + TICKS)
    assert services.change(service, "redeploy")["state"] == "redeploying"
    eventually(lambda: services.read(service)["state"] == "running")
    assert services.run(service, "cat runs") == "again\nagain\n"
    services.change(service, "redeploy", bootstrap="echo of the new")
    eventually(lambda: "of the new" in services.log(service))
    assert services.run(service, "cat /tmp/bootstrap.sh") == "echo of the new"


def test_a_redeploy_ends_a_flood_and_the_log_has_room_for_what_follows(services: Maker) -> None:
    service = services.ready(bootstrap="yes of the flood &")
    services.change(service, "redeploy", bootstrap="echo of the new")
    eventually(lambda: services.log(service, "?lines=1") == "of the new\n")
    eventually(lambda: services.read(service)["state"] == "running")


def test_a_redeploy_without_any_script_is_refused(services: Maker) -> None:
    assert services.refused(services.ready(), "redeploy")[0] == 400


# --- commands --------------------------------------------------------------------------------


def test_a_command_is_kept_as_a_job(services: Maker) -> None:
    service = services.ready()
    ran = services.change(service, "execute", command="echo on; exit 4")
    assert (ran["status"], ran["stdout"], ran["exit_code"]) == ("completed", "on\n", 4)
    job = services.ask("GET", f"/jobs/{ran['job_id']}")
    assert (job["stdout"], job["exit_code"]) == ("on\n", 4)


def test_a_time_limit_is_answered_202_and_kept(services: Maker) -> None:
    service = services.ready()
    path, body = f"/services/{service['id']}/execute", {"command": "sleep 60", "timeout": 200}
    response = services.client.post(path, body)
    assert (response.status_code, response.json()["status"]) == (202, "timeout")


# --- states ----------------------------------------------------------------------------------


def test_a_frozen_service_stands_still_and_takes_no_slot(services: Maker) -> None:
    service = services.ready(bootstrap=TICKS)
    slots = services.server.emulator.slots
    assert slots.taken(services.client.account) == 1
    assert services.change(service, "freeze")["state"] == "frozen"
    assert slots.taken(services.client.account) == 0
    before = services.log(service)
    assert services.refused(service, "execute", command="id")[0] == 409
    assert services.refused(service, "redeploy")[0] == 409
    assert services.refused(service, "resize", vcpu=2)[0] == 409
    assert services.log(service) == before
    assert services.change(service, "unfreeze")["unfreeze_time_ms"] >= 0
    eventually(lambda: services.log(service) > before)


def test_sleep_and_wake_are_freeze_and_unfreeze(services: Maker) -> None:
    service = services.ready()
    assert services.change(service, "sleep")["state"] == "frozen"
    assert services.change(service, "wake")["state"] == "running"


def test_a_service_is_changed_in_parts(services: Maker) -> None:
    service = services.ready(name="before")
    path = f"/services/{service['id']}"
    changed = services.ask("PATCH", path, {"name": "after", "ports": [1, 2], "vcpu": 2})
    assert (changed["name"], changed["ports"], changed["vcpu"]) == ("after", [1, 2], 2)
    assert "//after.on." in changed["url"]
    assert services.change(service, "resize", vcpu=1)["memory_mb"] == 2048


def test_domains_are_replaced_added_and_removed_and_are_nobody_else_s(services: Maker) -> None:
    one, other = services.ready(), services.ready()
    path = f"/services/{one['id']}/domains"
    services.ask("PUT", path, {"custom_domains": ["A.example.com"]})
    services.ask("PUT", path, {"add": ["b.example.com"]})
    assert services.read(one)["custom_domains"] == ["a.example.com", "b.example.com"]
    services.ask("PUT", path, {"remove": ["a.example.com"]})
    for domain, status in (
        ("b.example.com", 403),
        ("api.unsandbox.com", 400),
        ("x.on.localhost", 400),
        ("a.example.com", 200),
    ):
        body = b'{"add": ["%s"]}' % domain.encode()
        answer = services.client.send("PUT", f"/services/{other['id']}/domains", body)
        assert answer.status_code == status, answer.text


def test_a_locked_service_is_not_destroyed(services: Maker) -> None:
    service = services.ready()
    assert services.change(service, "lock")["locked"] is True
    refusal = services.client.send("DELETE", f"/services/{service['id']}")
    assert (refusal.status_code, refusal.json()["code"]) == (409, "LOCKED")
    services.change(service, "unlock")
    assert services.ask("DELETE", f"/services/{service['id']}")["status"] == "destroyed"


def test_a_destroyed_service_is_gone_with_all_that_was_its_own(services: Maker) -> None:
    service = services.ready(bootstrap="echo on")
    emulator = services.server.emulator
    container = emulator.services.find_by_id(service["id"])
    assert container is not None
    services.ask("DELETE", f"/services/{service['id']}")
    assert services.client.get(f"/services/{service['id']}").status_code == 404
    assert container.record.container_id not in ids(services)
    assert not list((emulator.settings.data_dir / "services").glob(f"{service['id']}*"))
    assert emulator.slots.taken(services.client.account) == 0


def test_the_vault_is_in_the_environment_of_what_starts_afterwards(services: Maker) -> None:
    service = services.ready(bootstrap='echo "it is $GREETING"')
    path = f"/services/{service['id']}/env"
    services.client.send("PUT", path, b"GREETING=two words\n", "text/plain")
    services.change(service, "redeploy")
    eventually(lambda: "it is two words" in services.log(service))
    services.client.send("PUT", path, b"GREETING=others\n", "text/plain")
    services.change(service, "freeze")
    services.change(service, "unfreeze")
    assert services.run(service, "printenv GREETING") == "others\n"


# --- losses and shells -----------------------------------------------------------------------


def test_a_container_that_ends_is_started_again_with_its_files_and_its_script(
    services: Maker,
) -> None:
    service = services.ready(bootstrap="echo again >> runs; echo ran")
    emulator = services.server.emulator
    found = emulator.services.find_by_id(service["id"])
    assert found is not None
    services.server.call(emulator.engine.kill(found.record.container_id))
    eventually(lambda: services.log(service).count("ran\n") == 2)
    eventually(lambda: services.read(service)["state"] == "running")
    assert services.run(service, "cat runs") == "again\nagain\n"
    assert "started again" in services.log(service)


def test_a_frozen_service_whose_container_ends_starts_when_it_is_woken(services: Maker) -> None:
    service = services.ready(bootstrap="echo ran")
    emulator = services.server.emulator
    found = emulator.services.find_by_id(service["id"])
    assert found is not None
    services.change(service, "freeze")
    services.server.call(emulator.engine.kill(found.record.container_id))
    eventually(lambda: found.stopped)
    assert services.read(service)["state"] == "frozen"
    services.change(service, "wake")
    eventually(lambda: services.log(service).count("ran\n") == 2)


def test_a_service_has_shells_of_its_own_for_who_knows_its_id(services: Maker) -> None:
    service = services.ready(bootstrap="echo on")
    with shell.opened(services.server.api, service["id"]) as one:
        one.answer("mine=alone")
        with shell.opened(services.server.api, service["id"]) as two:
            assert b"it is <>" in two.answer('echo "it is <$mine>"')
        one.type("exit\r")
        assert one.ended() == (["exit"], 1000)
    assert services.read(service)["state"] == "running"


# --- reached ---------------------------------------------------------------------------------


def page(services: Maker, host: str, **headers: str) -> httpx.Response:
    """What a browser gets that asks this host."""
    return httpx.get(services.server.api, headers={"Host": host, **headers}, timeout=30)


def test_a_service_is_reached_by_its_host_and_by_its_domain(services: Maker) -> None:
    service = services(name="shop", ports=[8080, 8081], bootstrap=WEB, custom_domains=["a.example"])
    for host in ("shop.on.localhost", "shop--8080.on.unsandbox.com", "a.example"):
        assert "Directory listing" in page(services, host).text
    assert page(services, "shop--8081.on.localhost").status_code == 502
    assert page(services, "nobody.on.localhost").status_code == 404
    services.ask("DELETE", f"/services/{service['id']}")
    assert page(services, "shop.on.localhost").status_code == 404


def test_a_frozen_service_wakes_for_a_request_unless_it_is_not_to(services: Maker) -> None:
    service = services.ready(name="sleeper", ports=[8080], bootstrap=WEB)
    services.change(service, "freeze")
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: page(services, "sleeper.on.localhost"), range(8))
        assert [answer.status_code for answer in answers] == [200] * 8
    assert services.read(service)["state"] == "running"
    services.change(service, "freeze")
    path = f"/services/{service['id']}"
    services.ask("PATCH", path, {"unfreeze_on_demand": False, "show_freeze_page": False})
    refused = page(services, "sleeper.on.localhost", Accept="text/html")
    assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_FROZEN")
    services.ask("PATCH", path, {"show_freeze_page": True})
    shown = page(services, "sleeper.on.localhost", Accept="text/html")
    assert (shown.status_code, "<html" in shown.text) == (503, True)
