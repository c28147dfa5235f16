from ipaddress import IPv4Address, IPv4Network

import pytest

from emulator.gateway.egress import allowed_networks
from emulator.gateway.refused import local_addresses, networks, refused
from tests.sandbox.agent_process import scenario

NEARBY = "0.0.0.1 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.168.1.1 224.0.0.1"
FAR = "1.1.1.1 8.8.8.8 11.0.0.1 100.128.0.1 172.32.0.1 192.169.0.1 203.0.113.9 223.255.255.255"


def is_refused(address: str, also: str = "", allowed: str = "") -> bool:
    found = refused(networks(also.split()), networks(allowed.split()))
    return any(IPv4Address(address) in network for network in found)


@pytest.mark.parametrize("address", [*NEARBY.split(), "255.255.255.255", "198.18.0.1"])
def test_nearby_addresses_are_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize("address", FAR.split())
def test_all_others_are_not(address: str) -> None:
    assert not is_refused(address)


def test_what_the_engine_has_is_refused_too() -> None:
    assert is_refused("203.0.113.9", also="203.0.113.8/30")


def test_what_is_allowed_is_cut_out_and_nothing_beside_it() -> None:
    assert not is_refused("10.1.2.3", allowed="10.1.2.3")
    assert is_refused("10.1.2.2", allowed="10.1.2.3")
    assert is_refused("10.1.2.4", allowed="10.1.2.3")
    assert not is_refused("10.1.2.3", allowed="0.0.0.0/0")


def test_loopback_cannot_be_allowed() -> None:
    assert is_refused("127.0.0.1", allowed="127.0.0.1 0.0.0.0/0")


def test_addresses_of_a_machine_are_read_from_its_routes() -> None:
    table = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""
    assert local_addresses(table) == [IPv4Network("192.0.2.7/32")]


@scenario
async def test_allowed_names_stand_for_their_addresses_and_unknown_ones_for_none() -> None:
    found = await allowed_networks(["10.0.0.0/8", "192.0.2.1", "localhost", "nowhere.invalid"])
    assert set(map(str, found)) == {"10.0.0.0/8", "192.0.2.1/32", "127.0.0.1/32"}
