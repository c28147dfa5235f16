"""The semitrusted network: the world outside is reached, and nothing nearby is.

What must not be reached is there, and would answer: `tests/outside` gives those addresses to a
container of its own, and the proxy a way to them.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import docker
import httpx
import pytest
from docker.models.containers import Container

from emulator.gateway import egress
from emulator.paths import RUNTIMES
from emulator.sandbox.images import Images
from emulator.sandbox.runtimes import Catalogue
from tests.api.test_isolation import own
from tests.client import Client, test_account
from tests.modes import MODES
from tests.outside.world import ALLOWED, FORBIDDEN, METADATA, PRIVATE, Outside, outside
from tests.server import Server, running, settings

MIB = 1 << 20
NESTED = """
    import hashlib, hmac, json, time, requests

    def call(path, fields):
        body, at = json.dumps(fields), str(int(time.time()))
        signed = f"{at}:POST:{path}:{body}".encode()
        key = b"unsb-sk-test0-vault-unlck-12345"
        headers = {
            "Authorization": "Bearer unsb-pk-test-0000-0000-0001",
            "Content-Type": "application/json",
            "X-Timestamp": at,
            "X-Signature": hmac.new(key, signed, hashlib.sha256).hexdigest(),
        }
        return requests.post("https://api.unsandbox.com" + path, data=body, headers=headers)
"""
ASK = """
    import socket, sys

    def ask(head, target):
        with socket.create_connection(("127.0.0.1", 3128), 30) as proxy:
            proxy.sendall(head.format(target).encode() + b"Connection: close\\r\\n\\r\\n")
            proxy.settimeout(40)
            return proxy.makefile("rb").read(4096).partition(b"\\r\\n")[0].decode()
"""


in_both_modes = pytest.mark.parametrize("server", MODES, indirect=True, scope="module")


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    client = docker.from_env()
    with outside(Images(client, Catalogue.load(RUNTIMES))) as made:
        yield made
    client.close()


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, world: Outside, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    chosen = settings(
        tmp_path_factory.mktemp("semitrusted"),
        isolation=getattr(request, "param", MODES[0]),
        languages="python,bash,javascript",
        pool_size="1",
        egress_dns=world.address,
        egress_allow=ALLOWED,
    )
    with running(chosen) as made:
        world.meet(made)
        yield made


@pytest.fixture
def proxy(server: Server, world: Outside) -> Container:
    """The proxy's container, with its way to the world; a new one when the last was ended."""
    return world.meet(server)


def output(proxy: Container, command: str, user: str = "0:0") -> str:
    """What a command prints in the proxy's container."""
    printed = proxy.exec_run(["bash", "-c", command], user=user).output
    assert isinstance(printed, bytes)
    return printed.decode()


def squid(proxy: Container) -> str:
    """The id of squid's process in the proxy's container, empty while there is none."""
    return output(proxy, "cd /proc; grep -lx squid [0-9]*/comm").partition("/")[0]


@contextmanager
def aside(client: Client) -> Iterator[tuple[Client, ThreadPoolExecutor]]:
    """Another client, and threads to use it in."""
    with ThreadPoolExecutor() as threads:
        try:
            yield client, threads
        finally:
            client.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to hold")


def semitrusted(client: Client, code: str, language: str = "python", **fields: Any) -> str:  # noqa: ANN401 - fields of a request
    """What a program prints that must not print any error."""
    answer = client.execute(language, dedent(code), network_mode="semitrusted", **fields)
    assert (answer["stderr"], answer["exit_code"]) == ("", 0), answer
    return str(answer["stdout"])


