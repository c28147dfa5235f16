"""What the contract says of requests, by requests of which it is known."""

import json

import pytest

from contract.api import JSON
from contract.exchange import Request
from contract.spec import Spec
from contract.validity import Judge, Verdict

VALID, INVALID, OPEN = Verdict.VALID, Verdict.INVALID, Verdict.OPEN
PROGRAM = {"language": "bash", "code": "true"}
SHEBANG = b"#!/bin/bash\ntrue"
FILE = {"filename": "a.txt", "content": "YQ=="}

JUDGEMENTS: dict[str, tuple[str, str, bytes | object, str | None, Verdict]] = {
    "the least": ("execute", "/execute", PROGRAM, JSON, VALID),
    "unknown members": ("execute", "/execute", PROGRAM | {"x": 1}, JSON, VALID),
    "at the bound": ("execute", "/execute", PROGRAM | {"ttl": 900}, JSON, VALID),
    "a file": ("execute", "/execute", PROGRAM | {"input_files": [FILE]}, JSON, VALID),
    "beyond the bound": ("execute", "/execute", PROGRAM | {"ttl": 901}, JSON, INVALID),
    "nothing, which is {}": ("execute", "/execute", b"", JSON, INVALID),
    "no JSON": ("execute", "/execute", b"{", JSON, INVALID),
    "not UTF-8": ("execute", "/execute", b'{"language":"\xff"}', JSON, INVALID),
    "NaN": ("execute", "/execute", b'{"ttl":NaN}', JSON, INVALID),
    "another media type": ("execute", "/execute", PROGRAM, "text/plain", OPEN),
    "a null member": ("execute", "/execute", PROGRAM | {"env": None}, JSON, OPEN),
    "a null member, and a fault": ("execute", "/execute", {"code": "", "env": None}, JSON, INVALID),
    "a file twice": ("execute", "/execute", PROGRAM | {"input_files": [FILE] * 2}, JSON, OPEN),
    "a member twice": ("execute", "/execute", b'{"ttl":1,"ttl":901}', JSON, OPEN),
    "a byte order mark": ("execute", "/execute", b"\xef\xbb\xbf{}", JSON, OPEN),
    "very deep": ("execute", "/execute", b'{"x":' + b"[" * 9999 + b"]" * 9999 + b"}", JSON, OPEN),
    "a very long number": ("execute", "/execute", b'{"x":' + b"1" * 9999 + b"}", JSON, OPEN),
    "what looks like half of one": (
        "execute",
        "/execute",
        PROGRAM | {"code": r"\ud800"},
        JSON,
        VALID,
    ),
    "half a character": ("execute", "/execute", PROGRAM | {"code": "\ud800"}, JSON, OPEN),
    "a whole one": ("execute", "/execute", PROGRAM | {"code": "\U0001f600"}, JSON, VALID),
    "nothing, which may be": ("validateKey", "/keys/validate", b"", JSON, VALID),
    "a query": ("run", "/run?ttl=5&env=%7B%22A%22%3A%221%22%7D", SHEBANG, "text/plain", VALID),
    "no language": ("run", "/run", b"true", "text/plain", OPEN),
    "a word for a number": ("run", "/run?ttl=soon", SHEBANG, "text/plain", INVALID),
    "a number twice": ("run", "/run?ttl=1&ttl=2", SHEBANG, "text/plain", OPEN),
    "text for an object": ("run", "/run?env=x", SHEBANG, "text/plain", INVALID),
    "a member twice in a query": (
        *("run", "/run?env=%7B%22A%22%3A%221%22%2C%22A%22%3A%222%22%7D", SHEBANG, "text/plain"),
        OPEN,
    ),
    "a vault": ("setServiceEnv", "/services/a/env", b"# c\nA=b=c # d\n", "text/plain", VALID),
    "a vault with quotes": ("setServiceEnv", "/services/a/env", b"A='\n", "text/plain", OPEN),
    "nothing, of any kind": ("setServiceEnv", "/services/a/env", b"", None, OPEN),
    "a vault in JSON": ("setServiceEnv", "/services/a/env", {"env": {"A": "'"}}, JSON, VALID),
    "a file in JSON": ("setServiceEnv", "/services/a/env", {"content": "A=1\n"}, JSON, VALID),
    "no file in JSON": ("setServiceEnv", "/services/a/env", {"content": "A"}, JSON, OPEN),
    "a bare vault": ("setServiceEnv", "/services/a/env", {"A": "1", "env": "b"}, JSON, VALID),
    "a large vault": ("setServiceEnv", "/services/a/env", {"A": "☃" * 22_000}, JSON, OPEN),
    "no vault": ("setServiceEnv", "/services/a/env", {"A": 1}, JSON, INVALID),
    "an empty vault": ("setServiceEnv", "/services/a/env", {}, JSON, INVALID),
    "a long id": ("getJob", f"/jobs/{'a' * 129}", b"", None, INVALID),
    "a choice": ("listJobs", "/jobs?format=array&limit=1000", b"", None, VALID),
    "no choice": ("listJobs", "/jobs?format=list", b"", None, INVALID),
}


@pytest.fixture(scope="module")
def spec() -> Spec:
    return Spec()


@pytest.mark.parametrize("name", JUDGEMENTS)
def test_a_request_is_judged_as_the_contract_says(spec: Spec, name: str) -> None:
    operation_id, target, body, media_type, verdict = JUDGEMENTS[name]
    operation = spec.operations[operation_id]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (("Content-Type", media_type),) if media_type else ()
    judgement = Judge(spec).judge(
        operation, Request(operation.method, target, headers, raw, operation)
    )
    assert judgement.verdict is verdict, (judgement.faults, judgement.open)


def test_every_example_of_the_contract_is_valid(spec: Spec) -> None:
    judge = Judge(spec)
    for operation in spec.operations.values():
        content = operation.document.get("requestBody", {}).get("content", {})
        for media_type, described in content.items():
            for example in described.get("examples", {}).values():
                value = example["value"]
                raw = json.dumps(value) if media_type == JSON else value
                request = Request(
                    operation.method,
                    operation.target(dict.fromkeys(operation.path_parameters, "x")),
                    (("Content-Type", media_type),),
                    raw.encode(),
                    operation,
                )
                judgement = judge.judge(operation, request)
                assert judgement.verdict is Verdict.VALID, (operation.id, judgement)
