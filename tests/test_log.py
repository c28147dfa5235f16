import logging

from hypothesis import given
from hypothesis import strategies as st

from emulator.log import LineFormatter, escape


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("emulator.x", logging.INFO, "f", 1, message, None, None)
    made.__dict__.update(extra)
    return made


@given(st.text())
def test_no_text_can_add_a_line_or_a_control_character(text: str) -> None:
    assert escape(text).isprintable()


def test_a_forged_line_stays_inside_its_own() -> None:
    line = LineFormatter().format(record("path /a\n2026-01-01T00:00:00Z INFO fake: \x1b[31m"))
    assert "\n" not in line
    assert "\\n2026" in line
    assert "\\x1b" in line


def test_the_request_id_stands_in_the_line() -> None:
    assert " request_id=req_1: hello" in LineFormatter().format(record("hello", request_id="req_1"))


def test_a_traceback_is_indented_and_escaped() -> None:
    try:
        raise ValueError("a\x1bb")
    except ValueError as error:
        made = record("failed", exc_info=(ValueError, error, error.__traceback__))
    lines = LineFormatter().format(made).splitlines()
    assert all(line.startswith("  ") for line in lines[1:])
    assert "a\\x1bb" in lines[-1]


def test_of_a_session_s_id_which_opens_its_shell_only_the_beginning_is_logged() -> None:
    line = LineFormatter().format(record("GET /sessions/sess_0123456789abcdef0123456789abcdef 200"))
    assert line.endswith("GET /sessions/sess_012345... 200")
