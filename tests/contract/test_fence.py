"""A process that families run in connects to nothing but its target, whatever library tries."""

import subprocess
import sys

import pytest

from tests.contract.standin import running

TRY = """
import socket, sys, threading
from contract.fence import raise_fence
from contract.outcomes import NotRun
raise_fence(sys.argv[1].split(",") if sys.argv[1] else ())
import httpx, requests
from websockets.sync.client import connect
get = {
    "httpx": lambda url: httpx.get(url, follow_redirects=True),
    "requests": lambda url: requests.get(url),
    "websockets": lambda url: connect(url.replace("http", "ws"), open_timeout=5).close(),
}[sys.argv[2]]
try:
    print(type(get(sys.argv[3])).__name__)
except NotRun as error:
    print(error)
"""
OUTSIDE = ("http://api.unsandbox.com", "http://192.0.2.1:9", "http://[2001:db8::1]:9")


def tried(hosts: str, library: str, url: str) -> str:
    command = [sys.executable, "-c", TRY, hosts, library, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("library", ["httpx", "requests", "websockets"])
def test_nothing_but_the_target_is_reached(library: str) -> None:
    for url in OUTSIDE:
        assert "it is not the target" in tried("localhost", library, url)


def test_the_target_is_reached_unless_nothing_is_to_be_sent() -> None:
    with running() as standin:
        url = f"{standin.url.replace('127.0.0.1', 'localhost')}/health"
        assert tried("localhost", "httpx", url) == "Response"
        assert "it is not the target" in tried("", "httpx", url)
        assert len(standin.world.lines) == 1
