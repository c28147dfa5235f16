"""Why a signature is refused: which rule of signing a request breaks, and at which byte.

Pure: no I/O, the standard library alone, so that a server may use it too. It needs the secret key,
and tells neither that nor the signature that would be right.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from contract.mistakes import (
    LARGE_BYTES,
    RULES,
    Variation,
    Way,
    documented,
    hmac_sha256,
    milliseconds,
    variations,
)
from contract.signing import AUTHORIZATION, SIGNATURE, TIME, WINDOW_SECONDS

__all__ = ["Explanation", "Received", "explain", "public_key"]

CLOUD_HOST = "api.unsandbox.com"
PAIRS_BYTES = 16 * 1024
"""Two mistakes at once are looked for in requests with a body of at most this length."""

_SHOWN_BYTES = 24
_MASK = b"*"


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came: `target` is path and query, not decoded."""

    method: str
    target: bytes
    headers: Sequence[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is wrong, or that nothing is.

    `code` is stable; `rule` says what is right; `message` what was found and how to mend it;
    `offset` counts bytes of the part that the message names, from 0.
    """

    code: str
    rule: str
    message: str
    offset: int | None = None
    right: bool = False


def public_key(request: Received) -> str | None:
    """The key that a request names, or None when it names none that can be read."""
    values = request.values(AUTHORIZATION)
    scheme, _, key = values[0].partition(" ") if values else ("", "", "")
    return key.strip() or None if scheme.lower() == "bearer" else None


def explain(request: Received, secret_key: str | None, now: float) -> Explanation:
    """The first rule that a request breaks, in the order in which a server checks them.

    Args:
        request: as it came over the wire.
        secret_key: of the key that the request names; None when there is no such key.
        now: the server's clock, in seconds since 1970.
    """
    for found in _before_the_signature(request, secret_key, now):
        return found
    return _signature(request, secret_key or "")


def _before_the_signature(
    request: Received, secret_key: str | None, now: float
) -> Iterator[Explanation]:
    for name in (AUTHORIZATION, TIME, SIGNATURE):
        yield from _present(request, name)
    yield from _key(request, secret_key)
    yield from _time(request.values(TIME)[0], now)


_ONCE = "every signed request has Authorization, X-Timestamp and X-Signature, once each"


def _present(request: Received, name: str) -> Iterator[Explanation]:
    values = request.values(name)
    if not values:
        yield Explanation("header-missing", _ONCE, f"The header {name} is missing: send it.")
    elif len(values) > 1:
        told = f"The header {name} came {len(values)} times: send it once."
        yield Explanation("header-repeated", _ONCE, told)
    elif not values[0].strip():
        yield Explanation("header-empty", _ONCE, f"The header {name} is empty.")


def _key(request: Received, secret_key: str | None) -> Iterator[Explanation]:
    rule = "Authorization is: Bearer <public key>"
    (value,) = request.values(AUTHORIZATION)
    key = public_key(request)
    if "unsb-sk-" in value or (secret_key and secret_key in value):
        told = "Authorization holds the secret key, which never leaves the client. Replace the key."
        yield Explanation("secret-sent", rule, told)
    elif key is None:
        told = "Authorization does not begin with `Bearer ` and a key."
        yield Explanation("authorization-malformed", rule, told, 0)
    elif secret_key is None:
        told = "This public key is not known here: check for typing errors and the right server."
        yield Explanation("key-unknown", "the public key is known to the server", told)


_UNITS = {1_000: "milliseconds", 1_000_000: "microseconds", 1_000_000_000: "nanoseconds"}


def _time(value: str, now: float) -> Iterator[Explanation]:
    rule = "X-Timestamp is Unix time in whole seconds"
    if not re.fullmatch("[0-9]+", value) or len(value) > 25:
        offset = next((at for at, it in enumerate(value) if it not in "0123456789"), 25)
        told = f"X-Timestamp is no whole number, from byte {offset} on: send seconds since 1970."
        yield Explanation("time-not-an-integer", rule, told, offset)
        return
    drift = int(value) - int(now)
    if abs(drift) <= WINDOW_SECONDS:
        return
    for factor, name in _UNITS.items():
        if abs(int(value) / factor - now) < now / 2:
            told = f"X-Timestamp is in {name}: divide by {factor:,} and drop the fraction."
            yield Explanation(f"time-in-{name}", rule, told)
            return
    side = "ahead of" if drift > 0 else "behind"
    told = (
        f"X-Timestamp is {abs(drift)} seconds {side} the server's clock, "
        f"{abs(drift) - WINDOW_SECONDS} more than allowed: set the clock, and sign when sending."
    )
    within = f"X-Timestamp is within {WINDOW_SECONDS} seconds of the server's clock"
    yield Explanation("time-outside-window", within, told)


_HEX = "the signature is 64 characters of lower-case hex"


def _signature(request: Received, secret_key: str) -> Explanation:
    (value,) = request.values(SIGNATURE)
    if re.fullmatch("[0-9a-f]{64}", value):
        return _content(request, secret_key, bytes.fromhex(value))
    for code, digest, told in _other_forms(value):
        beside = _content(request, secret_key, digest)
        more = "It is right otherwise." if beside.right else f"Beside that: {beside.message}"
        return Explanation(code, _HEX, f"{told} {more}", 0)
    return _malformed(value)


def _other_forms(value: str) -> Iterator[tuple[str, bytes, str]]:
    """A signature in a form that can be read all the same: code, its 32 bytes, what to say."""
    bare = re.sub(r"^(sha256=|hmac-sha256=|0x|v1=)", "", value, flags=re.IGNORECASE)
    if re.fullmatch("[0-9a-fA-F]{64}", bare):
        if bare != value:
            yield "signature-prefixed", bytes.fromhex(bare), "X-Signature has a prefix: drop it."
        else:
            told = "X-Signature has capital letters: write the hex in lower case."
            yield "signature-upper-case", bytes.fromhex(bare), told
    told = "X-Signature is base64: write the 32 bytes as hex."
    try:
        raw = base64.b64decode(
            value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        return
    if len(raw) == 32:
        yield "signature-base64", raw, told
    elif re.fullmatch(rb"[0-9a-f]{64}", raw):
        yield "signature-base64", bytes.fromhex(raw.decode()), told


_LENGTHS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}


def _malformed(value: str) -> Explanation:
    if re.fullmatch("[0-9a-fA-F]+", value):
        hint = _LENGTHS.get(len(value))
        looks = f", the length of a {hint}: use SHA-256" if hint else ""
        told = f"X-Signature has {len(value)} characters instead of 64{looks}."
        return Explanation("signature-length", _HEX, told, min(len(value), 64))
    offset = next(at for at, it in enumerate(value) if it not in "0123456789abcdefABCDEF")
    told = f"X-Signature is no hex, from byte {offset} on."
    return Explanation("signature-malformed", _HEX, told, offset)


def _content(request: Received, secret_key: str, digest: bytes) -> Explanation:
    """What a signature of the right form was made over."""
    at = request.values(TIME)[0].encode()
    method = request.method.upper().encode()
    whole = Way(
        at, method, request.target, request.body, secret_key.encode(), documented, hmac_sha256
    )
    rule = "the signature is right"
    if _fits(whole, digest):
        return Explanation("right", rule, "The signature is right.", right=True)
    path = request.target.partition(b"?")[0]
    bare = replace(whole, target=path)
    if _fits(bare, digest):
        told = "The signature is right; the query was left out of it, which servers accept."
        return Explanation("right-without-query", rule, told, right=True)
    for way in dict.fromkeys((whole, bare)):
        for made in _made(way, request):
            if _fits(_applied(way, made), digest):
                return _told(whole, made)
    return _unknown(request)


def _fits(way: Way, digest: bytes) -> bool:
    return hmac.compare_digest(way.signature(), digest)


def _made(way: Way, request: Received) -> Iterator[tuple[Variation, ...]]:
    """Mistakes to try: each alone, then two at once."""
    hosts = tuple(dict.fromkeys([*request.values("Host")[:1], CLOUD_HOST]))
    known = list(_distinct(variations(way, hosts, (public_key(request) or "").encode())))
    for single in known:
        yield (single,)
    if len(way.body) <= LARGE_BYTES:
        yield from ((moment,) for moment in milliseconds(way))
    if len(way.body) <= PAIRS_BYTES:
        for pair in combinations(known, 2):
            if pair[0].part != pair[1].part:
                yield pair


def _distinct(made: Iterator[Variation]) -> Iterator[Variation]:
    seen = set[tuple[str, object]]()
    for variation in made:
        if (variation.part, variation.value) not in seen:
            seen.add((variation.part, variation.value))
            yield variation


def _applied(way: Way, made: Sequence[Variation]) -> Way:
    for variation in made:
        way = variation.of(way)
    return way


def _told(sent: Way, made: Sequence[Variation]) -> Explanation:
    parts = [_mistake(sent, variation) for variation in made]
    message = " Also: ".join(told for told, _ in parts)
    code = made[0].code
    return Explanation(code, RULES[code].rule, message, parts[0][1])


def _mistake(sent: Way, variation: Variation) -> tuple[str, int | None]:
    remedy = RULES[variation.code].remedy
    if variation.part in ("body", "target"):
        one, other = getattr(sent, variation.part), variation.value
        masked = [it.replace(sent.secret, _MASK * len(sent.secret)) for it in (other, one)]
        offset = _first_difference(other, one)
        signed, came = (_snippet(it, offset) for it in masked)
        name = {"body": "body", "target": "path"}[variation.part]
        told = f"The {name} that was signed differs at byte {offset} from the one sent: "
        return f"{told}signed {signed}, sent {came}. Remedy: {remedy}.", offset
    if variation.code == "time-read-twice":
        away = int(variation.value) - int(sent.at)
        return f"The time that was signed is {away:+d} s from the one sent: {remedy}.", None
    if variation.part == "method":
        return f"The method was signed as {variation.value.decode()}: {remedy}.", 0
    return f"{remedy[0].upper()}{remedy[1:]}.", None


def _first_difference(one: bytes, other: bytes) -> int:
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def _snippet(text: bytes, offset: int) -> str:
    """Some bytes from shortly before the difference on, as a reader can tell them apart."""
    start = max(0, offset - _SHOWN_BYTES // 3)
    cut = text[start : start + _SHOWN_BYTES]
    if offset >= len(text):
        return f"{cut.decode('latin-1')!a} and nothing more" if cut else "nothing"
    return f"{cut.decode('latin-1')!a}" + ("..." if start + _SHOWN_BYTES < len(text) else "")


def _unknown(request: Received) -> Explanation:
    length = len(request.body)
    told = (
        "No known mistake explains this signature: it was made with another secret key, or over "
        "something else than was sent; these cannot be told apart. Check that the secret belongs "
        "to the public key, then print the message just before it is signed: it has to be "
        f"X-Timestamp, {request.method.upper()}, the path and {length} bytes of body, with colons."
    )
    return Explanation("unexplained", "the signature fits the secret key and the request", told)
