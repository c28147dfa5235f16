import base64
import io
import json
import logging
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from emulator import log
from emulator.api import table, vault
from emulator.api.call import Call
from emulator.emulator import Emulator
from emulator.errors import NotFound
from tests.client import Client, test_account
from tests.server import Server, running, settings

Json = dict[str, Any]
OPERATIONS = {
    "getServiceEnv": vault.get_service_env,
    "setServiceEnv": vault.set_service_env,
    "setServiceEnvAlias": vault.set_service_env,
    "deleteServiceEnv": vault.delete_service_env,
    "exportServiceEnv": vault.export_service_env,
}
VALUES = {"PLAIN": "one", "SPACED": "two words", "EQUALS": "a=b==", "LINES": "1\n2", "EMPTY": ""}
FILE = "# a comment\nPLAIN=one\nexport SPACED='two words'\nEQUALS=a=b==\nLINES=\"1\n2\"\nEMPTY=\n"
MEDIA = {"text": "text/plain", "json": "application/json"}


@dataclass(frozen=True)
class Named:
    id: str


SERVICES = {"app": "unsb-service-" + "1" * 32, "other": "unsb-service-" + "2" * 32}


def find(_emulator: Emulator, call: Call) -> Named:
    """Services of the default account, until there are real ones."""
    if call.account != test_account("default") or call.path["id"] not in SERVICES:
        raise NotFound("No service of this key has this id or name")
    return Named(SERVICES[call.path["id"]])


@pytest.fixture(scope="module")
def written() -> Iterator[io.StringIO]:
    """All that the emulator logs, to the last detail."""
    root, quiet = logging.getLogger(), [logging.getLogger(name) for name in log.QUIET]
    before = [(logger, logger.level) for logger in (root, *quiet)]
    handlers, error = root.handlers[:], sys.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", io.StringIO())
        log.configure("debug")
        patch.setattr(sys, "stderr", error)
        assert isinstance(root.handlers[0], logging.StreamHandler)
        yield root.handlers[0].stream
    root.handlers[:] = handlers
    for logger, level in before:
        logger.setLevel(level)


