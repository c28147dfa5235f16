"""`explain` says of a request in a file whether its signature is right, by its status too."""

import json
import time
from pathlib import Path

import pytest

from contract.cli import main
from contract.signing import signed_headers
from contract.target import EMULATOR, MAIN

RIGHT, WRONG, COULD_NOT_TELL = 0, 1, 2
ACCOUNT = EMULATOR.accounts[MAIN]
BODY = b'{"language":"bash","code":"echo"}'


def raw(signed: bytes = BODY, at: float | None = None) -> bytes:
    """A request as it goes over the wire, signed over another body where one is given."""
    headers = signed_headers(ACCOUNT, "POST", "/execute", signed, at or time.time())
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /execute HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + BODY


def explained(folder: Path, request: bytes, *arguments: str) -> int:
    file = folder / "request"
    file.write_bytes(request)
    return main(["explain", str(file), *arguments])


def test_a_right_signature_is_said_to_be_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explained(tmp_path, raw()) == RIGHT
    assert capsys.readouterr().out == "right: The signature is right.\n"


def test_a_wrong_one_is_told_with_its_rule_and_without_the_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explained(tmp_path, raw(signed=b""), "--json") == WRONG
    said = capsys.readouterr().out
    assert json.loads(said)["code"] == "empty-body-signed"
    assert ACCOUNT.secret_key not in said


def test_the_clock_is_now_unless_another_time_is_given(tmp_path: Path) -> None:
    old = raw(at=1_800_000_000)
    assert explained(tmp_path, old) == WRONG
    assert explained(tmp_path, old, "--at", "1800000300") == RIGHT
    assert explained(tmp_path, old, "--at", "sent") == RIGHT


@pytest.mark.parametrize("at", ["soon", "nan", "inf", "1e400"])
def test_a_time_that_is_none_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at: str
) -> None:
    assert explained(tmp_path, raw(), "--at", at) == COULD_NOT_TELL
    assert capsys.readouterr().err == (
        f"unsandbox-contract: could not tell: --at {at}: that is no time in seconds\n"
    )


@pytest.mark.parametrize(
    "request_bytes",
    [b"", b"\0", BODY, raw()[:40], raw().replace(b"Host: x", b"Host: x\r\nContent-Length: 99")],
    ids=["nothing", "NUL", "a body alone", "half a head", "half a body"],
)
def test_what_is_no_whole_request_is_not_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request_bytes: bytes
) -> None:
    assert explained(tmp_path, request_bytes) == COULD_NOT_TELL
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(tmp_path / "none")]) == COULD_NOT_TELL
    assert "could not tell" in capsys.readouterr().err
