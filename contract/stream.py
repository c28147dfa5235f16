"""A log stream as its clients follow it: server-sent events, read for a bounded time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from contract.exchange import EVENT_STREAM, Exchange, Request, Response
from contract.messages import SHOWN, document
from contract.outcomes import ContractBroken
from contract.spec import Spec
from contract.wire import NoAnswer, Wire, read_of

__all__ = ["KEEPALIVE", "LogStream", "events", "followed"]

KEEPALIVE = ":keepalive"

OPEN_SECONDS = 60
SILENCE_SECONDS = 5
"""A stream that says nothing for so long is read no further."""

_LARGEST = 16 * 1024 * 1024
_LINE = "#/components/schemas/PaasLogLine"

Line = dict[str, Any]


@dataclass(slots=True)
class LogStream:
    """A stream that is open; `lines` are those that came so far, without keep-alives."""

    spec: Spec
    _chunks: Iterator[bytes]
    lines: list[Line] = field(default_factory=list)
    ended: bool = False
    _silent: bool = False
    _unread: bytes = b""

    def read(self, count: int, seconds: float) -> list[Line]:
        """All lines so far, as soon as there are `count`, after some seconds or when it ends.

        Raises:
            ContractBroken: an event is not as the contract says.
        """
        deadline = time.monotonic() + seconds
        while len(self.lines) < count and time.monotonic() < deadline:
            if self.ended or self._silent:
                break
            try:
                self._unread += next(self._chunks)
            except StopIteration:
                self.ended = True
            except httpx.ReadTimeout:
                self._silent = True
            except httpx.HTTPError as error:
                raise ContractBroken("stream", f"the stream broke off: {error!r}") from None
            self._take()
        if len(self.lines) < count and self._unread.strip():
            raise ContractBroken("event", f"an event does not end: {self._unread[:SHOWN]!r}")
        return self.lines

    def _take(self) -> None:
        if len(self._unread) > _LARGEST:
            raise ContractBroken("stream", "an event does not end")
        text = self._unread.replace(b"\r\n", b"\n")
        whole, separator, self._unread = text.rpartition(b"\n\n")
        for data in events((whole + separator).decode("utf-8", "replace")):
            if data != KEEPALIVE:
                self.lines.append(document(self.spec, _LINE, data))


def events(text: str) -> Iterator[str]:
    """The data of each whole event of a stream, as the HTML standard reads it.

    Raises:
        ContractBroken: an event has a name or a field that the contract does not have.
    """
    data: list[str] = []
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if not line and data:
            yield "\n".join(data)
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
        elif name == "event" and value.strip() != "message":
            raise ContractBroken("event", f"an event is named {value.strip()[:SHOWN]!r}")
        elif name not in ("", "event", "id", "retry"):
            raise ContractBroken("event", f"{line[:SHOWN]!r} is no line of an event")


@contextmanager
def followed(wire: Wire, request: Request) -> Iterator[LogStream | Response]:
    """A stream as long as the block, or what was answered instead of one.

    Raises:
        ContractBroken: the head of the answer breaks the contract, or none came.
    """
    wire.admit(request)
    at, began = wire.now(), time.monotonic()
    url = httpx.URL(wire.target.url).copy_with(raw_path=request.target.encode("latin-1"))
    timeout = httpx.Timeout(OPEN_SECONDS, read=SILENCE_SECONDS)
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        try:
            sent = httpx.Request(request.method, url, headers=list(request.headers))
            answer = client.send(sent, stream=True)
            headers = tuple(answer.headers.multi_items())
            streams = answer.headers.get("Content-Type", "").startswith(EVENT_STREAM)
            # A success that is no stream of events is told by its media type; it may have no end.
            told = not streams and not answer.is_success
            body = read_of(request, answer, began) if told else b""
        except httpx.HTTPError as error:
            raise NoAnswer(request, error) from error
        try:
            response = Response(answer.status_code, headers, body)
            wire.keep(Exchange(request, response, at))
            yield LogStream(wire.spec, answer.iter_bytes()) if streams else response
        finally:
            answer.close()
