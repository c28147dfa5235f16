"""The explainer names each mistake that clients make, and never calls a right signature wrong."""

import ast
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contract import explain as module
from contract import mistakes
from contract.explain import Explanation, Received, explain

PUBLIC, SECRET = "unsb-pk-abcd-abcd-abcd-abcd", "unsb-sk-abcde-vwxyz-abcde-vwxyz"
NOW = 1_800_000_000


LARGEST_WORK = 100
"""How many times a body may be signed in other ways, to find the way that was taken."""


def digest(message: bytes, secret: str = SECRET) -> bytes:
    return hmac.digest(secret.encode(), message, "sha256")


@dataclass(frozen=True)
class Sent:
    """A request before it is signed."""

    method: str
    target: str
    body: bytes
    at: int = NOW

    def message(self) -> bytes:
        return f"{self.at}:{self.method}:{self.target}:".encode() + self.body

    def received(self, signature: str | bytes, **headers: str | None) -> Received:
        value = signature.hex() if isinstance(signature, bytes) else signature
        every = {
            "Host": "127.0.0.1:9",
            "Authorization": f"Bearer {PUBLIC}",
            "X-Timestamp": str(self.at),
            "X-Signature": value,
            **{name.replace("_", "-"): it for name, it in headers.items()},
        }
        kept = [(name, it) for name, it in every.items() if it is not None]
        return Received(self.method, self.target.encode(), kept, self.body)

    def signed_as(self, **changes: object) -> bytes:
        return digest(replace(self, **changes).message())  # type: ignore[arg-type]

    def told(self, signature: str | bytes, **headers: str | None) -> Explanation:
        found = explain(self.received(signature, **headers), SECRET, NOW)
        right = self.signed_as()
        assert SECRET not in found.message
        assert right.hex() not in found.message
        assert base64.b64encode(right).decode() not in found.message
        return found


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=8)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
queries = st.dictionaries(names, names, min_size=1, max_size=3).map(
    lambda found: "?" + "&".join(f"{key}={value}" for key, value in found.items())
)
targets = st.tuples(paths, st.just("") | queries).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
documents = st.dictionaries(st.text(max_size=8), values, max_size=4)
compact = documents.map(
    lambda it: json.dumps(it, separators=(",", ":"), ensure_ascii=False).encode()
)
requests = st.builds(
    Sent,
    st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE")),
    targets,
    st.just(b"") | st.binary(max_size=40) | compact,
    st.integers(NOW - 300, NOW + 300),
)
with_json = st.builds(Sent, st.just("POST"), targets, compact)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(requests, st.booleans())
def test_a_right_signature_is_never_called_wrong(sent: Sent, bare: bool) -> None:
    target = sent.target.partition("?")[0] if bare else sent.target
    found = sent.told(sent.signed_as(target=target))
    assert found.right
    assert found.code == ("right" if target == sent.target else "right-without-query")


@quick
@given(requests, st.binary(min_size=32, max_size=32))
def test_what_fits_nothing_is_said_to_be_unexplained(sent: Sent, signature: bytes) -> None:
    found = sent.told(signature)
    assert (found.code, found.right) == ("unexplained", False)
    assert "cannot be told apart" in found.message


def dumped(body: bytes, **style: object) -> bytes:
    return json.dumps(json.loads(body), **style).encode()  # type: ignore[arg-type]


BODIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "empty": ("empty-body-signed", lambda _body: b""),
    "spaced": (
        "re-serialised",
        lambda body: dumped(body, ensure_ascii=False, sort_keys=True, separators=(", ", ": ")),
    ),
    "indented": ("re-serialised", lambda body: dumped(body, indent=2)),
    "hashed": ("body-hashed", lambda body: hashlib.sha256(body).hexdigest().encode()),
    "line end": ("newline-not-sent", lambda body: body + b"\n"),
}


@quick
@given(with_json, st.sampled_from(sorted(BODIES)))
def test_another_body_is_named_with_the_first_byte_that_differs(sent: Sent, name: str) -> None:
    code, change = BODIES[name]
    signed = change(sent.body)
    assume(signed not in (sent.body, dumped(sent.body), dumped(sent.body, ensure_ascii=False)))
    found = sent.told(sent.signed_as(body=signed))
    assert found.code == code
    same = [one == other for one, other in zip(signed, sent.body, strict=False)]
    assert found.offset == (same.index(False) if False in same else len(same))


