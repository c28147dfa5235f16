"""Whatever is sent to `/execute` and `/run`: an answer, or a refusal that names a field."""

import base64
import json
import re
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.client import Client

FIELDS = (
    "language code env network_mode network ttl vcpu input_files return_artifact"
    " return_wasm_artifact body"
)
NAMES_A_FIELD = re.compile(rf"({FIELDS.replace(' ', '|')})(\..+?|\[\d+\].*?)?: ", re.DOTALL)

fuzz = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

text = st.text(max_size=20)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
names = text | st.sampled_from(
    ["a", "a/b", "../x", "/etc/passwd", "a\0b", "~", "x" * 256, "/".join("a" * 100), "code/main.sh"]
)
files = st.fixed_dictionaries(
    {
        "filename": names,
        "content": st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()) | text,
    }
)
variables = st.dictionaries(
    st.sampled_from(["A", "PATH", "HOME", "LD_PRELOAD", "BASH_ENV", "IFS", "LC_ALL", "PWD"]) | text,
    text | st.sampled_from(["", "/nonexistent", "/", ".", "/proc/self/fd"]),
    max_size=3,
)
FIELD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "env": variables,
    "ttl": st.integers(1, 5),
    "vcpu": st.integers(1, 2),
    "network_mode": st.sampled_from(["zerotrust", "semitrusted"]),
    "input_files": st.lists(files, max_size=3),
    "return_artifact": st.booleans(),
    "return_wasm_artifact": st.booleans(),
}
PROGRAMS = [
    "true",
    "exit 9",
    "kill -9 $$",
    "printf '\\xff\\0'",
    "rm -r /tmp/* 2> /dev/null",
    "((",
    "\0",
]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A request that is right but for at most one field."""
    body = {
        "language": draw(st.sampled_from(["bash", "sh"])),
        "code": draw(st.sampled_from(PROGRAMS) | text),
        **draw(st.fixed_dictionaries({}, optional=FIELD_VALUES)),
    }
    wrong = draw(st.none() | st.sampled_from(["language", "code", *FIELD_VALUES, "unknown"]))
    if wrong:
        body[wrong] = draw(junk)
    return body


def assert_answered(response: httpx.Response) -> None:
    body = response.json()
    assert response.status_code in {200, 400, 501, 503}, response.text
    assert "Traceback" not in body.get("details", "")
    if response.status_code == 200:
        assert body["status"] in ("completed", "timeout")
        return
    assert all(body[name] and isinstance(body[name], str) for name in ("error", "code", "details"))
    if body["code"] != "INVALID_JSON":
        assert NAMES_A_FIELD.match(body["details"]), response.text


@fuzz
@given(bodies())
def test_executions_with_one_wrong_field(client: Client, body: dict[str, Any]) -> None:
    assert_answered(client.post("/execute", body))


@fuzz
@given(junk | st.binary(max_size=50))
def test_bodies_that_are_no_execution(client: Client, body: object) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.send("POST", "/execute", content)
    assert response.status_code == 400, response.text
    assert_answered(response)


parameters = st.dictionaries(
    st.sampled_from(["env", "ttl", "network_mode", "return_artifact", "input_files"]),
    text.filter(str.isprintable) | variables.map(json.dumps),
    max_size=2,
)


@fuzz
@given(st.sampled_from(["#!/bin/sh\n", "#!/usr/bin/env bash\n", "#!", ""]), text, parameters)
def test_runs_with_any_code_and_any_parameters(
    client: Client, shebang: str, code: str, query: dict[str, str]
) -> None:
    path = f"/run?{urlencode(query)}" if query else "/run"
    response = client.send("POST", path, (shebang + code).encode(), "text/plain")
    assert_answered(response)


@pytest.mark.parametrize("path", ["", "/nonexistent", "/etc/passwd"])
def test_a_path_without_the_interpreter_is_an_unsuccessful_run(client: Client, path: str) -> None:
    answer = client.execute("bash", "echo hi", env={"PATH": path})
    assert (answer["success"], answer["exit_code"]) == (False, 127)
    assert answer["stderr"] == "program: No such file or directory\n"


def test_a_path_with_another_interpreter_is_an_unsuccessful_run(client: Client) -> None:
    files = [{"filename": "bash", "content": ""}]
    answer = client.execute("bash", "echo hi", env={"PATH": "/tmp/input"}, input_files=files)
    assert (answer["success"], answer["exit_code"]) == (False, 126)


def test_a_file_name_that_the_sandbox_cannot_have_is_a_400(client: Client) -> None:
    files = [
        {"filename": "fine", "content": ""},
        {"filename": "/".join("a" * 100), "content": ""},
    ]
    response = client.post("/execute", {"language": "bash", "code": "", "input_files": files})
    assert response.status_code == 400
    assert response.json()["details"] == "input_files[1].filename: File name too long"


def test_the_faults_of_a_huge_list_are_not_all_looked_for(client: Client) -> None:
    """The first tells enough; looking for the others would keep everybody waiting for a minute."""
    began = time.monotonic()
    body = {"language": "bash", "code": "", "input_files": [{}] * 1_000_000}
    response = client.post("/execute", body)
    assert (response.status_code, time.monotonic() - began < 20) == (400, True)
    assert response.json()["details"] == "input_files: value has more than 10 items"
