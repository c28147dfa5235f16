"""The ways in which real clients sign something else than what they send.

Pure: no I/O, the standard library alone. A `Way` is one way to make a signature; `variations`
lists what real clients were seen to change about the documented one, part by part.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus, unquote_to_bytes

__all__ = ["LARGE_BYTES", "RULES", "Rule", "Variation", "Way", "variations"]

LARGE_BYTES = 256 * 1024
"""Of longer bodies only what costs little is tried."""

_CLOCK_SECONDS = 10
"""How far apart two readings of one client's clock are looked for."""


@dataclass(frozen=True, slots=True)
class Way:
    """What went into a signature, and how: parts, the way they are joined, the digest."""

    at: bytes
    method: bytes
    target: bytes
    body: bytes
    secret: bytes
    join: Callable[["Way"], bytes]
    digest: Callable[[bytes, bytes], bytes]

    def signature(self) -> bytes:
        """32 bytes, not yet hex."""
        return self.digest(self.secret, self.join(self))


@dataclass(frozen=True, slots=True)
class Variation:
    """One change of a `Way`: `part` is the field, `code` a key of RULES."""

    part: str
    code: str
    value: Any

    def of(self, way: Way) -> Way:
        changed = {name: getattr(way, name) for name in Way.__slots__}
        return Way(**{**changed, self.part: self.value})


@dataclass(frozen=True, slots=True)
class Rule:
    """What is right, and what a client that does otherwise changes."""

    rule: str
    remedy: str


_BODY = "the body is signed byte by byte as it is sent"
_TARGET = "the path is signed exactly as in the request line"
_FORM = "the signed message is <time>:<METHOD>:<path>:<body>"

RULES: Mapping[str, Rule] = {
    "method-case": Rule("the method is signed in capitals", "sign the method in capitals"),
    "absolute-url": Rule(_TARGET, "sign the path alone, without scheme and host"),
    "leading-slash": Rule(_TARGET, "keep the slash that the path begins with"),
    "trailing-slash": Rule(_TARGET, "sign the path with the same end as it is sent"),
    "query-order": Rule(_TARGET, "sign the query in the order in which it is sent"),
    "query-encoding": Rule(_TARGET, "sign the query as encoded for sending: build the URL once"),
    "path-encoding": Rule(_TARGET, "sign the path as encoded for sending: build the URL once"),
    "empty-body-signed": Rule(_BODY, "sign the body too; `{}` is a body of two bytes"),
    "body-not-sent": Rule(_BODY, "nothing was sent: sign an empty body, or send what is signed"),
    "newline-not-signed": Rule(_BODY, "the line break at the end is a byte of the body: sign it"),
    "newline-not-sent": Rule(
        _BODY, "the line break at the end was signed and not sent (curl: use --data-binary)"
    ),
    "line-endings": Rule(
        _BODY, "send the line breaks that were signed (curl -d @file removes them: --data-binary)"
    ),
    "unicode-escapes": Rule(
        _BODY, "sign and send one and the same bytes: one had \\uXXXX, the other the character"
    ),
    "html-escapes": Rule(
        _BODY, "one had < > & as \\u003c \\u003e \\u0026: serialise once, sign and send the bytes"
    ),
    "slash-escapes": Rule(
        _BODY, "one had / as \\/ (PHP's json_encode): serialise once, sign and send the bytes"
    ),
    "re-serialised": Rule(
        _BODY, "the JSON was serialised twice, differently: serialise once, sign and send the bytes"
    ),
    "echo-expanded": Rule(
        _BODY, "a shell's echo expanded the escapes before signing: use printf '%s'"
    ),
    "encoded-twice": Rule(_BODY, "the JSON was made a JSON string before signing: encode it once"),
    "charset": Rule(_BODY, "encode the text once, as UTF-8, and sign those bytes"),
    "whitespace": Rule(_BODY, "sign the body with the white space around it"),
    "body-hashed": Rule(_BODY, "sign the body itself, not its hash"),
    "time-read-twice": Rule(
        "the time that is signed is the one in X-Timestamp",
        "read the clock once and use that value for both",
    ),
    "time-signed-in-milliseconds": Rule(
        "the time that is signed is the one in X-Timestamp", "sign the seconds, as sent"
    ),
    "separators": Rule(_FORM, "put one colon between the four parts, also before an empty body"),
    "parts-order": Rule(_FORM, "bring the parts into this order"),
    "part-missing": Rule(_FORM, "sign all four parts"),
    "no-hmac": Rule(
        "the signature is an HMAC-SHA256 with the secret key as its key",
        "use the HMAC of a library; a plain SHA-256 is no signature",
    ),
    "secret-not-clean": Rule(
        "the HMAC's key is the secret key as it was given, as text",
        "cut the line break or white space off the secret key where it is read",
    ),
    "public-key-as-secret": Rule(
        "the HMAC's key is the secret key", "the public key was used: use the secret one"
    ),
}
"""By code: what each variation breaks. The codes are stable; reports and tests use them."""


