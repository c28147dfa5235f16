"""Sockets on this machine that nobody should reach: they count who does."""

import fcntl
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

__all__ = ["Listener", "listening", "own_addresses"]

_LOOPBACK = "127.0.0.1"
_SIOCGIFADDR = 0x8915
_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Listener:
    """`targets` are [kind, host, port]; `visitors` are addresses that something came from."""

    targets: list[tuple[str, str, int]] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """TCP and UDP on every IPv4 address of this machine, its loopback among them, and answering."""
    listener, stop = Listener(), threading.Event()
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for address in own_addresses():
            stream = stack.enter_context(socket.create_server((address, 0)))
            datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            datagrams.bind((address, 0))
            for kind, bound in (("tcp", stream), ("udp", datagrams)):
                bound.setblocking(False)
                selector.register(bound, selectors.EVENT_READ, kind)
                listener.targets.append((kind, address, bound.getsockname()[1]))
        thread = threading.Thread(target=_serve, args=(selector, listener, stop), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            stop.set()
            thread.join()


def _serve(selector: selectors.BaseSelector, listener: Listener, stop: threading.Event) -> None:
    while not stop.is_set():
        for key, _ in selector.select(_POLL_SECONDS):
            bound = key.fileobj
            if isinstance(bound, socket.socket):
                try:
                    listener.visitors.append(_received(key.data, bound))
                except OSError:
                    continue  # who came has gone again; the next one counts as well


def _received(kind: str, bound: socket.socket) -> str:
    if kind == "tcp":
        connection, peer = bound.accept()
        connection.close()
    else:
        _, peer = bound.recvfrom(64)
        bound.sendto(b"!", peer)
    return f"{kind} from {peer[0]}"


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces, as Linux tells them; loopback elsewhere."""
    found = {_LOOPBACK}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # an interface without an address, or a system that tells it otherwise
            found.add(socket.inet_ntoa(answer[20:24]))
    return sorted(found)
