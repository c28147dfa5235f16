"""What clients do wrong when they sign, as data: each a small change of a request done right."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from contract.exchange import Headers
from contract.signing import (
    AUTHORIZATION,
    SIGNATURE,
    TIME,
    WINDOW_SECONDS,
    Credentials,
    signature,
)

__all__ = [
    "AMBIGUITIES",
    "BODY",
    "JSON",
    "LENIENCIES",
    "MISTAKES",
    "QUERY",
    "VARIANTS",
    "Leniency",
    "Mistake",
    "Signing",
]

QUERY, BODY, JSON = "query", "body", "JSON"

NOBODY = "unsb-pk-none-none-none-none"
"""A public key of the right form that no server gives out."""

MARGIN_SECONDS = 10
"""How far from the edge of the window a time is taken: clocks differ, and requests take time."""


@dataclass(frozen=True, slots=True)
class Signing:
    """What a signature covers, and under which key; `sent` is the body that goes out."""

    credentials: Credentials
    at: str
    method: str
    target: str
    body: bytes
    sent: bytes

    @property
    def signature(self) -> str:
        return signature(self.credentials.secret_key, self.at, self.method, self.target, self.body)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.split("?", maxsplit=1)[0]

    def digest(self, message: str, algorithm: str = "sha256") -> str:
        """The HMAC of another message."""
        return hmac.new(
            self.credentials.secret_key.encode(), message.encode(), algorithm
        ).hexdigest()

    def headers(self) -> Headers:
        return (
            (AUTHORIZATION, f"Bearer {self.credentials.public_key}"),
            (TIME, self.at),
            (SIGNATURE, self.signature),
        )


def _as_it_is(headers: Headers) -> Headers:
    return headers


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing done wrong, in this order: `change` what is signed, `write` the signature, `head`.

    `needs` is what a request has to have for it: QUERY, BODY or JSON. `code` is the error code that
    the contract has for it, where it has one.
    """

    name: str
    change: Callable[[Signing], Signing] = lambda signing: signing
    write: Callable[[Signing], str] = lambda signing: signing.signature
    head: Callable[[Headers], Headers] = _as_it_is
    needs: str = ""
    code: str | None = None

    def headers(self, signing: Signing) -> Headers:
        """The headers that a client making this mistake sends."""
        changed = self.change(signing)
        written = with_header(changed.headers(), SIGNATURE, self.write(changed))
        return self.head(written)

    def body(self, signing: Signing) -> bytes:
        """The body that such a client sends."""
        return self.change(signing).sent


@dataclass(frozen=True, slots=True)
class Leniency:
    """A body that some published client sends, and what it signs in its place.

    A server may let it pass for their sake; one that is run strictly refuses it.
    """

    name: str
    operation_id: str
    sent: bytes
    signed: bytes


def with_header(headers: Headers, name: str, value: str) -> Headers:
    return tuple((key, value if key == name else old) for key, old in headers)


def _without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: tuple(pair for pair in headers if pair[0] != name)


def _set(name: str, value: str) -> Callable[[Headers], Headers]:
    return lambda headers: with_header(headers, name, value)


def _scheme(scheme: str) -> Callable[[Headers], Headers]:
    """The right key under another scheme than Bearer."""
    return lambda headers: tuple(
        (name, value.replace("Bearer ", scheme) if name == AUTHORIZATION else value)
        for name, value in headers
    )


def _time(write: Callable[[int], str]) -> Callable[[Signing], Signing]:
    """Sign, correctly, at another time."""
    return lambda signing: replace(signing, at=write(int(signing.at)))


def _target(write: Callable[[str], str]) -> Callable[[Signing], Signing]:
    return lambda signing: replace(signing, target=write(signing.target))


def _method(write: Callable[[str], str]) -> Callable[[Signing], Signing]:
    return lambda signing: replace(signing, method=write(signing.method))


def _body(write: Callable[[bytes], bytes]) -> Callable[[Signing], Signing]:
    """Sign another body than the one that is sent."""
    return lambda signing: replace(signing, body=write(signing.body))


def _flipped(text: str, at: int) -> str:
    """The same with one letter another one; from the end where `at` is negative."""
    letters = list(text)
    letters[at] = "0" if text[at] != "0" else "1"
    return "".join(letters)


def _one_byte_off(body: bytes) -> bytes:
    """The same with the last letter another one."""
    return re.sub(rb"[a-z](?=[^a-z]*\Z)", lambda letter: b"x" if letter[0] != b"x" else b"y", body)


