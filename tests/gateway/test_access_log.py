import pytest

from emulator.gateway.access_log import greeting, parse

REFUSED = "100::2a GET 10.0.0.1 80 403 - 68 265 1 ERR_REFUSED_ADDRESS end"


def test_a_line_tells_of_the_connection_that_was_greeted() -> None:
    assert greeting(42, 3128) == b"PROXY TCP6 100::2a ::1 1 3128\r\n"
    line = parse(REFUSED)
    assert line is not None
    assert (line.number, line.destination, line.status) == (42, "10.0.0.1:80", 403)
    assert (line.address, line.sent, line.received, line.outcome) == (None, 68, 265, "refused")


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("100::1 GET a.test 80 200 203.0.113.9 1 2 3 - end", "done"),
        ("100::1 CONNECT a.test 443 503 - 1 2 3 ERR_CONNECT_FAIL end", "failed"),
        ("100::1 - - - 0 - 0 0 3 - end", "no request"),
    ],
)
def test_how_it_ended_is_one_word(line: str, outcome: str) -> None:
    parsed = parse(line)
    assert parsed is not None
    assert parsed.outcome == outcome


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "10.0.0.9 GET a.test 80 200 - 1 2 3 - end",
        "100::1 GET a.test 80 many - 1 2 3 - end",
        "100::1 GET a.test 80 200 - 1 2 3 - end more",
    ],
)
def test_what_is_no_such_line_is_passed_over(line: str) -> None:
    assert parse(line) is None


def test_what_a_program_named_is_cut() -> None:
    line = parse(f"100::1 {'M' * 5000} {'h' * 5000} 80 200 - 1 2 3 - end")
    assert line is not None
    assert len(line.destination) + len(line.method) < 1000
