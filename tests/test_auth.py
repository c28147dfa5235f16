from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from emulator.accounts import DEFAULT_ACCOUNT, TEST_ACCOUNTS, Account
from emulator.auth import DRIFT_SECONDS, Authenticator, SignedRequest, sign
from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.store.accounts import AccountStore
from emulator.store.database import Database
from emulator.store.secrets import SecretBox

BODY = b'{"language":"python","code":"print(1)"}'


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountStore]:
    directory: Path = tmp_path_factory.mktemp("accounts")
    with Database(directory) as database:
        store = AccountStore(database, SecretBox(b"k" * 32), TEST_ACCOUNTS.values())
        yield store
        store.close()


@pytest.fixture
def compat(accounts: AccountStore) -> Authenticator:
    return Authenticator(accounts, Clock(), strict=False)


@pytest.fixture
def strict(accounts: AccountStore) -> Authenticator:
    return Authenticator(accounts, Clock(), strict=True)


def request(
    method: str = "POST", path: bytes = b"/execute", query: bytes = b"", body: bytes = BODY
) -> SignedRequest:
    return SignedRequest(method, path, query, body)


def headers(
    signed: str, at: int | str | None = None, account: Account = DEFAULT_ACCOUNT
) -> Headers:
    """Headers over `METHOD path body`, given as one text, as a client would sign them."""
    method, path, body = signed.split(" ", 2)
    moment = int(Clock().time()) if at is None else at
    return Headers(
        {
            "Authorization": f"Bearer {account.public_key}",
            "X-Timestamp": str(moment),
            "X-Signature": sign(account.secret_key, moment, method, path, body.encode()),
        }
    )


SIGNED = f"POST /execute {BODY.decode()}"


def refusal(authenticator: Authenticator, given: Headers, what: SignedRequest) -> ApiError:
    with pytest.raises(ApiError) as caught:
        authenticator.verify(given, what)
    return caught.value


def test_the_documented_signature_is_accepted_in_every_mode(
    compat: Authenticator, strict: Authenticator
) -> None:
    for authenticator in (compat, strict):
        verified = authenticator.verify(headers(SIGNED), request())
        assert verified.account is DEFAULT_ACCOUNT
        assert verified.note is None


def test_the_documentation_example_has_the_signature_that_openssl_computes() -> None:
    body = b"""{"language":"python","code":"print('hi')"}"""
    assert sign(DEFAULT_ACCOUNT.secret_key, 1699564800, "POST", "/execute", body) == (
        "5a48d1545fc97154ac0083a88284189c9210c66c0e3783468ff40fc2099f0451"
    )


@pytest.mark.parametrize("path", ["/jobs?limit=5", "/jobs"])
def test_the_path_may_be_signed_with_or_without_its_query(strict: Authenticator, path: str) -> None:
    what = request("GET", b"/jobs", b"limit=5", b"")
    assert strict.verify(headers(f"GET {path} "), what).note is None


@pytest.mark.parametrize(
    "signed",
    [
        f"PUT /execute {BODY.decode()}",
        f"POST /run {BODY.decode()}",
        f"POST /execute {BODY.decode()} ",
        f"post /execute {BODY.decode()}",
        f"POST /execute/ {BODY.decode()}",
        "POST /execute ",
    ],
)
def test_a_signature_over_anything_else_is_refused(compat: Authenticator, signed: str) -> None:
    error = refusal(compat, headers(signed), request())
    assert (error.status, error.code) == (401, "INVALID_SIGNATURE")
    assert "timestamp" not in str(error.body()).lower()


def test_every_byte_of_the_signature_counts(compat: Authenticator) -> None:
    good = dict(headers(SIGNED))
    signature = good["x-signature"]
    for at in (0, 31, 63):
        changed = "0" if signature[at] != "0" else "1"
        bad = Headers({**good, "x-signature": signature[:at] + changed + signature[at + 1 :]})
        assert refusal(compat, bad, request()).code == "INVALID_SIGNATURE"
    upper = Headers({**good, "x-signature": signature.upper()})
    assert refusal(compat, upper, request()).code == "INVALID_SIGNATURE"


@pytest.mark.parametrize("missing", ["authorization", "x-timestamp", "x-signature"])
def test_a_missing_header_is_told_without_the_drift_word(
    compat: Authenticator, missing: str
) -> None:
    given = Headers({k: v for k, v in headers(SIGNED).items() if k != missing})
    error = refusal(compat, given, request())
    assert error.status == 401
    assert "timestamp" not in str(error.body()).lower()


