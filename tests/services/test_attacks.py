"""What a service, another account or many requests at once try against services and their owner."""

import asyncio
import base64
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event, Semaphore

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from emulator.gateway.hosts import Hosts
from emulator.sandbox.inputs import Inputs
from emulator.services import bootstrap, log
from emulator.services.directory import ServiceDirectory
from emulator.services.names import DOMAINS_MOST
from tests import shell
from tests.client import Client, test_account
from tests.containers import eventually
from tests.server import running, settings
from tests.services.conftest import Maker

WEB = "exec python3 -m http.server 8080"

# --- names and domains -----------------------------------------------------------------------


def meeting(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Have `count` services that are being made wait for one another with their input files."""
    written, arrived, met = Inputs.written, [0], asyncio.Event()

    async def waiting(inputs: Inputs) -> None:
        await written(inputs)
        arrived[0] += 1
        if arrived[0] == count:
            met.set()
        async with asyncio.timeout(60):
            await met.wait()

    monkeypatch.setattr(Inputs, "written", waiting)


@pytest.mark.parametrize("others", ["default", "second"])
def test_what_one_may_have_is_had_by_one_of_those_who_ask_at_once(
    services: Maker, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    """The name, of one account, and the domain, of all."""
    meeting(monkeypatch, 2)
    accounts = (test_account("default"), test_account(others))
    clients = [services.client.as_account(account) for account in accounts]
    body = {"name": "raced", "custom_domains": ["raced.example.com"]}
    try:
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda one: one.post("/services", body), clients))
        refused = 409 if others == "default" else 403
        assert sorted(answer.status_code for answer in answers) == [200, refused]
    finally:
        for client in clients:
            client.send("DELETE", "/services/raced")
            client.close()


def test_two_accounts_never_have_the_same_host(
    services: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting(monkeypatch, 2)
    with closing(services.client.as_account(test_account("second"))) as other:
        pair = (services.client, other)
        try:
            with ThreadPoolExecutor(2) as threads:
                made = threads.map(lambda one: one.post("/services", {"name": "same"}), pair)
                urls = {answer.json()["url"] for answer in made}
            assert len(urls) == 2
        finally:
            for client in pair:
                client.send("DELETE", "/services/same")


def test_domains_of_a_service_are_bounded(services: Maker) -> None:
    service = services.ready()
    path = f"/services/{service['id']}/domains"
    for batch in range(2):
        added = [f"a{batch}-{number}.example.com" for number in range(DOMAINS_MOST // 2)]
        services.ask("PUT", path, {"add": added})
    more = services.client.send("PUT", path, b'{"add": ["one-more.example.com"]}')
    assert (more.status_code, len(services.read(service)["custom_domains"])) == (400, DOMAINS_MOST)


NEVER_A_SERVICE_S = [
    *("localhost", "x.localhost", "LOCALHOST", "a.local", "unsandbox.com", "Api.Unsandbox.COM"),
    *(
        "x.on.localhost",
        "x.on.unsandbox.com",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::1]",
    ),
    *("api.unsandbox.com.", "a.example.com.", "*.example.com", "a..b.example.com", ".example.com"),
    *(
        "a.example.com:80",
        "x@a.example.com",
        "a.example.com/x",
        "a b.example.com",
        "-a.example.com",
    ),
    *("a_b.example.com", "\u00e4.example.com", "a.example.com\n", "a\r\nX: b.example.com", ""),
    *((("a" * 63 + ".") * 4) + "com", "a" * 64 + ".com", "Emu.Lan.Example"),
]


def test_no_service_has_a_host_of_the_api_or_what_is_no_name(
    services: Maker, tmp_path: Path
) -> None:
    """Neither one that it is always reached by nor one that settings give it."""
    service, body = services.ready(), {"name": "x", "custom_domains": ["emu.lan.example"]}
    path = f"/services/{service['id']}/domains"
    taken = set()
    for name in NEVER_A_SERVICE_S:
        content = json.dumps({"custom_domains": [name]}).encode()
        if services.client.send("PUT", path, content).status_code != 400:
            taken.add(name)
    assert taken == set()
    assert services.client.post("/services", body).status_code == 400
    assert services.read(service)["custom_domains"] == []
    chosen = settings(tmp_path, public_url="https://public.example:8443", allowed_hosts="a.example")
    assert set(chosen.own_hosts) == {"public.example", "a.example"}


def test_a_domain_is_free_when_its_service_has_gone(services: Maker) -> None:
    first = services.ready(custom_domains=["left.example.com"])
    with closing(services.client.as_account(test_account("second"))) as other:
        wanted = {"name": "heir", "custom_domains": ["left.example.com"]}
        assert other.post("/services", wanted).status_code == 403
        services.ask("DELETE", f"/services/{first['id']}")
        assert other.post("/services", wanted).status_code == 200
        assert other.send("DELETE", "/services/heir").status_code == 200


def test_odd_names_lead_to_their_service_and_to_no_port_of_another(services: Maker) -> None:
    plain = services(name="odd", ports=[8080])
    for name in ("odd--8081", "a" * 63):
        service = services(name=name, ports=[8080, 80])
        label, _, zone = service["url"].partition("//")[2].partition(":")[0].partition(".")
        assert (zone, len(label) <= 63) == ("on.localhost", True)
        directory = ServiceDirectory(services.server.emulator.services)
        hosts = Hosts(directory, ())
        for host in (f"{label}.{zone}", f"{label}--80.{zone}"):
            assert hosts.place(host).served.id == service["id"]
        assert hosts.place("odd--8080.on.localhost").served.id == plain["id"]
        services.ask("DELETE", f"/services/{service['id']}")


def test_what_is_no_label_is_no_name(services: Maker) -> None:
    for name in ("-a", "a-", "a.b", "a_b", "", "a" * 64, "a b", "\u00e4", "a\n"):
        assert services.client.post("/services", {"name": name}).status_code == 400


# --- another account -------------------------------------------------------------------------


def test_another_account_can_do_nothing_with_a_service(services: Maker) -> None:
    service = services.ready(name="mine", ports=[8080], env={"SECRET": "hunter2"}, bootstrap=WEB)
    bodies: dict[str, object] = {
        "": {"name": "theirs"},
        "/domains": {"add": ["theirs.example.com"]},
        "/execute": {"command": "id"},
        "/redeploy": {"bootstrap": "id"},
        "/resize": {"vcpu": 2},
        "/env": {"A": "1"},
    }
    asked = [
        *(("GET", what) for what in ("", "/logs", "/env", "/env?format=export")),
        *(("POST", f"/{what}") for what in ("freeze", "unfreeze", "sleep", "wake", "lock")),
        *(("POST", f"/{what}") for what in ("unlock", "execute", "redeploy", "resize", "env")),
        ("POST", "/env/export"),
        *(("PUT", what) for what in ("/domains", "/env")),
        *(("PATCH", ""), ("DELETE", "/env"), ("DELETE", "")),
    ]
    before = services.read(service)
    names = (service["id"], "mine", service["container_name"])
    with closing(services.client.as_account(test_account("second"))) as other:
        for method, what in asked:
            content = json.dumps(bodies.get(what, {})).encode() if method != "GET" else b""
            for name in names:
                answer = other.send(method, f"/services/{name}{what}", content)
                assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), what
        assert other.get("/services").json()["services"] == []
    assert services.read(service) == before
    assert services.run(service, "printenv SECRET") == "hunter2\n"


def test_without_a_signature_a_service_has_a_shell_by_its_whole_id_alone(services: Maker) -> None:
    service = services.ready(name="unsigned")
    for path in ("", "/logs", "/env", "/env/export", "/execute"):
        method = "POST" if path in ("/env/export", "/execute") else "GET"
        answer = httpx.request(method, f"{services.server.api}/services/{service['id']}{path}")
        assert answer.status_code == 401
    for name in ("unsigned", service["container_name"], service["id"][:-1], service["id"].upper()):
        with pytest.raises(InvalidStatus) as refusal, shell.opened(services.server.api, name):
            pass
        assert refusal.value.response.status_code == 404
    with shell.opened(services.server.api, service["id"]) as opened:
        assert b"it is 42" in opened.answer("echo it is $((6*7))")


def test_shells_of_a_service_are_bounded_however_many_come_at_once(
    services: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.services.doors.CLIENTS_MOST", 3)
    service = services.ready()

    refused, everybody = Semaphore(0), Event()

    def come(_: int) -> bool:
        try:
            with shell.opened(services.server.api, service["id"]) as opened:
                opened.answer("true")
                assert everybody.wait(60)
                return True
        except InvalidStatus as error:
            refused.release()
            return error.response.status_code != 409

    with ThreadPoolExecutor(8) as threads:
        came = [threads.submit(come, number) for number in range(8)]
        try:
            assert all(refused.acquire(timeout=60) for _ in range(5))
        finally:
            everybody.set()
        assert sum(one.result() for one in came) == 3


# --- what a service does to what it has ------------------------------------------------------

BREAKAGES = {
    "script and log are directories": """
        rm -rf /tmp/bootstrap.sh /run/unsandbox/log
        mkdir -p /tmp/bootstrap.sh/x /run/unsandbox/log/x
        kill -STOP $(pgrep -x cat) $(pgrep -x sleep)""",
    "the script is a link, all is full": """
        ln -sf /etc/passwd /tmp/bootstrap.sh; chmod 555 /tmp; echo > /run/unsandbox/code
        rm -rf /run/unsandbox; echo > /run/unsandbox; dd if=/dev/zero of=/run/full bs=1M""",
    "very many processes, none of ours": """
        kill -9 1; kill -STOP 1; kill -9 $(pgrep -x cat)
        perl -e 'while (defined($p = fork)) { sleep 1000 unless $p }' >/dev/null 2>&1""",
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_whatever_a_service_broke_a_redeploy_makes_good(services: Maker, name: str) -> None:
    service = services.ready(bootstrap="sleep 1000 & echo first")
    services.client.post(f"/services/{service['id']}/execute", {"command": BREAKAGES[name]})
    services.change(service, "redeploy", bootstrap="rm -f /run/full; echo the second one works")
    eventually(lambda: "the second one works" in services.log(service))
    eventually(lambda: services.read(service)["state"] == "running")
    assert services.run(service, "head -c 4 /etc/passwd") == "root"


def test_a_flood_of_output_is_bounded_on_disk_and_in_answers(
    services: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "HALF_BYTES", 256 * 1024)
    service = services.ready(bootstrap="yes flood & yes | tr -d '\\n' & cat /dev/zero")
    folder = services.server.emulator.settings.data_dir / "services"
    files = [folder / f"{service['id']}.log", folder / f"{service['id']}.log.1"]
    eventually(files[1].exists)
    turned = files[1].stat().st_ino
    eventually(lambda: files[1].stat().st_ino != turned)
    assert sum(file.stat().st_size for file in files if file.exists()) < 4 * 256 * 1024
    assert len(services.log(service, "?lines=2")) < 4 * 256 * 1024
    assert services.change(service, "freeze")["state"] == "frozen"


HANG = "#!/usr/bin/perl\nsleep 100000;\n"


def test_a_service_that_broke_its_own_programs_does_not_keep_the_emulator_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it keep the slots that it had, or stay when it is deleted."""
    chosen = settings(tmp_path, languages="bash", pool_size="0")
    file = {"filename": "hang", "content": base64.b64encode(HANG.encode()).decode()}
    body = {"name": "broken", "bootstrap": "sleep 1000", "input_files": [file]}
    line = "kill -9 $(pgrep -x cat); cp -a hang /usr/bin/h; mv -f /usr/bin/h /usr/bin/dash"
    with running(chosen) as server, closing(Client(server.api)) as client:
        assert client.post("/services", body).status_code == 200
        ran = client.post("/services/broken/execute", {"command": line}).json()
        assert (ran["exit_code"], ran["stderr"]) == (0, "")
    monkeypatch.setattr(bootstrap, "QUICK_SECONDS", 0.3)
    with running(chosen) as server, closing(Client(server.api)) as client:
        assert client.execute("bash", "echo on")["stdout"] == "on\n"
        assert client.get("/services").json()["count"] == 1
        assert client.post("/services/broken/redeploy", {}).status_code in (409, 500)
        assert client.send("DELETE", "/services/broken").status_code == 200
        assert server.emulator.slots.taken(client.account) == 0


# --- many at once ----------------------------------------------------------------------------

NAMES = ("storm-1", "storm-2", "storm-3")
ACTS: dict[str, Callable[[Client, str, random.Random], httpx.Response]] = {
    "create": lambda client, name, _: client.post(
        "/services", {"name": name, "bootstrap": WEB, "ports": [8080], "env": {"A": "1"}}
    ),
    "delete": lambda client, name, _: client.send("DELETE", f"/services/{name}"),
    "freeze": lambda client, name, _: client.post(f"/services/{name}/freeze", {}),
    "unfreeze": lambda client, name, _: client.post(f"/services/{name}/unfreeze", {}),
    "redeploy": lambda client, name, _: client.post(f"/services/{name}/redeploy", {}),
    "execute": lambda client, name, _: client.post(f"/services/{name}/execute", {"command": "id"}),
    "rename": lambda client, name, chance: client.send(
        "PATCH", f"/services/{name}", json.dumps({"name": chance.choice(NAMES)}).encode()
    ),
    "resize": lambda client, name, chance: client.post(
        f"/services/{name}/resize", {"vcpu": chance.randint(1, 3)}
    ),
    "fill": lambda client, name, _: client.send("PUT", f"/services/{name}/env", b'{"B":"2"}'),
    "domains": lambda client, name, chance: client.send(
        "PUT",
        f"/services/{name}/domains",
        json.dumps({"add": [f"{chance.choice(NAMES)}.example.com"]}).encode(),
    ),
    "visit": lambda client, name, _: httpx.get(
        client.base, headers={"Host": f"{name}.on.localhost"}, timeout=60
    ),
}
FINE = {200, 202, 400, 403, 404, 409, 429, 500, 502, 503}


def storm(services: Maker, seed: int) -> list[tuple[str, int]]:
    chance = random.Random(seed)  # noqa: S311 - which of many, not a secret
    outcomes = []
    with closing(services.client.as_account(test_account("default"))) as client:
        for _ in range(3):
            act = chance.choice(["create", *ACTS])
            answer = ACTS[act](client, chance.choice(NAMES), chance)
            outcomes.append((act, answer.status_code))
    return outcomes


def test_whatever_is_done_at_once_each_slot_is_given_back_once(services: Maker) -> None:
    emulator = services.server.emulator
    before = emulator.sessions.promises._budget._free
    with ThreadPoolExecutor(20) as threads:
        stormed = threads.map(lambda number: storm(services, number), range(20))
        outcomes = {one for many in stormed for one in many}
    assert {status for _, status in outcomes} <= FINE
    left = emulator.services.of(services.client.account.public_key)
    held = sum(service.record.slots for service in left)
    assert emulator.slots.taken(services.client.account) == held
    for service in left:
        services.ask("DELETE", f"/services/{service.id}")
    assert emulator.slots.taken(services.client.account) == 0
    assert emulator.sessions.promises._budget._free == before
    eventually(lambda: emulator.services._store.all() == [])
