"""What authenticates is in nothing that a run writes, however it was written."""

import base64
import html
import json
import pprint
from urllib.parse import quote_plus

import pytest

from contract.redact import HIDDEN, WRONG_CODE, Redactor
from contract.signing import Credentials, signed_headers

SECRET = 'unsb-sk-a/b+c "d" é-12345-67890'
CODE = "424242"
KEYS = Credentials("unsb-pk-test-0000-0000-0001", SECRET)
SIGNED = signed_headers(KEYS, "POST", "/execute", b"{}", 1_700_000_000)
LIVE = SIGNED["X-Signature"]
CLEAN = Redactor([SECRET, CODE])

WAYS = {
    "as it is": SECRET,
    "in JSON": json.dumps({"key": SECRET}),
    "in JSON in JSON": json.dumps({"body": json.dumps({"key": SECRET})}, ensure_ascii=False),
    "in Python": repr({"key": SECRET}),
    "in Python's bytes": repr(SECRET.encode()),
    "in a URL": "/x?key=" + quote_plus(SECRET),
    "in HTML": html.escape(SECRET),
    "in hexadecimal digits": SECRET.encode().hex(),
    "in capitals": SECRET.upper(),
    "abridged by pytest": f"assert {SECRET[:12]}...{SECRET[-9:]}",
    "in local variables": f"secret_key = {SECRET!r}\ncredentials = ('pk', {SECRET!r})",
    "one after the other": SECRET + SECRET,
}


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS)
def test_a_secret_is_hidden(text: str) -> None:
    clean = CLEAN.text(text)
    assert HIDDEN in clean
    assert "12345" not in clean
    assert "67890" not in clean


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_hidden_in_base64_wherever_it_begins(before: int, encode: object) -> None:
    assert callable(encode)
    text = encode(b"user"[:before] + SECRET.encode() + b": and more").decode()
    left = CLEAN.text(text).replace(HIDDEN, "")
    assert HIDDEN in CLEAN.text(text)
    assert len(left) < len(text) - len(SECRET)


def test_a_live_signature_is_hidden_in_every_notation() -> None:
    curl = " ".join(f"-H '{name}: {value}'" for name, value in SIGNED.items())
    texts = [
        curl,
        json.dumps({"message": curl}),
        json.dumps(list(SIGNED.items())),
        repr(tuple(SIGNED.items())),
        repr([(name.encode(), value.encode()) for name, value in SIGNED.items()]),
        pprint.pformat(SIGNED, width=20),
        html.escape(repr(SIGNED)),
        f"Falsifying example: test_it(\n    signature={LIVE!r},\n)",
        f"\\x0a{LIVE}",
        LIVE.upper(),
    ]
    for text in texts:
        assert LIVE not in CLEAN.text(text).lower(), text


def test_a_signature_that_is_no_hexadecimal_digits_is_hidden_in_its_header() -> None:
    odd = base64.b64encode(bytes.fromhex(LIVE)).decode()
    for text in (f"X-Signature: {odd}", f"('X-Signature', '{odd}')", f'x_signature="{odd}"'):
        assert odd[:20] not in CLEAN.text(text), text
    assert CLEAN.value({"request_headers": [["x-signature", odd]]}) == {
        "request_headers": [["x-signature", HIDDEN]]
    }


def test_one_time_codes_are_hidden_and_a_wrong_one_is_known_as_that() -> None:
    assert CODE not in CLEAN.text(f"curl -H 'X-Sudo-OTP: {CODE}' ; sent {CODE}")
    assert CLEAN.value(["X-Sudo-OTP", CODE]) == ["X-Sudo-OTP", HIDDEN]
    assert CLEAN.value(["X-Sudo-OTP", "000000"]) == ["X-Sudo-OTP", WRONG_CODE]


def test_cookies_are_hidden_whole() -> None:
    clean = CLEAN.text("Set-Cookie: a=first; b=second; Path=/\nNext: line")
    assert "first" not in clean
    assert "second" not in clean
    assert "Next: line" in clean


def test_what_is_no_secret_stays() -> None:
    text = 'getJob 200: /status: "gone" is not one of "pending" (unsb-pk-test-0000-0000-0001)'
    assert CLEAN.text(text) == text
