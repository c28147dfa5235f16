"""WebSockets on their way to a handler and back, with a handler of the tests' own."""

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from emulator.accounts import DEFAULT_ACCOUNT
from emulator.api.call import Call, Upgraded
from emulator.api.table import HANDLERS
from emulator.emulator import Emulator
from emulator.errors import NotFound
from tests.client import Client, test_account
from tests.containers import eventually
from tests.server import Server

PATH = "/sessions/sess_x/shell"
PROTOCOL = Subprotocol("unsandbox-shell")
SIGNATURE_HEADERS = ("Authorization", "X-Timestamp", "X-Signature")

Serve = Callable[[WebSocket], Any]


async def talk(socket: WebSocket) -> None:
    """Accepts, and sends back what comes until the client goes."""
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
    while True:
        await socket.send_text(await socket.receive_text())


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a handler behind an operation that serves its WebSocket as it is told."""

    def put(serve: Serve, operation: str = "openSessionShell") -> None:
        async def handler(_emulator: Emulator, call: Call) -> Upgraded:
            if call.path.get("id") == "nothing":
                raise NotFound("There is no such session")

            async def telling(socket: WebSocket) -> None:
                socket.scope["state"]["sender"] = call.sender
                await serve(socket)

            return Upgraded(telling)

        monkeypatch.setitem(HANDLERS, operation, handler)

    return put


def url(server: Server, path: str = PATH) -> str:
    return server.api.replace("http:", "ws:") + path


def refused(server: Server, path: str = PATH, **headers: str) -> Response:
    with (
        pytest.raises(InvalidStatus) as refusal,
        connect(url(server, path), additional_headers=headers),
    ):
        pass
    return refusal.value.response


def signed(client: Client, path: str = PATH) -> dict[str, str]:
    return client.signed("GET", path, b"")


def headers_of(socket: ClientConnection) -> dict[str, str]:
    assert socket.response is not None
    return {name.lower(): value for name, value in socket.response.headers.raw_items()}


def journalled(admin: httpx.Client, request_id: str) -> dict[str, Any]:
    """A request's entry, which comes at its end."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        entries = admin.get("/_emulator/requests").json()["requests"]
        found[:] = [one for one in entries if one["request_id"] == request_id]
        return bool(found)

    eventually(look)
    return found[0]


def test_a_websocket_is_accepted_served_and_journalled(
    server: Server, admin: httpx.Client, handle: Callable[..., None]
) -> None:
    handle(talk)
    with connect(url(server), subprotocols=[PROTOCOL]) as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
        assert socket.subprotocol == PROTOCOL
        headers = headers_of(socket)
    assert "x-ratelimit-limit" not in headers
    entry = journalled(admin, headers["x-request-id"])
    assert (entry["status"], entry["operation"]) == (101, "openSessionShell")
    assert "account" not in entry


def test_a_handler_may_refuse_a_websocket_by_http(
    server: Server, handle: Callable[..., None]
) -> None:
    handle(talk)
    response = refused(server, "/sessions/nothing/shell")
    assert response.status_code == 404
    assert b'"NOT_FOUND"' in response.body
    assert response.headers["x-request-id"].startswith("req_")


def test_a_request_that_is_no_handshake_is_a_426(
    client: Client, server: Server, handle: Callable[..., None]
) -> None:
    handle(talk)
    for response in (httpx.get(server.api + PATH), client.get(PATH)):
        assert (response.status_code, response.json()["code"]) == (426, "UPGRADE_REQUIRED")
        assert response.headers["upgrade"] == "websocket"


def test_a_websocket_elsewhere_gets_the_operation_s_answer_over_http(server: Server) -> None:
    assert refused(server, "/health").status_code == 200
    assert refused(server, "/jobs").status_code == 401
    assert refused(server, "/nothing").status_code == 404


def test_nothing_but_what_the_contract_has_is_accepted(
    server: Server, handle: Callable[..., None]
) -> None:
    handle(talk, "getHealth")
    assert refused(server, "/health").status_code == 500


def test_a_sender_who_signs_is_known_and_counted(
    client: Client, server: Server, admin: httpx.Client, handle: Callable[..., None]
) -> None:
    senders = []

    async def note(socket: WebSocket) -> None:
        senders.append(socket.scope["state"]["sender"])
        await socket.accept()

    handle(note)
    with connect(url(server), additional_headers=signed(client)) as socket:
        headers = headers_of(socket)
    with connect(url(server)):
        pass
    assert [it and it.public_key for it in senders] == [DEFAULT_ACCOUNT.public_key, None]
    assert headers["x-ratelimit-limit"].isdigit()
    entry = journalled(admin, headers["x-request-id"])
    assert (entry["status"], entry["account"]) == (101, DEFAULT_ACCOUNT.public_key)


@pytest.mark.parametrize("name", SIGNATURE_HEADERS)
def test_any_part_of_a_signature_is_verified(
    client: Client, server: Server, handle: Callable[..., None], name: str
) -> None:
    handle(talk)
    headers = signed(client)
    wrong = {"Authorization": "Bearer unsb-pk-0000-0000-0000-0000", "X-Timestamp": "1000000000"}
    assert refused(server, **{name: headers[name]}).status_code == 401
    assert refused(server, **{**headers, name: wrong.get(name, "0" * 64)}).status_code == 401
    assert httpx.get(server.api + PATH, headers={name: headers[name]}).status_code == 401


def test_who_signs_has_a_rate_and_who_does_not_has_none(
    server: Server, handle: Callable[..., None]
) -> None:
    handle(talk)
    client = Client(server.api, test_account("tiny"))
    statuses = {client.get(PATH).status_code for _ in range(4)}
    client.close()
    assert statuses <= {426, 429}
    assert refused(server, **signed(client)).status_code == 429
    with connect(url(server)) as socket:
        socket.send("still")
        assert socket.recv() == "still"


def test_what_fails_before_it_accepts_is_a_500(server: Server, handle: Callable[..., None]) -> None:
    async def fail(_socket: WebSocket) -> None:
        raise RuntimeError("asked for by a test")

    handle(fail)
    response = refused(server)
    assert response.status_code == 500
    assert b'"INTERNAL_ERROR"' in response.body


def test_what_fails_later_closes_with_1011(server: Server, handle: Callable[..., None]) -> None:
    async def fail(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        raise RuntimeError("asked for by a test")

    handle(fail)
    with connect(url(server)) as socket:
        socket.send("go on")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011


def test_a_client_that_goes_is_nobody_s_failure(
    server: Server,
    admin: httpx.Client,
    handle: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    handle(talk)
    with connect(url(server)) as socket:
        request_id = headers_of(socket)["x-request-id"]
        socket.socket.close()
    journalled(admin, request_id)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
