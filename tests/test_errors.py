import inspect
import re

from emulator import errors
from emulator.errors import ApiError, InvalidSignature, InvalidTimestamp

TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ApiError) and kind is not ApiError
]


def make(kind: type[ApiError]) -> ApiError:
    return kind(
        "why", **({"allow": ["GET"]} if "allow" in inspect.signature(kind).parameters else {})
    )


def test_every_error_renders_the_documented_envelope() -> None:
    for kind in TREE:
        body = make(kind).body()
        assert {"error", "code", "details", "message"} <= set(body), kind
        assert all(isinstance(body[name], str) for name in ("error", "code", "details", "message"))
        assert re.fullmatch(r"[A-Z][A-Z_]+", str(body["code"]))


def test_the_word_that_clients_take_for_clock_drift_stands_in_one_error_only() -> None:
    for kind in TREE:
        told = "timestamp" in str(make(kind).body()).lower()
        assert told == issubclass(kind, InvalidTimestamp), kind


def test_the_drift_error_says_what_clients_scan_for() -> None:
    message = str(InvalidTimestamp("late").body()["message"])
    assert "timestamp" in message
    assert "expired" in message
    assert "invalid" in message


def test_the_signature_error_carries_the_atom_that_clients_map() -> None:
    assert InvalidSignature("why").body()["message"] == "invalid_signature"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(kind.__name__ for kind in TREE)
    for name, status in re.findall(r"── (\w+) +(\d{3})", errors.__doc__ or ""):
        assert getattr(errors, name).status == int(status), name
