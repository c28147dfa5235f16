"""Runs commands of the suite where the real service's names lead to an address that counts.

Started by test_nothing_sent.py in network and mount namespaces of its own. Reads cases as JSON from
its standard input, each {"argv", "environment"}, and prints {"status", "packets", "said"} of each.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.cli import main

ADDRESS = "203.0.113.10"
_TCP, _SYN, _SYN_OR_ACK, _ETH_P_IP = 6, 0x02, 0x12, 0x0800
_LAG_SECONDS = 0.1


class Counter:
    """Counts what is sent to the address: datagrams, and TCP connections by their first packet."""

    def __init__(self) -> None:
        self.count = 0
        self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            packet = self._raw.recv(65535)
            header = (packet[0] & 15) * 4
            to_it = socket.inet_ntoa(packet[16:20]) == ADDRESS
            new = packet[9] != _TCP or packet[header + 13] & _SYN_OR_ACK == _SYN
            self.count += to_it and new


def outside() -> None:
    """The address on the only interface, the cloud's names in the hosts file, and listeners."""
    for command in (
        "ip link set lo up",
        f"ip address add {ADDRESS}/32 dev lo",
    ):
        subprocess.run(command.split(), check=True)
    hosts = Path(tempfile.mkdtemp()) / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} unsandbox.com api.unsandbox.com\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    for port in (80, 443):
        listening(ADDRESS, port, lambda connection: connection.close())


def listening(address: str, port: int, serve: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server((address, port))

    def accept() -> None:
        while True:
            serve(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    bound: int = listener.getsockname()[1]
    return bound


def redirect(connection: socket.socket) -> None:
    """Lead whoever comes to the cloud."""
    with connection:
        connection.recv(65535)
        connection.sendall(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://api.unsandbox.com/health\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )


def carried_out(case: dict[str, Any], counter: Counter, redirecting: int) -> dict[str, Any]:
    """Run one command in a process that is forked, since they have all been imported."""
    before = counter.count
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            os.environ.update(case["environment"])
            os._exit(status([it.replace("REDIRECTING", str(redirecting)) for it in case["argv"]]))
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(_LAG_SECONDS)
        said.seek(0)
        return {"status": ended, "packets": counter.count - before, "said": said.read()}


def status(argv: list[str]) -> int:
    try:
        ended = main(argv)
    except SystemExit as error:
        ended = int(error.code or 0)
    sys.stdout.flush()
    return ended


if __name__ == "__main__":
    outside()
    counter = Counter()
    with socket.create_connection((ADDRESS, 80)):
        pass
    port = listening("127.0.0.1", 0, redirect)
    found = [carried_out(case, counter, port) for case in json.load(sys.stdin)]
    print(json.dumps(found))