def _public_key(write: Callable[[str], str]) -> Callable[[Signing], Signing]:
    def changed(signing: Signing) -> Signing:
        known = signing.credentials
        return replace(signing, credentials=replace(known, public_key=write(known.public_key)))

    return changed


def _secret_key(write: Callable[[str], str]) -> Callable[[Signing], Signing]:
    def changed(signing: Signing) -> Signing:
        known = signing.credentials
        return replace(signing, credentials=replace(known, secret_key=write(known.secret_key)))

    return changed


_KEY, _BAD, _CLOCK = "INVALID_KEY", "INVALID_SIGNATURE", "INVALID_TIMESTAMP"

MISTAKES = (
    # Who sends it
    Mistake("no Authorization", head=_without(AUTHORIZATION)),
    Mistake("empty Authorization", head=_set(AUTHORIZATION, "")),
    Mistake("Authorization without a key", head=_set(AUTHORIZATION, "Bearer")),
    Mistake("Authorization of another scheme", head=_scheme("Basic ")),
    Mistake("Authorization without a scheme", head=_scheme("")),
    Mistake("a key that nobody has", change=_public_key(lambda _key: NOBODY), code=_KEY),
    Mistake("a key cut short", change=_public_key(lambda key: key[:-1])),
    Mistake("a secret that is wrong", change=_secret_key(lambda key: _flipped(key, -1)), code=_BAD),
    Mistake("no secret", change=_secret_key(lambda _key: "")),
    Mistake("no header at all", head=lambda _headers: ()),
    # When
    Mistake("no X-Timestamp", head=_without(TIME)),
    Mistake("empty time", change=_time(lambda _at: "")),
    Mistake("time in words", change=_time(lambda _at: "now")),
    Mistake("time in milliseconds", change=_time(lambda at: f"{at}000")),
    Mistake("time with a fraction", change=_time(lambda at: f"{at}.5")),
    Mistake("time in ISO 8601", change=_time(lambda _at: "2026-01-01T00:00:00Z")),
    Mistake("time in hexadecimal", change=_time(hex)),
    Mistake("time before 1970", change=_time(lambda at: f"-{at}")),
    Mistake("time zero", change=_time(lambda _at: "0")),
    Mistake(
        "time too old",
        change=_time(lambda at: str(at - WINDOW_SECONDS - MARGIN_SECONDS)),
        code=_CLOCK,
    ),
    Mistake(
        "time too new",
        change=_time(lambda at: str(at + WINDOW_SECONDS + MARGIN_SECONDS)),
        code=_CLOCK,
    ),
    Mistake("time of yesterday", change=_time(lambda at: str(at - 86_400))),
    Mistake("time of tomorrow", change=_time(lambda at: str(at + 86_400))),
    Mistake(
        "time read a second time",
        head=lambda headers: with_header(headers, TIME, str(int(dict(headers)[TIME]) + 1)),
        code=_BAD,
    ),
    Mistake("time not signed", write=lambda it: it.digest(_rest(it)), code=_BAD),
    # The signature
    Mistake("no X-Signature", head=_without(SIGNATURE)),
    Mistake("empty signature", write=lambda _it: ""),
    Mistake("signature in upper case", write=lambda it: it.signature.upper()),
    Mistake(
        "signature in base64",
        write=lambda it: base64.b64encode(bytes.fromhex(it.signature)).decode(),
    ),
    Mistake("signature cut short", write=lambda it: it.signature[:-1]),
    Mistake("half of the signature", write=lambda it: it.signature[:32]),
    Mistake("signature followed by more", write=lambda it: it.signature + "0"),
    Mistake("first digit wrong", write=lambda it: _flipped(it.signature, 0), code=_BAD),
    Mistake("last digit wrong", write=lambda it: _flipped(it.signature, -1), code=_BAD),
    Mistake("zeros for a signature", write=lambda _it: "0" * 64, code=_BAD),
    Mistake("signature named", write=lambda it: f"sha256={it.signature}"),
    Mistake("SHA-1", write=lambda it: it.digest(f"{it.at}:{_rest(it)}", "sha1")),
    Mistake("SHA-512", write=lambda it: it.digest(f"{it.at}:{_rest(it)}", "sha512")),
    Mistake(
        "a hash without the secret",
        write=lambda it: hashlib.sha256(f"{it.at}:{_rest(it)}".encode()).hexdigest(),
        code=_BAD,
    ),
    # The method
    Mistake("method in lower case", change=_method(str.lower), code=_BAD),
    Mistake("another method", change=_method(lambda _it: "PUT"), code=_BAD),
    Mistake("method not signed", change=_method(lambda _it: ""), code=_BAD),
    # The path
    Mistake("path of another operation", change=_target(lambda _it: "/keys/self"), code=_BAD),
    Mistake("path with a slash at its end", change=lambda it: replace(it, target=f"{it.path}/")),
    Mistake("path without its first slash", change=_target(lambda it: it[1:]), code=_BAD),
    Mistake("path in upper case", change=_target(str.upper), code=_BAD),
    Mistake("path not signed", change=_target(lambda _it: ""), code=_BAD),
    Mistake(
        "the whole URL", change=_target(lambda it: f"https://api.unsandbox.com{it}"), code=_BAD
    ),
    Mistake("another query", change=_target(lambda it: f"{it}0"), needs=QUERY, code=_BAD),
    Mistake("a query that is not sent", change=_target(lambda it: f"{it}?"), code=_BAD),
    # The body
    Mistake(
        "a byte of the body changed on the way",
        change=lambda it: replace(it, sent=_one_byte_off(it.body)),
        needs=BODY,
        code=_BAD,
    ),
    Mistake("body not signed", change=_body(lambda _it: b""), needs=BODY, code=_BAD),
    Mistake("body with a line end", change=_body(lambda it: it + b"\n"), code=_BAD),
    Mistake(
        "hash of the body",
        change=_body(lambda it: hashlib.sha256(it).hexdigest().encode()),
        code=_BAD,
    ),
    Mistake(
        "JSON in its canonical form",
        change=_body(
            lambda it: json.dumps(
                json.loads(it), sort_keys=True, separators=(",", ":"), ensure_ascii=False
            ).encode()
        ),
        needs=JSON,
        code=_BAD,
    ),
    Mistake(
        "JSON in compact form",
        change=_body(
            lambda it: json.dumps(
                json.loads(it), separators=(",", ":"), ensure_ascii=False
            ).encode()
        ),
        needs=JSON,
        code=_BAD,
    ),
    Mistake(
        "JSON with its letters escaped",
        change=_body(lambda it: json.dumps(json.loads(it)).encode()),
        needs=JSON,
        code=_BAD,
    ),
    Mistake(
        "JSON with its letters escaped when it is sent",
        change=lambda it: replace(it, sent=json.dumps(json.loads(it.body)).encode()),
        needs=JSON,
        code=_BAD,
    ),
)
"""Each is refused by every server: 401."""

