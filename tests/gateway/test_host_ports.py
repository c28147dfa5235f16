"""Ports of this machine that lead into a container, over TCP and UDP."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from emulator.gateway import host_ports
from emulator.gateway.host_ports import PEER_SECONDS, HostPorts, Transport
from emulator.gateway.reach import Reach
from tests.gateway.gate import ECHO, NOBODY, WEB, Gate, no_slot
from tests.gateway.wire import SECONDS, connected, eventually, until_end

MIB = 1 << 20


@pytest.fixture(autouse=True)
def ports_closed(gate: Gate) -> Iterator[None]:
    yield
    gate.call(gate.host_ports.close_all())


def opened(gate: Gate, protocol: Transport, port: int = ECHO, preferred: int = 0) -> int:
    service = gate.services.by_name["shop"]
    return gate.call(gate.host_ports.open(service, port, protocol, preferred))


@contextmanager
def peer(port: int) -> Iterator[socket.socket]:
    """Who sends datagrams to a port, and hears what comes back from it alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(SECONDS)
        made.connect(("127.0.0.1", port))
        yield made


def reset() -> AbstractContextManager[object]:
    """For what connects and reads: the reset may come before it even knows that it is connected."""
    return pytest.raises(ConnectionResetError)


def said_back(talker: socket.socket, data: bytes) -> bytes:
    talker.send(data)
    return talker.recv(65_536)


def nothing_comes(talker: socket.socket) -> bool:
    talker.settimeout(0.3)
    try:
        talker.recv(65_536)
    except TimeoutError:
        return True
    finally:
        talker.settimeout(SECONDS)
    return False


def ended(talker: socket.socket) -> bool:
    try:
        talker.send(b"more")
        return talker.recv(100) == b""
    except ConnectionError:
        return True


# --- TCP ---------------------------------------------------------------------------------


def test_bytes_go_both_ways_and_each_way_ends_on_its_own(gate: Gate) -> None:
    data = os.urandom(4 * MIB)
    with connected(opened(gate, "tcp")) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        assert until_end(connection) == data
        sending.join()
    eventually(lambda: bool(gate.passages))
    passage = gate.passages[-1]
    assert (passage.protocol, passage.service, passage.port) == ("tcp", "shop", ECHO)
    assert (passage.sent, passage.received) == (len(data), len(data))


def test_where_nobody_listens_the_connection_is_reset(gate: Gate) -> None:
    with reset(), connected(opened(gate, "tcp", NOBODY)) as connection:
        connection.recv(1)
    eventually(lambda: bool(gate.passages))
    assert gate.passages[-1].code == "BAD_GATEWAY"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_frozen_service_wakes(gate: Gate, protocol: Transport) -> None:
    service = gate.services.by_name["shop"]
    service.state = "frozen"
    port = opened(gate, protocol)
    gate.loop.call_soon_threadsafe(service.waking.set)
    with connected(port) if protocol == "tcp" else peer(port) as talker:
        assert said_back(talker, b"awake?") == b"awake?"
    assert service.wakes == 1


def test_what_keeps_a_service_asleep_ends_the_connection(gate: Gate) -> None:
    service = gate.services.by_name["shop"]
    service.state, service.wake_fails = "frozen", no_slot()
    gate.loop.call_soon_threadsafe(service.waking.set)
    with reset(), connected(opened(gate, "tcp")) as connection:
        connection.recv(1)
    eventually(lambda: bool(gate.passages))
    assert gate.passages[-1].code == "CONCURRENCY_LIMIT"


def test_those_who_are_too_many_are_not_let_in(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_ports, "MOST_PEERS", 1)
    port = opened(gate, "tcp")
    with connected(port) as first:
        assert said_back(first, b"first") == b"first"
        with reset(), connected(port) as second:
            second.recv(1)
        assert said_back(first, b"still") == b"still"
    eventually(lambda: bool(gate.passages))
    with connected(port) as third:
        assert said_back(third, b"third") == b"third"


# --- UDP ---------------------------------------------------------------------------------