def test_a_header_that_stands_twice_is_refused(compat: Authenticator) -> None:
    raw = [*headers(SIGNED).raw, (b"x-signature", b"0" * 64)]
    assert refusal(compat, Headers(raw=raw), request()).code == "INVALID_SIGNATURE"


def test_an_unknown_key_is_told_as_the_documentation_does(compat: Authenticator) -> None:
    stranger = Account("unsb-pk-none-none-none-none", "unsb-sk-aaaaa-aaaaa-aaaaa-aaaaa")
    error = refusal(compat, headers(SIGNED, account=stranger), request())
    body = error.body()
    assert (error.status, body["error"], body["code"], body["details"]) == (
        401,
        "Invalid API key",
        "INVALID_KEY",
        "The provided public key does not exist",
    )
    assert (body["valid"], body["reason"]) == (False, "invalid_key")


@pytest.mark.parametrize("side", [-1, 1])
def test_drift_is_tolerated_up_to_five_minutes(compat: Authenticator, side: int) -> None:
    now = int(Clock().time())
    inside = headers(SIGNED, now + side * (DRIFT_SECONDS - 5))
    assert compat.verify(inside, request()).account is DEFAULT_ACCOUNT
    outside = refusal(compat, headers(SIGNED, now + side * (DRIFT_SECONDS + 5)), request())
    assert outside.code == "INVALID_TIMESTAMP"
    assert "timestamp" in str(outside.body()["message"])


@pytest.mark.parametrize("at", ["", "now", "1.5", "-5", " 1", "9" * 20, "١٢٣"])
def test_a_time_that_is_no_unix_second_is_refused(compat: Authenticator, at: str) -> None:
    good = dict(headers(SIGNED))
    raw = [(k.encode(), v.encode()) for k, v in {**good, "x-timestamp": at}.items()]
    assert refusal(compat, Headers(raw=raw), request()).code == "INVALID_TIMESTAMP"


def test_a_repeat_inside_the_window_is_accepted(compat: Authenticator) -> None:
    given = headers(SIGNED)
    for _ in range(3):
        compat.verify(given, request())


IMPRECISE = [
    pytest.param("POST", b"/x", b"{}", "POST /x ", id="an empty object is sent, nothing signed"),
    pytest.param("POST", b"/x", b"[]", "POST /x ", id="an empty array is sent, nothing signed"),
    pytest.param("POST", b"/x", b"", "POST /x {}", id="nothing is sent, an empty object signed"),
    pytest.param("DELETE", b"/x", b'{"a":1}', "DELETE /x ", id="a DELETE's body is not signed"),
    pytest.param(
        "POST",
        b"/x",
        rb'{"code":"a\nb\tc\\d"}',
        'POST /x {"code":"a\nb\tc\\d"}',
        id="dash's echo expanded the escapes before signing",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "signed"), IMPRECISE)
def test_what_real_clients_sign_imprecisely_is_overlooked_and_noted(
    compat: Authenticator, method: str, path: bytes, body: bytes, signed: str
) -> None:
    verified = compat.verify(headers(signed), request(method, path, b"", body))
    assert verified.note is not None
    assert verified.note.startswith("compat: ")


@pytest.mark.parametrize(("method", "path", "body", "signed"), IMPRECISE)
def test_strict_mode_overlooks_nothing(
    strict: Authenticator, method: str, path: bytes, body: bytes, signed: str
) -> None:
    error = refusal(strict, headers(signed), request(method, path, b"", body))
    assert error.code == "INVALID_SIGNATURE"


def test_suspended_and_expired_keys_say_so(compat: Authenticator) -> None:
    by_name = {key.split(":")[0]: account for key, account in TEST_ACCOUNTS.items()}
    suspended = refusal(compat, headers(SIGNED, account=by_name["suspended"]), request())
    assert (suspended.status, suspended.body()["error"]) == (403, "Account suspended")
    expired = refusal(compat, headers(SIGNED, account=by_name["expired"]), request())
    assert (expired.status, expired.body()["reason"]) == (401, "expired")
    assert expired.body()["expired_at_datetime"] == "2025-01-01T00:00:00Z"
