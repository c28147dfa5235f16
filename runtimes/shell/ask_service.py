#!/usr/bin/python3 -IS
"""`systemctl` and `journalctl` of a service: what they are called for, the emulator does.

It is told through a FIFO on which socket this program listens, connects there, and answers in
frames; `emulator/services/control.py` is the other side.
"""

import json
import os
import secrets
import signal
import socket
import stat
import sys
from typing import BinaryIO

STATE = "/run/unsandbox"
CONTROL = f"{STATE}/control"
PATIENCE = 15.0
END, OUT, ERR = 0, 1, 2
OUTPUTS = {OUT: 1, ERR: 2}


def main() -> int:
    """Ask, print, and return the exit code."""
    for number in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    program = os.path.basename(sys.argv[0])
    if not is_service():
        return failed(program, "there is no systemd here, and no service either: this is a session")
    try:
        with called() as connection:
            request = {"program": program, "arguments": sys.argv[1:]}
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                return shown(answer)
    except PermissionError:
        return failed(program, "only root may ask")
    except (OSError, EOFError):
        return failed(program, "the emulator does not answer")


def is_service() -> bool:
    """Whether somebody hears what is asked here."""
    try:
        return stat.S_ISFIFO(os.stat(CONTROL).st_mode)
    except OSError:
        return False


def failed(program: str, reason: str) -> int:
    """Say why nothing comes of it."""
    sys.stderr.write(f"{program}: {reason}\n")
    return 1


def called() -> socket.socket:
    """A connection that the emulator made; raises OSError when it does not."""
    os.umask(0o077)
    name = secrets.token_hex(8)
    path = f"{STATE}/caller-{name}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        try:
            listener.listen(1)
            listener.settimeout(PATIENCE)
            control = os.open(CONTROL, os.O_WRONLY | os.O_NONBLOCK)
            os.write(control, f"{name}\n".encode())
            os.close(control)
            connection, _ = listener.accept()
        finally:
            os.unlink(path)
    connection.settimeout(None)
    return connection


def shown(answer: BinaryIO) -> int:
    """Print an answer; returns the exit code at its end. EOFError when that does not come."""
    while True:
        head = whole(answer, 5)
        data = whole(answer, int.from_bytes(head[1:], "big"))
        if head[0] == END:
            return data[0]
        while data:
            data = data[os.write(OUTPUTS[head[0]], data) :]


def whole(answer: BinaryIO, count: int) -> bytes:
    """So many bytes of an answer."""
    data = answer.read(count)
    if len(data) < count:
        raise EOFError
    return data


if __name__ == "__main__":
    sys.exit(main())
