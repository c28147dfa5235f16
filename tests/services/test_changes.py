"""Services are changed whole or not at all; their ports, variables and idleness."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from tests.containers import eventually
from tests.services.conftest import Maker

ECHO = """#!/usr/bin/env python3
import socket, threading
tcp = socket.create_server(("127.0.0.1", 7000))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 7000))

def datagrams():
    while True:
        data, peer = udp.recvfrom(65536)
        udp.sendto(data, peer)

threading.Thread(target=datagrams).start()
while True:
    connection, _ = tcp.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)
"""


def said_over_tcp(port: int, data: bytes) -> bytes:
    """What a host port answers."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def said_over_udp(port: int, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.5)
        for _ in range(100):
            sender.sendto(data, ("127.0.0.1", port))
            with suppress(TimeoutError):
                return sender.recv(65536)
    raise AssertionError("no datagram came back")


def is_closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_what_speaks_no_http_is_reached_at_ports_of_this_machine(services: Maker) -> None:
    service = services.ready(service_type="mumble", ports=[7000], bootstrap=ECHO)
    tcp, udp = (service["host_ports"][f"7000/{protocol}"] for protocol in ("tcp", "udp"))
    assert said_over_tcp(tcp, b"by tcp") == b"by tcp"
    assert said_over_udp(udp, b"by udp") == b"by udp"
    services.change(service, "freeze")
    assert said_over_tcp(tcp, b"wakes it") == b"wakes it"
    assert services.read(service)["state"] == "running"
    changed = services.ask("PATCH", f"/services/{service['id']}", {"ports": [7001]})
    assert set(changed["host_ports"]) == {"7001/tcp", "7001/udp"}
    assert is_closed(tcp)
    services.ask("DELETE", f"/services/{service['id']}")
    assert is_closed(changed["host_ports"]["7001/tcp"])


def test_what_listens_to_datagrams_alone_runs_too(services: Maker) -> None:
    service = services.ready(service_type="udp", ports=[7000], bootstrap="sleep infinity")
    assert (service["state"], set(service["host_ports"])) == ("running", {"7000/udp"})


def test_what_speaks_http_has_no_ports_of_this_machine(services: Maker) -> None:
    assert services(ports=[80])["host_ports"] == {}


def test_variables_come_with_a_service_into_its_vault(services: Maker) -> None:
    service = services.ready(bootstrap='echo "it is $GREETING"', env={"GREETING": "early"})
    eventually(lambda: services.log(service) == "it is early\n")
    vault = services.ask("GET", f"/services/{service['id']}/env")
    assert (vault["exists"], vault["count"], vault["env"]) == (True, 1, {})


def test_a_change_that_is_refused_changes_nothing(services: Maker) -> None:
    service, other = services.ready(name="one", ports=[1], vcpu=2), services.ready(name="other")
    services.ask("PUT", f"/services/{other['id']}/domains", {"add": ["taken.example.com"]})
    before = services.read(service)
    path = f"/services/{service['id']}"
    everything = {"name": "new", "ports": [2], "vcpu": 1, "show_freeze_page": False}
    for refused in (
        {"name": "other"},
        {"custom_domains": ["taken.example.com"]},
        {"vcpu": 64},
    ):
        answer = services.client.send("PATCH", path, json.dumps({**everything, **refused}).encode())
        assert answer.status_code in (400, 403, 409, 429), answer.text
        assert services.read(service) == before
    services.change(service, "freeze")
    answer = services.client.send("PATCH", path, json.dumps(everything).encode())
    assert answer.status_code == 409
    services.change(service, "unfreeze")
    assert services.read(service) == before


def test_a_service_that_nobody_uses_is_frozen_until_a_request(services: Maker) -> None:
    web = services.ready(ports=[8080], bootstrap="exec python3 -m http.server 8080")
    busy = services.ready(service_type="tcp", ports=[7000], bootstrap=ECHO)
    worker = services.ready(bootstrap="sleep 1000 & ")
    emulator = services.server.emulator
    visited = emulator.services.find_by_id(busy["id"])
    assert visited is not None
    with socket.create_connection(("127.0.0.1", busy["host_ports"]["7000/tcp"]), 20):
        eventually(lambda: visited.visitors == 1)
        services.server.call(emulator.services.freeze_idle(0))
        states = [services.read(service)["state"] for service in (web, busy, worker)]
    assert states == ["frozen", "running", "running"]
    host = {"Host": web["url"].partition("//")[2]}
    answer = httpx.get(services.server.api, headers=host, timeout=30)
    assert (answer.status_code, services.read(web)["state"]) == (200, "running")


def test_what_a_script_leaves_to_start_is_waited_for(services: Maker) -> None:
    late = "(sleep 0.7; exec python3 -m http.server 8080) &"
    service = services(ports=[8080], bootstrap=late)
    host = {"Host": service["url"].partition("//")[2]}
    assert httpx.get(services.server.api, headers=host, timeout=30).status_code == 200


def test_a_request_that_waits_is_answered_when_its_service_is_frozen(services: Maker) -> None:
    listen = "s = socket.create_server(('', 8080)); time.sleep(1000)"
    silent = f'exec python3 -c "import socket, time; {listen}"'
    service = services.ready(ports=[8080], bootstrap=silent)
    found = services.server.emulator.services.find_by_id(service["id"])
    assert found is not None
    host = {"Host": service["url"].partition("//")[2]}
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(httpx.get, services.server.api, headers=host, timeout=60)
        eventually(lambda: found.visitors == 1 and len(found.streams) == 1)
        services.change(service, "freeze")
        answer = asked.result()
    assert (answer.status_code, answer.json()["code"]) == (502, "BAD_GATEWAY")