SEEDED: dict[str, tuple[str, Sent, bytes]] = {
    "unicode sent raw": ("unicode-escapes", Sent("POST", "/x", '{"a":"é"}'.encode()), b'\\u00e9"}'),
    "capital escapes": ("unicode-escapes", Sent("POST", "/x", '{"a":"é"}'.encode()), b'\\u00E9"}'),
    "a pair of surrogates": (
        "unicode-escapes",
        Sent("POST", "/x", '{"a":"😀"}'.encode()),
        b'\\ud83d\\ude00"}',
    ),
    "escapes sent": (
        "unicode-escapes",
        Sent("POST", "/x", b'{"a":"\\u00e9"}'),
        '\u00e9"}'.encode(),
    ),
    "HTML": ("html-escapes", Sent("POST", "/x", b'{"a":"<"}'), b'\\u003c"}'),
    "slashes": ("slash-escapes", Sent("POST", "/x", b'{"a":"/"}'), b'\\/"}'),
    "echo": ("echo-expanded", Sent("POST", "/x", b'{"a":"1\\n"}'), b'1\n"}'),
}


@pytest.mark.parametrize("name", SEEDED)
def test_escapes_are_named_at_their_byte(name: str) -> None:
    code, sent, end = SEEDED[name]
    start = b'{"a":"'
    found = sent.told(sent.signed_as(body=start + end))
    assert found.code == code
    assert found.offset is not None
    assert found.offset in (len(start), len(start) + 1)