# --- whose connections they are ----------------------------------------------------------------


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_a_connection_outwards_serves_one_request(client: Client) -> None:
    """What one program makes a server say too much is not the answer to another's request."""
    code = """
        import requests
        with requests.Session() as kept:
            for _ in range(4): print(kept.get("http://outside.test/port").text)
    """
    assert len(set(semitrusted(client, code).split())) == 4


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_an_account_cannot_take_all_connections(
    client: Client, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A third one waits here, until one of the two that it may have has ended.

    An account that nothing here was sent for yet: its share is measured when its first connection
    comes, and stays while one is open.
    """
    assert 2 * egress.SHARE <= egress.CONNECTIONS
    monkeypatch.setattr(egress, "SHARE", 2)
    unused = client.as_account(test_account("second"))
    request.addfinalizer(unused.close)
    code = """
        import socket
        def connect():
            made = socket.create_connection(("127.0.0.1", 3128))
            made.sendall(b"CONNECT outside.test:7000 HTTP/1.1\\r\\n\\r\\n")
            made.settimeout(2)
            return made
        kept = [connect(), connect()]
        print([one.recv(12) for one in kept])
        third = connect()
        try: print(third.recv(12))
        except TimeoutError: print("it waits")
        kept[0].close()
        third.settimeout(25)
        print(third.recv(12))
    """
    answered = str(b"HTTP/1.1 200")
    expected = [f"[{answered}, {answered}]", "it waits", answered]
    assert semitrusted(unused, code, ttl=60).splitlines() == expected


# --- what is reached ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import urllib.request as u; print(u.urlopen('http://outside.test/').read().decode())",
        "import requests; print(requests.get('http://outside.test:8080/').text)",
        "import requests; print(requests.get('http://{address}/').text)",
        "import requests; print(requests.get('https://outside.test/', verify=False).text)",
    ],
)
@pytest.mark.usefixtures("proxy")
def test_a_server_outside_is_reached(client: Client, world: Outside, code: str) -> None:
    silent = "import warnings; warnings.simplefilter('ignore')\n"
    printed = semitrusted(client, silent + code.replace("{address}", world.address))
    assert printed == f"hello from {world.address}\n"


@pytest.mark.usefixtures("proxy")
def test_curl_reaches_it_too(client: Client, world: Outside) -> None:
    code = "curl -sS http://outside.test/ && curl -sSk https://outside.test/"
    assert semitrusted(client, code, "bash") == f"hello from {world.address}" * 2


@pytest.mark.usefixtures("proxy")
def test_what_is_allowed_is_reached_though_private(client: Client) -> None:
    code = f"import requests; print(requests.get('http://{ALLOWED}/').text)"
    assert semitrusted(client, code) == f"hello from {ALLOWED}\n"


@pytest.mark.usefixtures("proxy")
def test_nothing_of_the_sender_is_told(client: Client) -> None:
    code = """
        import json, requests
        sent = {"X-Forwarded-For": "10.1.1.1"}
        seen = requests.get("http://outside.test/headers", headers=sent).json()
        print(sorted(name.lower() for name in seen))"""
    names = semitrusted(client, code)
    assert "host" in names
    assert not any(name in names for name in ("via", "forwarded", "x-forwarded-for", "x-cache"))


# --- what is refused ---------------------------------------------------------------------------

SPELLINGS = {
    "a private address behind a name": "private.test",
    "a private address among public ones": "mixed.test",
    "a private address behind an alias": "alias.test",
    "a metadata service behind a name": "metadata.test",
    "loopback behind a name": "loopback.test",
    "this host behind a name": "zero.test",
    "a trailing dot": "private.test.",
    "a decimal number": "168364297",
    "octal numbers": "012.011.011.011",
    "a hexadecimal number": "0x0a090909",
    "two numbers": "10.592137",
    "a mapped address": "[::ffff:10.9.9.9]",
    "a mapped address in hexadecimal": "[::ffff:a09:909]",
    "an address of NAT64": "[64:ff9b::a09:909]",
    "an address of 6to4": "[2002:a09:909::1]",
    "loopback of IPv6": "[::1]",
    "link-local of IPv6": "[fe80::1]",
    "private addresses of IPv6": "[fd00::1]",
    "a zone of IPv6": "[fe80::1%25eth0]",
    "loopback": "127.0.0.1",
    "the proxy itself": "127.0.0.1:3128",
    "the proxy's name server": "127.0.0.11",
    "this host": "0.0.0.0",  # noqa: S104 - nothing listens there
    "broadcast": "255.255.255.255",
    "multicast": "224.0.0.1",
    "the engine's usual gateway": "172.17.0.1",
    "the machine's own address": own(),
    **{f"the address {address}": address for address in FORBIDDEN},
}


NOWHERE = (
    "localhost",
    "mapped.test",
    "nowhere.test",
    "six.test",
    "unasked.test",
    "unasked-loopback.test",
    "unasked-mapped.test",
)
"""Names without an address of IPv4; some answer with one of IPv6 when asked for one of IPv4."""


def refused(client: Client, target: str) -> list[str]:
    """First lines of the proxy's answers to a request and to a tunnel."""
    port = "" if target.count(":") == 1 else ":80"
    code = f"""
        print(ask("GET http://{{}}/ HTTP/1.1\\r\\nHost: x\\r\\n", {target!r}))
        print(ask("CONNECT {{}} HTTP/1.1\\r\\n", {target + port!r}))"""
    return semitrusted(client, dedent(ASK) + dedent(code)).splitlines()


@in_both_modes
@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("name", SPELLINGS)
def test_addresses_nearby_are_refused(client: Client, world: Outside, name: str) -> None:
    assert refused(client, SPELLINGS[name]) == ["HTTP/1.1 403 Forbidden"] * 2
    assert set(FORBIDDEN).isdisjoint(world.hits())


@in_both_modes
@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("target", NOWHERE)
def test_what_leads_nowhere_is_not_reached(client: Client, world: Outside, target: str) -> None:
    answers = refused(client, target)
    assert {answer.split()[1] for answer in answers} <= {"403", "500", "502", "503"}, answers
    assert set(FORBIDDEN).isdisjoint(world.hits())


@in_both_modes
def test_the_gateway_of_the_proxy_is_refused(client: Client, proxy: Container) -> None:
    networks = proxy.attrs["NetworkSettings"]["Networks"].values()
    gateways = {network["Gateway"] for network in networks if network["Gateway"]}
    assert gateways
    for gateway in gateways:
        assert refused(client, gateway) == ["HTTP/1.1 403 Forbidden"] * 2


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_a_name_that_changes_its_answer_does_not_get_through(
    client: Client, world: Outside
) -> None:
    """The name server answers with a public and a private address in turn, both for no time."""
    code = """
        import collections, threading, time
        seen, end = collections.Counter(), time.monotonic() + 8
        def insist():
            while time.monotonic() < end:
                seen[ask("GET http://{}/ HTTP/1.1\\r\\nHost: x\\r\\n", "rebind.test")[9:12]] += 1
        threads = [threading.Thread(target=insist) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(*sorted(seen))"""
    printed = semitrusted(client, dedent(ASK) + dedent(code))
    hits = world.hits()
    assert {"200", "403"} <= set(printed.split()) <= {"200", "403", "500", "502", "503"}
    assert hits[f"rebind.test is {PRIVATE}"] > 2
    assert set(FORBIDDEN).isdisjoint(hits)


@in_both_modes
@pytest.mark.parametrize("address", [PRIVATE, METADATA, "127.0.0.1:3128"])
def test_the_kernel_refuses_what_squid_might_connect_to(proxy: Container, address: str) -> None:
    """As another user the same address is reached: the way is there."""
    host, _, port = address.partition(":")
    command = f"exec 3<> /dev/tcp/{host}/{port or 80} && echo open"
    assert output(proxy, command) == "open\n"
    assert "Network is unreachable" in output(proxy, command, "13:13")


@in_both_modes
@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize(
    "head",
    [
        "CONNECT outside.test:25 HTTP/1.1\r\n",
        "GET http://outside.test:25/ HTTP/1.1\r\nHost: x\r\n",
        "GET ftp://outside.test/ HTTP/1.1\r\nHost: x\r\n",
        "GET cache_object://127.0.0.1/info HTTP/1.1\r\nHost: x\r\n",
        "GET http://egress:3128/squid-internal-mgr/info HTTP/1.1\r\nHost: x\r\n",
        "GET /squid-internal-mgr/info HTTP/1.1\r\nHost: egress\r\n",
        "PURGE http://outside.test/ HTTP/1.1\r\nHost: x\r\n",
    ],
)
def test_mail_and_what_else_a_proxy_could_do_is_refused(client: Client, head: str) -> None:
    answer = semitrusted(client, dedent(ASK) + f"print(ask({head!r}, ''))")
    assert answer.split()[1] in ("400", "403"), answer


@pytest.mark.usefixtures("proxy")
def test_a_refusal_says_why(client: Client) -> None:
    code = f"""
        import requests
        answer = requests.get("http://{PRIVATE}/")
        print(answer.status_code, answer.text)"""
    printed = semitrusted(client, code)
    assert printed.startswith("403 ")
    assert "egress_allow" in printed


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_under_zerotrust_nothing_of_it_exists(client: Client) -> None:
    code = """
        import os, socket
        print([name for name in os.environ if "PROXY" in name.upper() or "SSL" in name])
        print(os.path.exists("/etc/ssl/certs/unsandbox-emulator.pem"))
        for port in (443, 3128):
            try: socket.create_connection(("127.0.0.1", port), 5); print("reached", port)
            except OSError as error: print(error.strerror)
        for name in ("api.unsandbox.com", "outside.test"):
            try: socket.getaddrinfo(name, 443); print("resolved")
            except OSError as error: print("unknown")"""
    printed = client.execute("python", dedent(code))["stdout"].splitlines()
    assert printed == ["[]", "False", *["Connection refused"] * 2, *["unknown"] * 2]


@in_both_modes
def test_semitrusted_has_no_interface_but_loopback_either(client: Client, world: Outside) -> None:
    code = f"""
        import socket
        print([name for _, name in socket.if_nameindex()])
        for address in ({world.address!r}, "172.17.0.1", {METADATA!r}):
            try: socket.create_connection((address, 80), 5); print("reached")
            except OSError as error: print(error.strerror)"""
    printed = semitrusted(client, code).splitlines()
    assert printed == ["['lo']", *["Network is unreachable"] * 3]


@in_both_modes
def test_the_proxy_is_hardened(proxy: Container) -> None:
    host = proxy.attrs["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not {"NET_ADMIN", "NET_RAW", "DAC_OVERRIDE"} & set(host["CapAdd"])
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["LogConfig"]["Type"] == "none"
    assert not host["PortBindings"]
    assert 0 < host["PidsLimit"] <= 64
    assert 0 < host["Memory"] <= 512 * MIB
    status = output(proxy, f"grep CapEff /proc/{squid(proxy)}/status")
    assert status.split() == ["CapEff:", "0" * 16]


@in_both_modes
def test_nothing_but_the_proxy_is_on_its_network(server: Server, proxy: Container) -> None:
    name = f"unsandbox-egress-{server.emulator.engine.instance}"
    network = server.emulator.engine.client.networks.get(name)
    assert [found.id for found in network.containers] == [proxy.id]


# --- the API from inside -----------------------------------------------------------------------


def test_a_program_calls_the_api_and_gets_its_answer(client: Client) -> None:
    code = """
        answer = call("/execute", {"language": "python", "code": "print(6 * 7)"})
        print(answer.status_code, answer.json()["stdout"])"""
    assert semitrusted(client, dedent(NESTED) + dedent(code)) == "200 42\n\n"


def test_every_way_to_trust_it_works(client: Client) -> None:
    url = "https://api.unsandbox.com/health"
    python = f"""
        import requests, ssl, subprocess, urllib.request
        print(requests.get({url!r}).status_code, urllib.request.urlopen({url!r}).status)
        by_name = ssl.create_default_context(capath="/etc/ssl/certs")
        print(urllib.request.urlopen("https://unsandbox.com/health", context=by_name).status)"""
    assert semitrusted(client, python) == "200 200\n200\n"
    assert semitrusted(client, f"curl -sS {url}", "bash") == '{"status":"ok"}'
    node = f"fetch({url!r}).then(it => it.text()).then(it => console.log(it))"
    assert semitrusted(client, node, "javascript") == '{"status":"ok"}\n'


def test_the_images_own_authorities_are_trusted_still(client: Client) -> None:
    code = "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; ls /etc/ssl/certs | wc -l"
    plain = client.execute("bash", code)["stdout"].split()
    with_ours = semitrusted(client, code, "bash").split()
    assert int(with_ours[0]) == int(plain[0]) + 1
    assert int(with_ours[1]) == int(plain[1]) + 2  # the certificate, and its link


def test_certificates_cannot_be_changed(client: Client) -> None:
    code = "touch /etc/ssl/certs/x 2>&1 || true"
    assert "Read-only file system" in semitrusted(client, code, "bash")


@in_both_modes
def test_inside_only_the_api_s_names_are_served_and_nothing_of_the_admin(client: Client) -> None:
    code = """
        import http.client, ssl
        def status(host, path):
            inside = http.client.HTTPSConnection("api.unsandbox.com")
            inside.request("GET", path, headers={"Host": host})
            return inside.getresponse().status
        print(status("api.unsandbox.com", "/_emulator/requests"))
        print(status("localhost", "/health"), status("evil.example", "/health"))"""
    assert semitrusted(client, code) == "404\n421 421\n"


def test_at_capacity_a_nested_execution_is_answered_not_stuck(
    world: Outside, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The one sandbox that there is memory for waits for another: after a while it is told so."""
    chosen = settings(
        tmp_path_factory.mktemp("full"),
        languages="python",
        memory_budget="2048",
        queue_timeout="100",
        egress_dns=world.address,
    )
    code = """
        answer = call("/execute", {"language": "python", "code": "print(6 * 7)"})
        print(answer.status_code, answer.json()["code"])"""
    with running(chosen) as full, aside(Client(full.api)) as (client, threads):
        full.call(full.emulator.networks["semitrusted"].require())
        work = threads.submit(semitrusted, client, dedent(NESTED) + dedent(code), ttl=900)
        until(lambda: full.emulator.pool.figures("semitrusted").allocated == 1)
        while not work.done():
            time.sleep(0.5)
            full.loop.call_soon_threadsafe(full.emulator.clock.advance, 10)
        assert work.result() == "503 NO_CAPACITY\n"


# --- environment and tier ----------------------------------------------------------------------


def test_what_the_sender_sets_wins(client: Client) -> None:
    code = """
        import os
        names = ("HTTP_PROXY", "http_proxy", "https_proxy", "SSL_CERT_FILE", "PATH")
        print(*[os.environ.get(name) for name in names])"""
    own_values = {"HTTP_PROXY": "http://mine", "SSL_CERT_FILE": "/mine", "path": "/mine"}
    printed = semitrusted(client, code, env=own_values)
    assert printed == "http://mine None http://127.0.0.1:3128 /mine /usr/local/bin:/usr/bin:/bin\n"


def test_the_free_tier_has_no_such_network(client: Client) -> None:
    free = client.as_account(test_account("free"))
    body = {"language": "bash", "code": "true", "network_mode": "semitrusted"}
    answer = free.post("/execute", body)
    assert (answer.status_code, answer.json()["code"]) == (403, "TIER_REQUIRED")
    free.close()


@pytest.mark.usefixtures("proxy")
def test_the_cluster_tells_of_both_networks(client: Client) -> None:
    def allocated() -> bool:
        found = client.get("/cluster").json()["network_breakdown"]
        return (found["semitrusted"]["allocated"], found["zerotrust"]["allocated"]) == (1, 0)

    with aside(Client(client.base)) as (other, threads):
        work = threads.submit(semitrusted, other, "import time; time.sleep(3)")
        until(allocated)
        cluster = client.get("/cluster").json()
        work.result()
    breakdown = cluster["network_breakdown"]
    assert cluster["network_mode"] == "hybrid"
    assert cluster["total_containers"] == sum(it["total"] for it in breakdown.values())


# --- the journal -------------------------------------------------------------------------------


def connections(admin: httpx.Client, job_id: str, count: int) -> list[dict[str, Any]]:
    """What the journal has of a job's connections, once they are `count`; the oldest first."""
    for _ in range(100):
        query = {"job_id": job_id}
        answer = admin.get("/_emulator/connections", params=query).json()
        if answer["count"] >= count:
            break
        time.sleep(0.05)
    found: list[dict[str, Any]] = answer["connections"]
    assert len(found) == count
    return found[::-1]


@pytest.mark.usefixtures("proxy")
def test_every_connection_is_in_the_journal(
    client: Client, admin: httpx.Client, world: Outside
) -> None:
    code = f"""
        import requests
        with requests.Session() as session:
            session.get("http://outside.test/first")
            session.get("http://outside.test:8080/second")
        requests.get("http://{PRIVATE}/third")
        try: requests.get("https://metadata.test/fourth")
        except requests.exceptions.ProxyError as error: pass
        requests.get("https://api.unsandbox.com/health")"""
    answer = client.execute("python", dedent(code), network_mode="semitrusted")
    found = connections(admin, answer["job_id"], 5)
    assert {entry["account"] for entry in found} == {client.account.public_key}
    facts = {entry["destination"]: (entry["way"], entry["outcome"]) for entry in found}
    assert facts == {
        "outside.test:80": ("egress", "done"),
        "outside.test:8080": ("egress", "done"),
        f"{PRIVATE}:80": ("egress", "refused"),
        "metadata.test:443": ("egress", "refused"),
        "api.unsandbox.com:443": ("api", "done"),
    }
    by_name = {entry["destination"]: entry for entry in found}
    assert by_name["outside.test:80"]["address"] == world.address
    assert by_name["outside.test:80"]["status"] == 200
    assert by_name["api.unsandbox.com:443"]["received_bytes"] > 100


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_a_program_cannot_speak_for_another(client: Client, admin: httpx.Client) -> None:
    """Who a connection is from stands before anything that the program sends."""
    code = """
        head = "PROXY TCP6 100::1 ::1 1 3128\\r\\nGET http://outside.test/ HTTP/1.1\\r\\n"
        print(ask(head, ""))"""
    answer = client.execute("python", dedent(ASK) + dedent(code), network_mode="semitrusted")
    assert "200" not in answer["stdout"]
    (entry,) = connections(admin, answer["job_id"], 1)
    assert (entry["destination"], entry["status"]) == ("", 400)


# --- size, number, pace, ends ------------------------------------------------------------------


@pytest.mark.usefixtures("proxy")
def test_much_goes_both_ways(client: Client) -> None:
    code = f"""
        import requests
        size = 64 * {MIB}
        print(requests.post("http://outside.test/", data=bytes(size)).text)
        print(len(requests.get(f"http://outside.test/big?{{size}}").content))"""
    assert semitrusted(client, code) == f"{64 * MIB}\n{64 * MIB}\n"


@pytest.mark.usefixtures("proxy")
def test_more_connections_than_there_is_room_for_take_turns(client: Client) -> None:
    code = """
        import collections, threading
        seen = collections.Counter()
        def once():
            head = "GET http://{}/big?100000 HTTP/1.1\\r\\nHost: x\\r\\n"
            seen[ask(head, "outside.test")] += 1
        threads = [threading.Thread(target=once) for _ in range(150)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(dict(seen))"""
    assert semitrusted(client, dedent(ASK) + dedent(code)) == "{'HTTP/1.1 200 OK': 150}\n"


def memory() -> int:
    """Bytes that this process, the emulator's own, has resident."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_a_reader_that_stands_still_holds_its_sender_back(client: Client, world: Outside) -> None:
    code = """
        import socket, time
        kept = []
        for _ in range(20):
            proxy = socket.create_connection(("127.0.0.1", 3128))
            proxy.sendall(b"GET http://outside.test/big?1000000000 HTTP/1.0\\r\\n\\r\\n")
            kept.append(proxy)
        time.sleep(8)
        print(all(len(proxy.recv(1000)) == 1000 for proxy in kept))"""
    before, poured = memory(), world.poured()
    with aside(Client(client.base)) as (other, threads):
        work = threads.submit(semitrusted, other, code)
        until(lambda: world.poured() > poured)
        until(lambda: pours_no_more(world))
        grown, running = memory() - before, not work.done()
        assert work.result() == "True\n"
    assert running  # the buffers of kernels were full, then, and nobody read
    assert grown < 100 * MIB


def pours_no_more(world: Outside) -> bool:
    """Whether what is outside has sent nothing for half a second."""
    first = world.poured()
    time.sleep(0.5)
    return world.poured() == first


@in_both_modes
@pytest.mark.usefixtures("proxy")
def test_connections_end_with_their_run(client: Client, world: Outside) -> None:
    code = """
        import requests
        endless = requests.get("http://outside.test/big?100000000000", stream=True)
        for piece in endless.iter_content(65536): pass"""
    answer = client.execute("python", dedent(code), network_mode="semitrusted", ttl=2)
    assert answer["status"] == "timeout"
    time.sleep(1)
    first = world.poured()
    time.sleep(0.5)
    assert world.poured() == first


HEAD = "CONNECT {}:443 HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def session(client: Client) -> Iterator[tuple[str, Callable[[str], str]]]:
    """A session's id, and what runs command lines in it."""
    fields = {"network_mode": "semitrusted", "multiplexer": "tmux"}
    path = f"/sessions/{client.post('/sessions', fields).json()['id']}"

    def run(line: str) -> str:
        answer = client.post(f"{path}/execute", {"command": line}).json()
        assert answer["stderr"] == "", answer
        return str(answer["stdout"])

    try:
        yield path, run
    finally:
        client.send("DELETE", path)


@pytest.mark.usefixtures("proxy")
def test_root_in_a_session_reaches_no_more_than_a_run(client: Client, world: Outside) -> None:
    with session(client) as (_, run):
        assert run("grep -c : /proc/net/dev") == "1\n"
        assert run("curl -s http://outside.test/") == f"hello from {world.address}"
        code = f"{dedent(ASK)}\nprint(ask({HEAD!r}, {PRIVATE!r}))"
        assert run(f"python3 - <<'END'\n{code}\nEND") == "HTTP/1.1 403 Forbidden\n"
    assert set(FORBIDDEN).isdisjoint(world.hits())


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize(("method", "change"), [("POST", "/freeze"), ("DELETE", "")])
def test_connections_of_a_session_end_when_it_is_frozen_or_deleted(
    client: Client, admin: httpx.Client, world: Outside, method: str, change: str
) -> None:
    with session(client) as (path, run):

        def ended() -> int:
            found = admin.get("/_emulator/connections").json()["connections"]
            return sum(it.get("session_id") == path.rpartition("/")[2] for it in found)

        poured = world.poured()
        run("curl -s http://outside.test/big?100000000000 > /dev/null 2>&1 &")
        until(lambda: world.poured() > poured + MIB)
        assert ended() == 0
        assert client.send(method, path + change).status_code == 200
        until(lambda: ended() == 1)


def test_a_proxy_that_is_killed_fails_its_connections_and_is_replaced(
    client: Client, admin: httpx.Client, server: Server, world: Outside, proxy: Container
) -> None:
    code = """
        import requests
        answer, received = requests.get("http://outside.test/big?100000000000", stream=True), 0
        try:
            for piece in answer.iter_content(65536): received += len(piece)
        except requests.RequestException as error: pass
        print("cut off", received < 100000000000)"""
    poured = world.poured()
    with aside(Client(client.base)) as (other, threads):
        work = threads.submit(other.execute, "python", dedent(code), network_mode="semitrusted")
        until(lambda: world.poured() > poured)
        proxy.kill()
        answer = work.result()
    assert answer["stdout"] == "cut off True\n", answer
    (entry,) = connections(admin, answer["job_id"], 1)
    assert entry["outcome"] == "proxy lost"
    assert world.meet(server).id != proxy.id
    printed = semitrusted(
        client, "import requests; print(requests.get('http://outside.test/').text)"
    )
    assert printed == f"hello from {world.address}\n"


@in_both_modes
def test_a_squid_that_is_killed_is_started_again_by_the_time_it_is_needed(
    client: Client, world: Outside, proxy: Container
) -> None:
    before = squid(proxy)
    output(proxy, f"kill -9 {before}", "13:13")
    assert refused(client, PRIVATE) == ["HTTP/1.1 403 Forbidden"] * 2
    assert squid(proxy) not in ("", before)
    assert set(FORBIDDEN).isdisjoint(world.hits())


def test_connections_of_a_squid_that_ends_are_in_the_journal_too(
    client: Client, admin: httpx.Client, world: Outside, proxy: Container
) -> None:
    code = """
        import socket
        with socket.create_connection(("127.0.0.1", 3128)) as endless:
            endless.sendall(b"GET http://outside.test/big?100000000000 HTTP/1.0\\r\\n\\r\\n")
            try:
                while endless.recv(65536): pass
            except OSError: pass"""
    poured = world.poured()
    with aside(Client(client.base)) as (other, threads):
        work = threads.submit(other.execute, "python", dedent(code), network_mode="semitrusted")
        until(lambda: world.poured() > poured)
        output(proxy, f"kill -9 {squid(proxy)}", "13:13")
        answer = work.result()
    (entry,) = connections(admin, answer["job_id"], 1)
    assert (entry["outcome"], entry["received_bytes"] > 0) == ("proxy lost", True)


def test_a_squid_that_does_not_answer_is_started_again(client: Client, proxy: Container) -> None:
    before = squid(proxy)
    output(proxy, f"kill -STOP {before}", "13:13")
    until(lambda: squid(proxy) not in ("", before))
    assert refused(client, PRIVATE) == ["HTTP/1.1 403 Forbidden"] * 2
