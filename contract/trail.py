"""How a failure came about: its exchanges as JSON, so that they can be read, and sent once more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from contract.exchange import EVENT_STREAM, Exchange, Request
from contract.signing import AUTHORIZATION, SIGNATURE, TIME, Credentials, signed_headers

__all__ = ["Trail", "recorded", "shown"]

LONGEST_TRAIL = 100
"""Exchanges that are kept; those before the latest of them are left out."""

LONGEST_BODY = 64 * 1024
"""Bytes of a body that are kept."""

_CLOCK_SECONDS = 5
"""How far the time of a signature may be from when it was sent, to be an ordinary one."""

_LEAST, _MOST, _SURELY = 8, 200, 16
"""Lengths of texts that may be ids; those of the last length are ids without a digit too."""


class Trail(list[Exchange]):
    """The latest exchanges of a check, however many there are, without what is never told."""

    def append(self, exchange: Exchange) -> None:
        """Keep an exchange; of an answer too long to be told, a byte more than is told."""
        response = exchange.response
        if len(response.body) > LONGEST_BODY:
            cut = replace(response, body=response.body[: LONGEST_BODY + 1])
            exchange = replace(exchange, response=cut)
        super().append(exchange)
        del self[:-LONGEST_TRAIL]


def recorded(
    exchanges: Sequence[Exchange], accounts: Mapping[str, Credentials]
) -> list[dict[str, Any]]:
    """Exchanges, each with what a replay has to know.

    `ordinary` says whether it was signed as the contract says, so that signing it anew sends the
    same thing; `uses` is by which answer (its place in this list, a JSON pointer) each id in the
    request was given.
    """
    latest = exchanges[-LONGEST_TRAIL:]
    given = dict[str, tuple[int, str]]()
    told, sent = list[dict[str, Any]](), ""
    for place, exchange in enumerate(latest):
        text = _text(exchange.request)
        uses = {value: list(source) for value, source in given.items() if value in text}
        ordinary = _ordinary(exchange, accounts)
        told.append({**shown(exchange), "ordinary": ordinary, "uses": uses})
        sent += text
        for value, pointer in _ids(exchange):
            if value not in sent:
                given.setdefault(value, (place, pointer))
    return told


def shown(exchange: Exchange) -> dict[str, Any]:
    """An exchange as JSON: bodies as text, undecodable bytes as latin-1 beside their marker."""
    request, response = exchange.request, exchange.response
    return {
        "at": exchange.at,
        "operation": request.operation.id if request.operation else "",
        "account": request.account,
        "probe": request.probe,
        "method": request.method,
        "target": request.target,
        "request_headers": [list(pair) for pair in request.headers],
        **_body("request", request.body),
        "status": response.status,
        "response_headers": [list(pair) for pair in response.headers],
        **_body("response", response.body),
    }


def _body(side: str, body: bytes) -> dict[str, Any]:
    cut = {f"{side}_body_was": len(body)} if len(body) > LONGEST_BODY else {}
    body = body[:LONGEST_BODY]
    try:
        return {f"{side}_body": body.decode(), **cut}
    except UnicodeDecodeError:
        return {f"{side}_body": body.decode("latin-1"), f"{side}_body_is": "latin-1", **cut}


def _ordinary(exchange: Exchange, accounts: Mapping[str, Credentials]) -> bool:
    request = exchange.request
    if request.header("Upgrade") or exchange.response.media_type == EVENT_STREAM:
        return False  # what came of these is more than an answer
    if len(request.body) > LONGEST_BODY:
        return False
    account = accounts.get(request.account or "")
    given = {name: request.header(name) for name in (AUTHORIZATION, TIME, SIGNATURE)}
    if account is None or request.operation is None or not request.operation.signed:
        return not any(given.values())
    at = given[TIME] or ""
    if not (at.isascii() and at.isdigit() and abs(int(at) - exchange.at) <= _CLOCK_SECONDS):
        return False
    path = request.target.partition("?")[0]
    return given in [
        signed_headers(account, request.method, target, request.body, int(at))
        for target in (request.target, path)
    ]


def _text(request: Request) -> str:
    headers = "\n".join(value for _, value in request.headers)
    return f"{request.target}\n{headers}\n{request.body.decode('utf-8', 'replace')}\n"


def _ids(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Texts of an answer that could be ids, with the JSON pointers to them."""
    if len(exchange.response.body) > LONGEST_BODY:
        return
    try:
        body = exchange.response.json
    except ValueError:
        return
    for pointer, value in _texts(body, ""):
        if _may_be_an_id(value):
            yield value, pointer


def _may_be_an_id(text: str) -> bool:
    if not _LEAST <= len(text) <= _MOST or any(it.isspace() for it in text):
        return False
    return len(text) >= _SURELY or any(it.isdigit() for it in text)


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, member in value.items():
            escaped = name.replace("~", "~0").replace("/", "~1")
            yield from _texts(member, f"{pointer}/{escaped}")
    elif isinstance(value, list):
        for place, member in enumerate(value):
            yield from _texts(member, f"{pointer}/{place}")