OTHERS: dict[str, tuple[str, Sent, dict[str, object]]] = {
    "method": ("method-case", Sent("POST", "/x", b"1"), {"method": "post"}),
    "URL": ("absolute-url", Sent("GET", "/x", b""), {"target": "https://api.unsandbox.com/x"}),
    "own URL": ("absolute-url", Sent("GET", "/x?a=1", b""), {"target": "http://127.0.0.1:9/x?a=1"}),
    "slash": ("leading-slash", Sent("GET", "/x/y", b""), {"target": "x/y"}),
    "end": ("trailing-slash", Sent("GET", "/x", b""), {"target": "/x/"}),
    "no end": ("trailing-slash", Sent("GET", "/x/?a=b", b""), {"target": "/x?a=b"}),
    "order": ("query-order", Sent("GET", "/x?b=1&a=2", b""), {"target": "/x?a=2&b=1"}),
    "decoded": ("query-encoding", Sent("GET", "/x?a=%7B1%7D", b""), {"target": "/x?a={1}"}),
    "plus": ("query-encoding", Sent("GET", "/x?a=b%20c", b""), {"target": "/x?a=b+c"}),
    "path": ("path-encoding", Sent("GET", "/x/a%20b", b""), {"target": "/x/a b"}),
    "braces": ("body-not-sent", Sent("POST", "/x", b""), {"body": b"{}"}),
    "empty": ("empty-body-signed", Sent("POST", "/x", b"{}"), {"body": b""}),
    "last line": ("newline-not-signed", Sent("POST", "/x", b"a\n"), {"body": b"a"}),
    "no last line": ("newline-not-sent", Sent("POST", "/x", b"a"), {"body": b"a\n"}),
    "CRLF": ("line-endings", Sent("POST", "/x", b"a\r\nb"), {"body": b"a\nb"}),
    "LF": ("line-endings", Sent("POST", "/x", b"a\nb"), {"body": b"a\r\nb"}),
    "clock": ("time-read-twice", Sent("POST", "/x", b"a"), {"at": NOW - 1}),
    "ms signed": ("time-signed-in-milliseconds", Sent("GET", "/x", b""), {"at": NOW * 1000 + 7}),
    "two": (
        "absolute-url",
        Sent("POST", "/x", b"{}"),
        {"target": "http://127.0.0.1:9/x", "body": b""},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_differs_from_what_was_sent_is_named(name: str) -> None:
    code, sent, changes = OTHERS[name]
    found = sent.told(sent.signed_as(**changes))
    assert (found.code, found.right) == (code, False)


@quick
@given(requests)
def test_other_forms_of_the_message_and_of_the_digest_are_named(sent: Sent) -> None:
    at, method, target = str(sent.at).encode(), sent.method.encode(), sent.target.encode()
    forms = {
        "separators": digest(at + method + target + sent.body),
        "parts-order": digest(b":".join((method, target, at, sent.body))),
        "part-missing": digest(b":".join((method, target, sent.body))),
        "no-hmac": hashlib.sha256(sent.message()).digest(),
        "secret-not-clean": digest(sent.message(), SECRET + "\n"),
        "public-key-as-secret": digest(sent.message(), PUBLIC),
    }
    assert {code: sent.told(signature).code for code, signature in forms.items()} == {
        code: code for code in forms
    }


@quick
@given(requests)
def test_other_forms_of_the_signature_are_named(sent: Sent) -> None:
    right = sent.signed_as()
    assume(any(letter in "abcdef" for letter in right.hex()))
    forms = {
        "signature-base64": base64.b64encode(right).decode(),
        "signature-upper-case": right.hex().upper(),
        "signature-prefixed": f"sha256={right.hex()}",
        "signature-length": right.hex()[:40],
        "signature-malformed": "z" + right.hex(),
    }
    found = {code: sent.told(value) for code, value in forms.items()}
    assert {code: it.code for code, it in found.items()} == {code: code for code in forms}
    assert "right otherwise" in found["signature-base64"].message


HEADERS: dict[str, tuple[str, dict[str, str | None]]] = {
    "none": ("header-missing", {"X_Signature": None}),
    "empty": ("header-empty", {"X_Timestamp": " "}),
    "basic": ("authorization-malformed", {"Authorization": "Basic abc"}),
    "secret": ("secret-sent", {"Authorization": f"Bearer {SECRET}"}),
    "float": ("time-not-an-integer", {"X_Timestamp": f"{NOW}.5"}),
    "text": ("time-not-an-integer", {"X_Timestamp": "2026-01-01T00:00:00Z"}),
    "ms": ("time-in-milliseconds", {"X_Timestamp": f"{NOW}123"}),
    "ns": ("time-in-nanoseconds", {"X_Timestamp": f"{NOW}123456789"}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_judged_before_the_signature(name: str) -> None:
    code, headers = HEADERS[name]
    assert Sent("GET", "/x", b"").told("0" * 64, **headers).code == code


def test_a_header_that_comes_twice_is_named() -> None:
    once = Sent("GET", "/x", b"").received("0" * 64)
    twice = replace(once, headers=[*once.headers, ("x-timestamp", "1")])
    assert explain(twice, SECRET, NOW).code == "header-repeated"


def test_an_unknown_key_is_named() -> None:
    assert explain(Sent("GET", "/x", b"").received("0" * 64), None, NOW).code == "key-unknown"


@given(st.integers(301, 10_000_000), st.sampled_from((1, -1)))
def test_a_time_outside_the_window_is_told_with_its_distance(drift: int, side: int) -> None:
    sent = Sent("GET", "/x", b"", NOW + drift * side)
    found = sent.told(sent.signed_as())
    assert found.code == "time-outside-window"
    assert f"{drift} seconds {'ahead' if side > 0 else 'behind'}" in found.message
    assert f"{drift - 300} more" in found.message


def test_a_secret_in_the_body_is_in_no_snippet() -> None:
    body = json.dumps({"a": 1, "key": SECRET}, separators=(",", ":")).encode()
    sent = Sent("POST", "/x", body)
    assert "unsb-sk" not in sent.told(sent.signed_as(body=b"")).message
    assert "unsb-sk" not in sent.told(sent.signed_as(body=body.replace(b":1", b": 1"))).message


def test_a_large_body_is_signed_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[int] = []

    def counted(secret: bytes, message: bytes) -> bytes:
        signed.append(len(message))
        return mistakes.hmac_sha256(secret, message)

    monkeypatch.setattr(module, "hmac_sha256", counted)
    sent = Sent("POST", "/x", b"[" + b"1," * 1_000_000 + b"1]")
    assert sent.told("0" * 64).code == "unexplained"
    assert signed
    assert sum(signed) < LARGEST_WORK * len(sent.body)


def test_every_code_has_a_rule_and_a_remedy() -> None:
    way = mistakes.Way(
        b"1", b"POST", b"/x?b=1&a=%20", b" {}\r\n", b"s", mistakes.documented, mistakes.hmac_sha256
    )
    made = {it.code for it in mistakes.variations(way, ("h",), b"p")}
    made |= {it.code for it in mistakes.variations(replace(way, body=b""), ("h",), b"p")}
    seeded = {code for code, *_ in (*SEEDED.values(), *OTHERS.values())}
    assert made | seeded == set(mistakes.RULES)


@pytest.mark.parametrize("source", [module, mistakes])
def test_it_needs_the_standard_library_alone(source: object) -> None:
    file = Path(str(getattr(source, "__file__", "")))
    imports = {
        node.module or ""
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    own = {"contract.mistakes", "contract.signing"}
    assert {name.split(".")[0] for name in imports - own} <= sys.stdlib_module_names
