"""What of a message's head goes on to the other side, and what is refused.

h11 parses and writes every head, so that what arrives is what it understood and nothing else. It
takes a few old forms that other parsers understand in other ways; here they are refused.
"""

import re

import h11

from emulator.errors import ApiError, BadRequest, HeadTooLarge, MethodNotAllowed

MAX_HEAD = 64 * 1024
"""Bytes of a request's or an answer's head."""

MAX_LINES = 256
"""Lines of a head: each costs a parser in Python some microseconds, which others wait for."""

Fields = list[tuple[bytes, bytes]]
Answer = h11.Response | h11.InformationalResponse
Message = h11.Request | Answer

_DOUBTFUL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\n[ \t]")
"""Control characters, bare carriage returns, lines that continue the one before."""

_FRAMING = re.compile(
    rb"^(?:content-length|transfer-encoding)[ \t]*:([^\n]*)", re.IGNORECASE | re.MULTILINE
)

_OF_ONE_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"proxy-authenticate", b"proxy-authorization"),
    }
)
_OURS = re.compile(rb"forwarded|x-forwarded-.*|x-real-ip|proxy")
"""What only the gateway may say, and what CGI takes for a variable that programs obey."""

_FRAMES = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""What nobody may say by another name."""

_NEVER_OF_ONE_HOP = frozenset({b"host", b"content-length", b"expect"})
"""What stays, though `Connection` names it."""

_END = re.compile(rb"\n\r?\n")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_SWITCHING = frozenset({101, 426})


def value(message: Message, name: bytes) -> bytes:
    """The values of a field, put together as its lines may be; `name` is in lower case."""
    return b",".join(found for key, found in message.headers if key == name)


def malformed(error: h11.RemoteProtocolError) -> ApiError:
    """What is answered to a request that cannot be read."""
    if error.error_status_hint == HeadTooLarge.status:
        return HeadTooLarge("A head, or the size of a chunk, may have 64 KiB")
    return BadRequest("The request is not valid HTTP/1.1")


def bound(received: bytes) -> None:
    """Raises HeadTooLarge where the head at the beginning of `received` has too many lines."""
    if received.count(b"\n", 0, MAX_HEAD) > MAX_LINES:
        end = _END.search(received)
        if received.count(b"\n", 0, end.end() if end else MAX_HEAD) > MAX_LINES:
            raise HeadTooLarge(f"A head may have {MAX_LINES} lines")


def check(request: h11.Request, head: bytes) -> None:
    """Refuse what two parsers might understand in two ways; `head` are the bytes it came as.

    Raises:
        BadRequest: it may be meant to be misunderstood, or is no HTTP/1.
        MethodNotAllowed: it asks for a tunnel.
    """
    framing = _FRAMING.findall(head)
    if _DOUBTFUL.search(head) or len(framing) > 1 or any(b"," in found for found in framing):
        raise BadRequest("The request's head can be understood in more than one way")
    if request.http_version not in (b"1.0", b"1.1"):
        raise BadRequest("This is neither HTTP/1.0 nor HTTP/1.1")
    if request.http_version == b"1.0" and value(request, b"transfer-encoding"):
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
    if request.method == b"CONNECT":
        raise MethodNotAllowed("Services have no tunnels")


def host_of(request: h11.Request) -> str:
    """The `Host`, which an absolute target repeats; raises BadRequest."""
    host = value(request, b"host")
    absolute = _ABSOLUTE.fullmatch(request.target)
    if absolute is not None and absolute[1].lower() != host.lower():
        raise BadRequest("The request names two hosts")
    return host.decode("latin-1")


def target_of(request: h11.Request) -> bytes:
    """The path and query, or `*`; raises BadRequest."""
    absolute = _ABSOLUTE.fullmatch(request.target)
    target = request.target if absolute is None else absolute[2]
    if absolute is not None and not target.startswith(b"/"):
        target = b"/" + target
    if not target.startswith(b"/") and (request.method, target) != (b"OPTIONS", b"*"):
        raise BadRequest("The request's target is no path")
    return target


def wants_upgrade(request: h11.Request) -> bool:
    """Whether the connection may become another one, such as a WebSocket."""
    named = _names(value(request, b"connection"))
    return (
        b"upgrade" in named and request.http_version == b"1.1" and bool(value(request, b"upgrade"))
    )


def onward(request: h11.Request, address: str, scheme: str) -> h11.Request:
    """The request as the service gets it; raises BadRequest."""
    fields = [(name, found) for name, found in _end_to_end(request) if not _is_forged(name.lower())]
    fields += [
        (b"X-Forwarded-For", address.encode()),
        (b"X-Forwarded-Host", value(request, b"host")),
        (b"X-Forwarded-Proto", scheme.encode()),
    ]
    if value(request, b"transfer-encoding"):
        fields.append((b"Transfer-Encoding", b"chunked"))
    fields += _upgrade(request) if wants_upgrade(request) else [(b"Connection", b"close")]
    return h11.Request(method=request.method, target=target_of(request), headers=fields)


def _is_forged(name: bytes) -> bool:
    """Whether it is a name that a service may take for what the gateway says."""
    meant = name.replace(b"_", b"-")  # CGI takes them for the same
    return _OURS.fullmatch(meant) is not None or (meant != name and meant in _FRAMES)


def back(answer: h11.Response) -> h11.Response:
    """The answer as the client gets it."""
    return h11.Response(
        status_code=answer.status_code, headers=_returned(answer), reason=answer.reason
    )


def back_early(answer: h11.InformationalResponse) -> h11.InformationalResponse:
    """What comes before the answer, as the client gets it."""
    fields = [field for field in _returned(answer) if field[0].lower() != b"content-length"]
    return h11.InformationalResponse(
        status_code=answer.status_code, headers=fields, reason=answer.reason
    )


def _returned(answer: Answer) -> Fields:
    fields = _end_to_end(answer)
    if answer.status_code in _SWITCHING:
        fields += _upgrade(answer)
    if isinstance(answer, h11.Response) and value(answer, b"transfer-encoding"):
        fields = [field for field in fields if field[0].lower() != b"content-length"]
    return fields


def _upgrade(message: Message) -> Fields:
    return [(b"Connection", b"Upgrade"), (b"Upgrade", value(message, b"upgrade"))]


def _end_to_end(message: Message) -> Fields:
    """Without what concerns one connection alone."""
    named = _names(value(message, b"connection")) - _NEVER_OF_ONE_HOP
    dropped = _OF_ONE_HOP | named if named else _OF_ONE_HOP
    return [
        (name, found) for name, found in message.headers.raw_items() if name.lower() not in dropped
    ]


def _names(listed: bytes) -> frozenset[bytes]:
    return frozenset(name.strip().lower() for name in listed.split(b",") if name.strip())
