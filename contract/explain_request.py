"""`unsandbox-contract explain`: what is wrong with the signature of a request in a file."""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import h11

from contract import options
from contract.explain import Received, explain, public_key
from contract.redact import Redactor
from contract.target import Target, TargetError, resolve

__all__ = ["HELP", "Unreadable", "arguments", "main", "parsed"]

HELP = "say which rule of signing a request breaks, and at which byte"
RIGHT, WRONG, COULD_NOT_RUN = 0, 1, 2


class Unreadable(ValueError):
    """A file holds no HTTP request; the message says why."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Reads one raw HTTP request, as it goes over the wire, and says whether its signature is "
        "right, or which rule it breaks. Nothing is sent. The secret key is the one of the "
        "target's account (or UNSANDBOX_PUBLIC_KEY and UNSANDBOX_SECRET_KEY) whose public key the "
        "request names. Exit status: 0 right, 1 wrong, 2 could not tell."
    )
    parser.add_argument(
        "file", nargs="?", type=Path, help="the request; standard input when left out"
    )
    parser.add_argument(
        "--at",
        metavar="SECONDS",
        help="the server's clock, in seconds since 1970, or `sent`: the request's own time; "
        "now when left out",
    )
    options.add_to(parser, ("target", "targets"))
    parser.add_argument("--json", action="store_true", help="one JSON object")


def main(args: argparse.Namespace) -> int:
    """Print the explanation; its exit status."""
    try:
        target = resolve(args.target, None, args.targets)
        raw = args.file.read_bytes() if args.file else sys.stdin.buffer.read()
        request = parsed(raw)
        found = explain(request, secret_of(target, public_key(request)), _moment(args.at, request))
    except (OSError, Unreadable, TargetError) as error:
        print(f"unsandbox-contract: could not tell: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    document = asdict(found)
    if not args.json:
        lines = [f"{found.code}: {found.message}", f"The rule: {found.rule}."]
        text = "\n".join(lines[:1] if found.right else lines)
    else:
        text = json.dumps(document)
    print(Redactor(it.secret_key for it in target.accounts.values()).text(text))
    return RIGHT if found.right else WRONG


def secret_of(target: Target, key: str | None) -> str | None:
    """The secret key that belongs to a public one, if the target has such an account."""
    return next((it.secret_key for it in target.accounts.values() if it.public_key == key), None)


def _moment(given: str | None, request: Received) -> float:
    if given is None:
        return time.time()
    times = request.values("X-Timestamp") if given == "sent" else [given]
    try:
        moment = float(times[0])
    except (ValueError, IndexError):
        moment = math.nan
    if not math.isfinite(moment):
        raise Unreadable(f"--at {given}: that is no time in seconds")
    return moment


def parsed(raw: bytes) -> Received:
    """A raw HTTP/1.1 request; a body without a length is everything after the empty line.

    Raises:
        Unreadable: it is none.
    """
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    connection.receive_data(b"")
    request, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                break
    except h11.RemoteProtocolError as error:
        raise Unreadable(f"this is no HTTP request: {error}") from None
    if request is None:
        raise Unreadable("this is no HTTP request: its head does not end with an empty line")
    headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
    framed = {name.lower() for name, _ in headers} & {"content-length", "transfer-encoding"}
    if not framed:
        body = connection.trailing_data[0]
    return Received(request.method.decode(), request.target, headers, body)