def documented(way: Way) -> bytes:
    """`<time>:<METHOD>:<path>:<body>`."""
    return b":".join((way.at, way.method, way.target, way.body))


def hmac_sha256(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, "sha256")


def variations(way: Way, hosts: tuple[str, ...], public_key: bytes) -> Iterator[Variation]:
    """What real clients change about `way`; likelier things of a part come first."""
    secret = way.secret
    for part, changes in (
        ("target", _targets(way.target, hosts)),
        ("body", _bodies(way.body)),
        ("method", (("method-case", it) for it in (way.method.lower(), way.method.capitalize()))),
        ("at", (("time-read-twice", str(at).encode()) for at in _moments(int(way.at)))),
        ("join", _JOINS),
        ("digest", (("no-hmac", digest) for digest in _DIGESTS)),
        ("secret", (("secret-not-clean", secret + end) for end in (b"\n", b"\r\n", b" "))),
        ("secret", [("public-key-as-secret", public_key)]),
    ):
        for code, value in changes:
            if value != getattr(way, part):
                yield Variation(part, code, value)


def _moments(at: int) -> Iterator[int]:
    for away in range(1, _CLOCK_SECONDS + 1):
        yield at - away
        yield at + away


def milliseconds(way: Way) -> Iterator[Variation]:
    """The thousand moments of the second that was sent."""
    for part in range(1000):
        yield Variation("at", "time-signed-in-milliseconds", way.at + b"%03d" % part)


def _joined(separator: bytes) -> Callable[[Way], bytes]:
    return lambda way: separator.join((way.at, way.method, way.target, way.body))


_JOINS: tuple[tuple[str, Callable[[Way], bytes]], ...] = (
    *(("separators", _joined(text)) for text in (b"", b"\n", b"|", b".", b",", b" ", b"-", b"&")),
    ("separators", lambda way: b":".join((way.at, way.method, way.target)) + way.body),
    ("parts-order", lambda way: b":".join((way.method, way.target, way.at, way.body))),
    ("parts-order", lambda way: b":".join((way.method, way.target, way.body, way.at))),
    ("parts-order", lambda way: b":".join((way.at, way.target, way.method, way.body))),
    ("part-missing", lambda way: b":".join((way.method, way.target, way.body))),
    ("part-missing", lambda way: b":".join((way.at, way.target, way.body))),
    ("part-missing", lambda way: b":".join((way.at, way.method, way.body))),
    ("part-missing", lambda way: b":".join((way.at, way.method, way.target))),
    ("part-missing", lambda way: way.body),
)

_DIGESTS: tuple[Callable[[bytes, bytes], bytes], ...] = (
    lambda _secret, message: hashlib.sha256(message).digest(),
    lambda secret, message: hashlib.sha256(secret + message).digest(),
    lambda secret, message: hashlib.sha256(message + secret).digest(),
    lambda secret, message: hashlib.sha256(secret + b":" + message).digest(),
    lambda secret, message: hmac.digest(message, secret, "sha256"),
)