def test_datagrams_stay_what_they_are(gate: Gate) -> None:
    sizes = (1, 0, 1400, 9000, 65_507)
    with peer(opened(gate, "udp")) as talker:
        for size in sizes:
            data = os.urandom(size)
            assert said_back(talker, data) == data
        for number in range(10):
            talker.send(b"%d" % number)
        assert [talker.recv(100) for _ in range(10)] == [b"%d" % number for number in range(10)]


def test_a_service_tells_its_peers_apart(gate: Gate) -> None:
    port = opened(gate, "udp")
    with peer(port) as one, peer(port) as other:
        first, second = said_back(one, b"who"), said_back(other, b"who")
        assert first != second
        assert said_back(one, b"who") == first
        assert said_back(other, b"hello") == b"hello"
        assert nothing_comes(one)


def test_where_nobody_listens_datagrams_are_lost(gate: Gate) -> None:
    with peer(opened(gate, "udp", NOBODY)) as talker:
        for _ in range(3):
            talker.send(b"hello")
            assert nothing_comes(talker)


def test_a_flood_of_datagrams_harms_nobody(gate: Gate) -> None:
    port = opened(gate, "udp")
    with peer(port) as flooding, peer(port) as other:
        for _ in range(20_000):
            flooding.send(bytes(1000))
        flooding.send(b"many 20000")
        other.send(b"hello")
        while nothing_comes(other):  # a datagram amid a flood may well be lost
            other.send(b"hello")


def test_peers_that_are_too_many_are_not_heard(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_ports, "MOST_PEERS", 1)
    port = opened(gate, "udp")
    with peer(port) as first, peer(port) as second:
        assert said_back(first, b"first") == b"first"
        second.send(b"second")
        assert nothing_comes(second)
        assert said_back(first, b"still") == b"still"


def test_a_peer_that_has_long_been_silent_is_forgotten(gate: Gate) -> None:
    with peer(opened(gate, "udp")) as talker:
        before = said_back(talker, b"who")
        gate.advance(PEER_SECONDS / 2)
        assert said_back(talker, b"who") == before
        gate.advance(PEER_SECONDS / 2 + 1)
        assert said_back(talker, b"who") == before
        gate.advance(PEER_SECONDS + 1)
        eventually(lambda: bool(gate.passages))
        assert said_back(talker, b"who") != before
    passage = gate.passages[-1]
    assert (passage.protocol, passage.port) == ("udp", ECHO)
    assert (passage.sent, passage.received) == (9, 3 * len(before))


# --- the ports ---------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_stays_the_same_until_it_is_closed(gate: Gate, protocol: Transport) -> None:
    port = opened(gate, protocol)
    assert opened(gate, protocol) == port
    with connected(port) if protocol == "tcp" else peer(port) as talker:
        assert said_back(talker, b"hello") == b"hello"
        gate.call(gate.host_ports.close("unsb-service-shop"))
        assert ended(talker)
    again = opened(gate, protocol, preferred=port)
    assert again == port


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_that_is_taken_is_not_fought_for(gate: Gate, protocol: Transport) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if protocol == "tcp":
            taken.listen()
        wanted = taken.getsockname()[1]
        port = opened(gate, protocol, preferred=wanted)
    assert port not in (0, wanted)


def test_tcp_and_udp_may_have_the_same_number(gate: Gate) -> None:
    port = opened(gate, "tcp")
    assert opened(gate, "udp", preferred=port) == port


def test_the_numbers_may_be_chosen_beforehand(gate: Gate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        numbers = [taken.getsockname()[1], free.getsockname()[1]]
        free.close()
        reach, record = Reach(gate.clock), gate.passages.append
        ports = HostPorts("127.0.0.1", reach, gate.clock, record, numbers)
        shop = gate.services.by_name["shop"]
        try:
            assert gate.call(ports.open(shop, ECHO, "tcp", preferred=1)) == numbers[1]
            with pytest.raises(OSError, match="in use"):
                gate.call(ports.open(shop, WEB, "tcp"))
        finally:
            gate.call(ports.close_all())