VARIANTS = (
    Mistake("nothing wrong"),
    Mistake("the query left out", change=lambda it: replace(it, target=it.path), needs=QUERY),
    Mistake(
        "old, inside the window",
        change=_time(lambda at: str(at - WINDOW_SECONDS + MARGIN_SECONDS)),
    ),
    Mistake(
        "new, inside the window",
        change=_time(lambda at: str(at + WINDOW_SECONDS - MARGIN_SECONDS)),
    ),
)
"""No mistakes: each is accepted by every server, strict or not."""

AMBIGUITIES = (
    Mistake("a second signature, wrong", head=lambda headers: (*headers, (SIGNATURE, "0" * 64))),
    Mistake("a wrong signature first", head=lambda headers: ((SIGNATURE, "0" * 64), *headers)),
    Mistake("a second time", head=lambda headers: (*headers, (TIME, "0"))),
    Mistake("a second key", head=lambda headers: (*headers, (AUTHORIZATION, f"Bearer {NOBODY}"))),
)
"""Headers that stand twice: which of them counts is nowhere said. A strict server refuses them."""

_CODE = rb'{"language":"bash","code":"echo a\necho b"}'

LENIENCIES = (
    Leniency("{} is sent, nothing was signed", "validateKey", b"{}", b""),
    Leniency("[] is sent, nothing was signed", "validateKey", b"[]", b""),
    Leniency("nothing is sent, {} was signed", "validateKey", b"", b"{}"),
    Leniency("the body of a DELETE was not signed", "cancelJob", b'{"force":true}', b""),
    Leniency("the body of a GET was not signed", "listJobs", b'{"limit":5}', b""),
    Leniency(
        "the shell's echo expanded escapes before they were signed",
        "execute",
        _CODE,
        _CODE.replace(rb"\n", b"\n"),
    ),
)
"""What a server may let pass, so that published clients work: these bodies and no others."""


def _rest(signing: Signing) -> str:
    """What is signed after the time."""
    return f"{signing.method}:{signing.target}:{signing.body.decode()}"