def _targets(target: bytes, hosts: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Other forms of the request's target, with and without its query."""
    path, mark, query = target.partition(b"?")
    for form in dict.fromkeys((target, path)):
        yield "leading-slash", form.removeprefix(b"/")
        for host in hosts:
            for scheme in (b"https://", b"http://", b""):
                yield "absolute-url", scheme + host.encode() + form
    for tail in dict.fromkeys((mark + query, b"")):
        yield "trailing-slash", path + b"/" + tail
        yield "trailing-slash", path.rstrip(b"/") + tail
        yield from (("path-encoding", other + tail) for other in _encodings(path))
    if query:
        for code, other in _queries(query):
            yield code, path + mark + other


def _queries(query: bytes) -> Iterator[tuple[str, bytes]]:
    pairs = query.split(b"&")
    yield "query-order", b"&".join(sorted(pairs))
    for quoted in (quote, quote_plus):
        for safe in ("", "/", "/:,"):
            written = (
                b"=".join(_requoted(part, quoted, safe) for part in pair.split(b"=", 1))
                for pair in pairs
            )
            yield "query-encoding", b"&".join(written)
    for other in (query.replace(b"+", b" "), unquote_to_bytes(query.replace(b"+", b" "))):
        yield "query-encoding", other
    yield from (("query-encoding", other) for other in _encodings(query))


def _encodings(text: bytes) -> Iterator[bytes]:
    """A part of a URL decoded, and encoded in other ways."""
    yield unquote_to_bytes(text)
    yield re.sub(rb"%[0-9a-fA-F]{2}", lambda code: code[0].lower(), text)
    yield re.sub(rb"%[0-9a-fA-F]{2}", lambda code: code[0].upper(), text)
    yield quote(unquote_to_bytes(text), safe="/").encode()
    yield quote(text, safe="/").encode()


def _requoted(part: bytes, quoted: Callable[..., str], safe: str) -> bytes:
    text = unquote_plus(part.decode("latin-1"), encoding="latin-1")
    return quoted(text.encode("latin-1"), safe=safe).encode()


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Other forms of the body; of a large one those that cost no more than a copy of it."""
    yield "empty-body-signed", b""
    yield "newline-not-signed", body.removesuffix(b"\n").removesuffix(b"\r")
    yield "newline-not-sent", body + b"\n"
    yield "newline-not-sent", body + b"\r\n"
    if not body:
        yield from (("body-not-sent", text) for text in (b"{}", b"[]", b"null", b'""'))
        return
    yield "line-endings", body.replace(b"\r\n", b"\n")
    yield "line-endings", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "line-endings", body.replace(b"\r", b"").replace(b"\n", b"")
    yield "whitespace", body.strip()
    yield "body-hashed", hashlib.sha256(body).hexdigest().encode()
    if len(body) <= LARGE_BYTES:
        yield from _texts(body)


def _texts(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return
    for code, change in _TEXTS:
        yield code, change(text).encode("utf-8", "surrogatepass")
    yield "charset", text.encode("latin-1", "replace")
    yield "charset", text.encode("utf-8-sig")
    yield "encoded-twice", json.dumps(text).encode()
    yield "encoded-twice", json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")
    yield from (("re-serialised", other) for other in _serialised(text))


def _serialised(text: str) -> Iterator[bytes]:
    """JSON, parsed and written as serialisers of many languages do."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    for style in _STYLES:
        try:
            written = json.dumps(value, **style)
        except RecursionError:
            return
        for change in (str, _with_slash_escapes, _with_html_escapes):
            yield change(written).encode("utf-8", "surrogatepass")


_STYLES: tuple[dict[str, Any], ...] = tuple(
    {"separators": separators, "indent": indent, "ensure_ascii": ascii_only, "sort_keys": ordered}
    for separators, indent in (
        ((",", ":"), None),
        ((", ", ": "), None),
        ((",", ": "), 2),
        ((",", ": "), 4),
        ((",", ": "), "\t"),
    )
    for ascii_only in (True, False)
    for ordered in (False, True)
)

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


def _without_escapes(text: str) -> str:
    r"""With the characters instead of their \uXXXX; what JSON has to escape stays."""

    def character(escape: re.Match[str]) -> str:
        code = int(escape[1], 16) if escape[1] else 0
        return chr(code) if code > 0x7E else escape[0]

    raw = _ESCAPE.sub(character, text)
    return raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _with_escapes(text: str) -> str:
    def escape(character: re.Match[str]) -> str:
        units = character[0].encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return re.sub(r"[^\x00-\x7e]", escape, text)


def _with_capital_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda it: f"\\u{it[1].upper()}" if it[1] else it[0], _with_escapes(text))


def _with_html_escapes(text: str) -> str:
    return re.sub("[<>&\u2028\u2029]", lambda it: f"\\u{ord(it[0]):04x}", text)


def _without_html_escapes(text: str) -> str:
    return re.sub(r"\\u(003[ceCE]|0026)", lambda it: chr(int(it[1], 16)), text)


def _with_slash_escapes(text: str) -> str:
    return text.replace("/", "\\/")


def _without_slash_escapes(text: str) -> str:
    return text.replace("\\/", "/")


_ECHO = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\"}


def _echo(text: str) -> str:
    """What `echo` of a POSIX shell (dash) prints."""
    return re.sub(r"\\([ntrbf\\])", lambda escape: _ECHO[escape[1]], text)


_TEXTS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("unicode-escapes", _without_escapes),
    ("unicode-escapes", _with_escapes),
    ("unicode-escapes", _with_capital_escapes),
    ("html-escapes", _with_html_escapes),
    ("html-escapes", _without_html_escapes),
    ("slash-escapes", _with_slash_escapes),
    ("slash-escapes", _without_slash_escapes),
    ("echo-expanded", _echo),
)