@pytest.fixture(scope="module")
def vaults(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with the operations, which this version does not have yet."""
    request.getfixturevalue("written")
    flags = {"languages": "bash", "pool_size": "0"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vault, "find_service", find)
        patch.setattr(table, "NOT_IMPLEMENTED", table.NOT_IMPLEMENTED - OPERATIONS.keys())
        for name, handler in OPERATIONS.items():
            patch.setitem(table.HANDLERS, name, handler)
        with running(settings(tmp_path_factory.mktemp("vaults"), **flags)) as server:
            yield server


@pytest.fixture
def client(vaults: Server) -> Iterator[Client]:
    made = Client(vaults.api)
    yield made
    made.send("DELETE", "/services/app/env")
    made.close()


def fill(
    client: Client, body: str | object, media: str = "text/plain", method: str = "PUT"
) -> Json:
    content = body if isinstance(body, str) else json.dumps(body)
    response = client.send(method, "/services/app/env", content.encode(), media)
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


def exported(client: Client) -> Json:
    response = client.send("POST", "/services/app/env/export")
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


def status(client: Client) -> Json:
    document: Json = client.get("/services/app/env").json()
    return document


@pytest.mark.parametrize(
    ("method", "media", "body"),
    [
        ("PUT", "text/plain", FILE),
        ("PUT", "application/json", {"content": FILE}),
        ("PUT", "application/json", {"env": VALUES}),
        ("PUT", "application/json", {"env": FILE}),
        ("PUT", "application/json", VALUES),
        ("POST", "application/json", {"env": FILE}),
        ("POST", "application/json", {"env": VALUES}),
        ("POST", "application/json", VALUES),
        ("POST", "text/plain", FILE),
        ("PUT", "application/json", FILE),
    ],
    ids=lambda it: it if isinstance(it, str) and len(it) < 20 else "-".join([*it][:1]),
)
def test_every_form_that_clients_send_fills_the_vault(
    client: Client, method: str, media: str, body: str | object
) -> None:
    told = fill(client, body, media, method)
    assert told.pop("updated_at")
    assert told == {
        "status": "updated",
        "success": True,
        "message": "Vault updated",
        "exists": True,
        "has_vault": True,
        "variable_count": 5,
        "count": 5,
    }
    text = exported(client)["env"]
    assert text == 'PLAIN=one\nSPACED=two words\nEQUALS=a=b==\nLINES="1\\n2"\nEMPTY='


def test_the_status_shows_no_values_and_the_export_all(client: Client) -> None:
    assert status(client) == {
        "exists": False,
        "has_vault": False,
        "variable_count": 0,
        "count": 0,
        "env": {},
    }
    fill(client, "A=hunter2\n")
    shown = status(client)
    assert "hunter2" not in str(shown)
    assert (shown["exists"], shown["count"], shown["env"]) == (True, 1, {})
    whole = {"env": "A=hunter2", "content": "A=hunter2"}
    assert exported(client) == whole
    assert client.get("/services/app/env?format=export").json() == whole


def test_filling_replaces_and_an_empty_file_empties(client: Client) -> None:
    fill(client, "A=1\nB=2\n")
    fill(client, "C=3\n")
    assert exported(client)["env"] == "C=3"
    assert fill(client, "# nothing\n")["exists"] is False
    assert status(client)["exists"] is False


@pytest.mark.parametrize(
    ("body", "gone", "left"),
    [
        (b"", ["A", "B"], ""),
        (b"{}", ["A", "B"], ""),
        (b"[]", ["A", "B"], ""),
        (b'{"keys":["B","Z"]}', ["B"], "A=1"),
        (b'{"keys":[]}', [], "A=1\nB=2"),
    ],
)
def test_variables_are_deleted_by_name_or_all_together(
    client: Client, body: bytes, gone: list[str], left: str
) -> None:
    fill(client, "A=1\nB=2\n")
    told = client.send("DELETE", "/services/app/env", body).json()
    assert (told["status"], told["success"], told["deleted"]) == ("deleted", True, gone)
    assert exported(client)["env"] == left


REFUSED: dict[str, tuple[str, str | object, str]] = {
    "no variable": ("text", "A=1\nhunter2\n", "line 2"),
    "a name that is none": ("text", "hunter2/+=x\n", "line 1"),
    "NUL": ("text", "A=hunter2\0\n", "line 1"),
    "a quote that does not end": ("text", "A='hunter2\n", "line 1"),
    "too many characters": ("text", "A=" + "hunter2" * 10_000, "65536 characters"),
    "too many bytes": ("text", "A=" + "hunter2☃" * 8_000, "at most 65536 bytes"),
    "too many bytes once quoted": ("text", "A='" + "\nhunter2" * 8_000 + "'", "65536 bytes"),
    "no variable in a text in JSON": ("json", {"content": "hunter2"}, "line 1"),
    "too many bytes in JSON": (
        "json",
        {f"A{n}": "hunter2" * 4_000 for n in range(3)},
        "at most 65536 bytes",
    ),
    "a name that is none, in JSON": ("json", {"env": {"hunter2/": "1"}}, "env"),
    "a value that is no text": ("json", {"env": {"A": ["hunter2"]}}, "env"),
    "a value that is no text, bare": ("json", {"A": {"hunter2": 1}}, "A"),
    "NUL in JSON": ("json", {"env": {"A": "hunter2\0"}}, "env"),
    "nothing": ("json", {}, "1 property"),
    "no object": ("json", '"hunter2"', "JSON object"),
    "no JSON": ("json", '{"A": hunter2}', "JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_vault_is_refused_without_being_quoted(client: Client, case: str) -> None:
    kind, body, told = REFUSED[case]
    fill(client, "BEFORE=1\n")
    content = body if isinstance(body, str) else json.dumps(body)
    response = client.send("PUT", "/services/app/env", content.encode(), MEDIA[kind])
    assert response.status_code == 400, response.text
    assert told in response.text
    assert "hunter2" not in response.text
    assert exported(client)["env"] == "BEFORE=1"


def test_a_large_file_is_taken_whole(client: Client) -> None:
    names = [f"NAME_{number:04}" for number in range(4_000)]
    assert fill(client, "".join(f"{name}=abc\n" for name in names))["count"] == 4_000
    assert exported(client)["env"].splitlines() == [f"{name}=abc" for name in names]


def test_nothing_of_the_emulator_s_own_environment_gets_in(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "hunter2")
    fill(client, 'A=$MINE\nB="${MINE}"\nC=${MINE:-x}\n')
    assert "hunter2" not in exported(client)["env"]


def test_another_account_s_vault_is_not_there(client: Client, vaults: Server) -> None:
    fill(client, "A=1\n")
    stranger = Client(vaults.api, test_account("second"))
    for method, path in (
        ("GET", ""),
        ("GET", "?format=export"),
        ("PUT", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("POST", "/export"),
    ):
        response = stranger.send(method, f"/services/app/env{path}", b"", "text/plain")
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    stranger.close()
    assert exported(client)["env"] == "A=1"


def test_a_strict_emulator_takes_no_file_for_json(vaults: Server, client: Client) -> None:
    object.__setattr__(vaults.emulator.settings, "strict", True)
    try:
        response = client.send("PUT", "/services/app/env", b"A=hunter2\n")
    finally:
        object.__setattr__(vaults.emulator.settings, "strict", False)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_JSON")
    assert "hunter2" not in response.text


def forms(secret: str) -> Iterator[bytes]:
    """As it may be found: plain, in the three ways that base64 can show it, as in a URL."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    for ahead in range(3):
        encoded = base64.b64encode(b"x" * ahead + secret.encode())
        yield encoded[4 : len(encoded) // 4 * 4 - 4]


def planted(name: str) -> str:
    return f"pl@nted/{name}?secret={name[::-1]}"


def everything(server: Server, log_text: str) -> Iterator[tuple[str, bytes]]:
    """What of the vaults others could come by."""
    emulator = server.emulator
    yield "the log", log_text.encode()
    yield "the journal", httpx.get(f"{server.admin}/_emulator/requests?limit=1000").content
    emulator.vaults._store._database.submit(lambda _: None, urgent=True).result(10)
    with sqlite3.connect(emulator.settings.data_dir / "emulator.sqlite3") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in Path(emulator.settings.data_dir).rglob("*"):
        if file.is_file():
            yield str(file), file.read_bytes()


def test_no_secret_is_anywhere_but_in_the_export(
    client: Client, vaults: Server, written: io.StringIO
) -> None:
    """Whichever way it came, taken or refused, at the level of the log that tells most."""
    secrets = []

    def put(name: str, body: str | object, kind: str, path: str = "app/env", **more: str) -> None:
        secrets.append(planted(name))
        content = body if isinstance(body, str) else json.dumps(body)
        answer = client.send("PUT", f"/services/{path}", content.encode(), MEDIA[kind], **more)
        assert planted(name) not in answer.text

    put("text", f"A={planted('text')}\n", "text")
    put("content", {"content": f"A={planted('content')}"}, "json")
    put("object", {"env": {"A": planted("object")}}, "json")
    put("env", {"env": f"A={planted('env')}"}, "json")
    put("flat", {"A": planted("flat")}, "json")
    put("file as json", f"A={planted('file as json')}", "json")
    put("line", f"A=1\n{planted('line')}\n", "text")
    put("type", {"A": [planted("type")]}, "json")
    put("nested", {"x": {"y": {"z": planted("nested")}}}, "json")
    put("broken", f'{{"A": {planted("broken")}', "json")
    put("nobody", {"A": planted("nobody")}, "json", "nobody/env")
    put("unsigned", {"A": planted("unsigned")}, "json", **{"X-Signature": "0"})
    put("kept", f"A='{planted('kept')}'\n", "text")
    assert planted("kept") in exported(client)["env"]
    client.send("DELETE", "/services/app/env", json.dumps({"keys": [planted("kept")]}).encode())
    secrets.append(planted("kept"))

    places = list(everything(vaults, written.getvalue()))
    assert any(b"/services/app/env 200" in content for _, content in places)
    assert any(name.endswith("emulator.sqlite3") for name, _ in places)
    found = {
        (secret, name)
        for secret in secrets
        for name, content in places
        for form in forms(secret)
        if form in content
    }
    assert found == set()
