import json
from urllib.parse import quote

import pytest

from tests.client import Client

PYTHON = b"#!/usr/bin/env python3\nprint('Hello from shebang!')"


def test_raw_code_runs_in_the_language_of_its_shebang(client: Client) -> None:
    response = client.send("POST", "/run", PYTHON, "text/plain")
    answer = response.json()
    assert response.status_code == 200
    assert answer["stdout"] == "Hello from shebang!\n"
    assert (answer["language"], answer["detected_language"]) == ("python", "python")


def test_a_compiler_does_not_see_the_shebang_and_counts_lines_as_before(client: Client) -> None:
    code = b"#!/usr/bin/tcc -run\nint main(void) { return __LINE__; }"
    answer = client.send("POST", "/run", code, "text/plain").json()
    assert (answer["detected_language"], answer["exit_code"]) == ("c", 2)


def test_the_documented_sample_posts_the_code_as_json(client: Client) -> None:
    answer = client.post("/run", {"code": PYTHON.decode()}).json()
    assert (answer["stdout"], answer["detected_language"]) == ("Hello from shebang!\n", "python")


@pytest.mark.parametrize("media_type", ["text/plain; charset=utf-8", "text/x-python", ""])
def test_any_other_content_type_is_read_as_code(client: Client, media_type: str) -> None:
    response = client.send("POST", "/run", PYTHON, media_type)
    assert response.json()["stdout"] == "Hello from shebang!\n"


def test_fields_come_as_query_parameters(client: Client) -> None:
    env = quote(json.dumps({"WHO": "wörld & co"}))
    path = f"/run?env={env}&ttl=1&network_mode=zerotrust&return_artifact=true"
    code = b'#!/bin/bash\necho "$WHO"; echo x > /tmp/artifacts/x; sleep 9'
    answer = client.send("POST", path, code, "text/plain").json()
    assert answer["stdout"] == "wörld & co\n"
    assert answer["status"] == "timeout"
    assert [artifact["filename"] for artifact in answer["artifacts"]] == ["x"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("ttl=0", "ttl: "),
        ("ttl=abc", "ttl: "),
        ("ttl=", "ttl: "),
        ("env=5", "env: "),
        ("env={", "env: "),
        ("env=%7B%22A%22%3A1%7D", "env.A: "),
        ("network_mode=none", "network_mode: "),
        ("return_artifact=perhaps", "return_artifact: "),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(client: Client, query: str, told: str) -> None:
    response = client.send("POST", f"/run?{query}", PYTHON, "text/plain")
    assert response.status_code == 400
    assert response.json()["details"].startswith(told), response.text


@pytest.mark.parametrize(
    "code", [b"", b"print(1)", b"#!/usr/bin/env klingon\nx", b"#!", b"\n#!/bin/sh"]
)
def test_code_without_a_known_shebang_is_a_400(client: Client, code: bytes) -> None:
    response = client.send("POST", "/run", code, "text/plain")
    assert (response.status_code, response.json()["code"]) == (400, "UNKNOWN_LANGUAGE")


def test_a_language_that_cannot_run_here_is_a_503_with_the_reason(client: Client) -> None:
    response = client.send("POST", "/run", b"#!/usr/bin/env julia\nprintln(42)", "text/plain")
    assert (response.status_code, response.json()["code"]) == (503, "RUNTIME_UNAVAILABLE")


def test_an_unknown_interpreter_is_told_with_those_that_are_near(client: Client) -> None:
    details = client.send("POST", "/run", b"#!/usr/bin/env pyton3\nx", "text/plain").json()[
        "details"
    ]
    assert details.startswith("code: the first line must be a shebang")
    assert "did you mean python" in details
    assert "GET /languages" in details


def test_code_that_is_no_utf8_is_a_400(client: Client) -> None:
    response = client.send("POST", "/run", b"#!/bin/sh\necho \xff", "text/plain")
    assert response.status_code == 400
    assert "UTF-8" in response.json()["details"]
