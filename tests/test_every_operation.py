"""What every operation answers alike, whatever it does."""

import http.client
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.api.dispatch import MAX_BODY
from emulator.api.table import HANDLERS
from emulator.paths import SPEC
from emulator.spec import Operation, Signature, Spec
from tests.client import Client, test_account
from tests.openapi.inventory import UNPROVIDED
from tests.server import Server, running, settings

SPECIFICATION = Spec(SPEC)
OPERATIONS = [
    operation
    for operation in SPECIFICATION.operations.values()
    if operation.id in HANDLERS.keys() - UNPROVIDED
]


def each(status: int) -> pytest.MarkDecorator:
    """Every operation whose contract has this answer."""
    having = [operation for operation in OPERATIONS if str(status) in operation.responses]
    return pytest.mark.parametrize("operation", having, ids=lambda operation: operation.id)


def path(operation: Operation) -> str:
    return re.sub(r"\{.*?\}", "nothing", operation.path)


def send(server: Server, operation: Operation, **headers: str) -> httpx.Response:
    return httpx.request(operation.method, server.api + path(operation), headers=headers)


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)


@each(421)
def test_a_foreign_host_is_a_421(server: Server, operation: Operation) -> None:
    assert_refused(send(server, operation, Host="evil.example"), 421, "MISDIRECTED_REQUEST")


@each(403)
def test_a_foreign_page_is_a_403(server: Server, operation: Operation) -> None:
    assert_refused(send(server, operation, Origin="https://evil.example"), 403, "FOREIGN_ORIGIN")


@each(401)
def test_an_unsigned_request_is_a_401(server: Server, operation: Operation) -> None:
    """Where a signature may be absent, half of one may not."""
    half = {"X-Signature": "0"} if operation.signature is Signature.OPTIONAL else {}
    assert_refused(send(server, operation, **half), 401, "INVALID_SIGNATURE")


@each(413)
def test_a_body_over_the_limit_is_a_413_before_it_is_sent(
    server: Server, operation: Operation
) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.api).netloc, timeout=30)
    connection.putrequest(operation.method, path(operation))
    connection.putheader("Content-Length", str(MAX_BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@each(429)
def test_a_rate_that_is_used_up_is_a_429(server: Server, operation: Operation) -> None:
    client = Client(server.api, test_account("tiny"))
    responses = (client.send(operation.method, path(operation)) for _ in range(4))
    assert_refused(next(one for one in responses if one.status_code == 429), 429, "RATE_LIMITED")
    client.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    flags = {"strict": "true", "languages": "bash", "pool_size": "0"}
    with running(settings(tmp_path_factory.mktemp("strict"), **flags)) as server:
        client = Client(server.api)
        yield client
        client.close()


@each(415)
def test_another_media_type_is_a_415_where_nothing_is_overlooked(
    strict: Client, operation: Operation
) -> None:
    response = strict.send(operation.method, path(operation), b"<x/>", "application/xml")
    assert_refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


TAKE_JSON = [operation for operation in OPERATIONS if "application/json" in operation.bodies]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"])
@pytest.mark.parametrize("operation", TAKE_JSON, ids=lambda operation: operation.id)
def test_a_body_that_is_no_json_object_is_a_400(
    client: Client, operation: Operation, content: bytes
) -> None:
    response = client.send(operation.method, path(operation), content)
    assert response.status_code == 400
    assert "JSON" in response.json()["details"]


@pytest.mark.parametrize(
    "operation", [it for it in OPERATIONS if it.paid], ids=lambda operation: operation.id
)
def test_what_the_free_tier_lacks_is_a_403(server: Server, operation: Operation) -> None:
    client = Client(server.api, test_account("free"))
    assert_refused(client.send(operation.method, path(operation)), 403, "TIER_REQUIRED")
    client.close()


def example(operation: Operation) -> bytes:
    """The first body that the contract shows for an operation; empty where it takes none."""
    source = SPECIFICATION.document["paths"][operation.path][operation.method.lower()]
    for media, content in source.get("requestBody", {}).get("content", {}).items():
        value = next(iter(content["examples"].values()))["value"]
        return json.dumps(value).encode() if media == "application/json" else value.encode()
    return b""


def send_example(client: Client, operation: Operation) -> httpx.Response:
    media = next(iter(operation.bodies), "application/json")
    return client.send(operation.method, path(operation), example(operation), media)


@pytest.mark.parametrize(
    "operation",
    [it for it in OPERATIONS if "{id}" in it.path],
    ids=lambda operation: operation.id,
)
def test_what_is_not_there_is_a_404(client: Client, operation: Operation) -> None:
    response = send_example(client, operation)
    assert response.status_code == 404
    assert response.json()["code"] in ("NOT_FOUND", "JOB_NOT_FOUND")


@pytest.mark.parametrize(
    "operation",
    [it for it in OPERATIONS if "503" in it.responses],
    ids=lambda operation: operation.id,
)
def test_what_needs_a_sandbox_is_a_503_until_there_are_some(
    client: Client, server: Server, operation: Operation
) -> None:
    server.emulator.readiness.block("test", "the test is not done")
    try:
        assert_refused(send_example(client, operation), 503, "UNAVAILABLE")
    finally:
        server.emulator.readiness.clear("test")
