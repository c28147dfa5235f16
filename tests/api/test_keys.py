import pytest

from tests.client import Client, test_account


@pytest.mark.parametrize("body", [b"", b"{}", b"[]"])
def test_a_valid_key_is_described_as_documented(client: Client, body: bytes) -> None:
    document = client.send("POST", "/keys/validate", body).json()
    assert document["valid"] is True
    assert document["public_key"] == client.account.public_key
    for name in ("rate_per_minute", "burst", "concurrency_limit"):
        assert isinstance(document[name], int)
    assert isinstance(document["tier"], str)
    assert document["expires_at"].endswith("Z")


def test_the_pairs_that_real_clients_read_are_there(client: Client) -> None:
    document = client.get("/keys/self").json()
    assert (document["status"], document["expired"]) == ("valid", False)
    assert document["concurrency"] == document["concurrency_limit"]
    assert document["rate_limit"] == document["rate_per_minute"]


@pytest.mark.parametrize(
    ("name", "status", "code", "reason"),
    [
        ("expired", 401, "KEY_EXPIRED", "expired"),
        ("suspended", 403, "ACCOUNT_SUSPENDED", "suspended"),
    ],
)
def test_a_key_that_may_not_says_why(
    client: Client, name: str, status: int, code: str, reason: str
) -> None:
    other = client.as_account(test_account(name))
    response = other.post("/keys/validate", {})
    other.close()
    document = response.json()
    assert (response.status_code, document["code"]) == (status, code)
    assert (document["valid"], document["reason"]) == (False, reason)


def test_the_free_tier_key_is_told_its_tier(client: Client) -> None:
    free = client.as_account(test_account("free"))
    assert free.get("/keys/self").json()["tier"] == "Free"
    response = free.post(
        "/execute", {"language": "bash", "code": "x", "network_mode": "semitrusted"}
    )
    free.close()
    assert (response.status_code, response.json()["code"]) == (403, "TIER_REQUIRED")


def test_the_tiny_rate_key_is_refused_after_three_requests(client: Client) -> None:
    tiny = client.as_account(test_account("tiny"))
    responses = [tiny.get("/keys/self") for _ in range(4)]
    tiny.close()
    refused = responses[-1]
    assert refused.status_code == 429
    assert refused.json()["error"] == "rate_limit_exceeded"
    assert int(refused.headers["retry-after"]) >= 1


def test_rate_headers_are_on_every_answer_to_a_known_key(client: Client) -> None:
    for path in ("/keys/self", "/jobs/nothing", "/sessions"):
        headers = client.get(path).headers
        assert int(headers["x-ratelimit-limit"]) == client.account.rate_per_minute
        assert 0 <= int(headers["x-ratelimit-remaining"]) < client.account.rate_per_minute
        assert int(headers["x-ratelimit-reset"]) > 1_700_000_000
