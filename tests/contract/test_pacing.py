"""Requests go at a rate, and pause when the server says so. Only the clock is not the real one."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from contract.exchange import Exchange, Request, Response
from contract.outcomes import Limited, SendAgain
from contract.pacing import Pacing
from contract.spec import Spec
from contract.state import Meter

LIST = Spec().operations["listJobs"]
NOON = "Tue, 24 Nov 2026 12:00:00 GMT"
NOON_SECONDS = 1795521600.0


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self, at: float = NOON_SECONDS) -> None:
        self.at = at
        self.began = at

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    @property
    def passed(self) -> float:
        return round(self.at - self.began, 3)


def paced(clock: Clock, file: Path, burst: int = 1) -> Pacing:
    return Pacing(Meter(file), 60, burst, clock.now, clock.sleep)


def answer(status: int, account: str = "main", **headers: str) -> Exchange:
    request = Request("GET", "/jobs", operation=LIST, account=account)
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Exchange(request, Response(status, named, b"{}"), NOON_SECONDS)


@pytest.mark.parametrize(
    ("burst", "requests", "seconds"), [(1, 1, 0), (1, 4, 3), (3, 3, 0), (3, 5, 2)]
)
def test_requests_go_at_the_rate_after_a_burst(
    tmp_path: Path, burst: int, requests: int, seconds: float
) -> None:
    clock = Clock()
    pacing = paced(clock, tmp_path / "pace", burst=burst)
    for _ in range(requests):
        pacing.before(answer(200).request)
    assert clock.passed == seconds


def test_two_processes_share_one_bucket(tmp_path: Path) -> None:
    clock = Clock()
    for pacing in (paced(clock, tmp_path / "pace"), paced(clock, tmp_path / "pace")) * 2:
        pacing.before(answer(200).request)
    assert clock.passed == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "30"}, 30),
        ({"Retry_After": "Tue, 24 Nov 2026 12:01:10 GMT"}, 70),
        ({"X_RateLimit_Reset": str(int(NOON_SECONDS) + 45), "Date": NOON}, 45),
        (
            {"X_RateLimit_Reset": str(int(NOON_SECONDS) - 3555), "Date": NOON.replace("12", "11")},
            45,
        ),
        ({}, 1),
        ({"Retry_After": "soon"}, 1),
    ],
)
def test_a_refused_request_is_sent_again_after_the_pause_that_was_asked_for(
    tmp_path: Path, headers: Mapping[str, str], seconds: float
) -> None:
    clock = Clock()
    pacing = paced(clock, tmp_path / "pace")
    pacing.before(answer(429).request)
    with pytest.raises(SendAgain):
        pacing.after(answer(429, **headers))
    paced(clock, tmp_path / "pace").before(answer(200).request)
    assert clock.passed == seconds


def test_all_traffic_pauses_when_the_last_request_is_used_up(tmp_path: Path) -> None:
    clock = Clock()
    pacing = paced(clock, tmp_path / "pace")
    reset = str(int(NOON_SECONDS) + 20)
    pacing.after(answer(200, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset, Date=NOON))
    pacing.before(answer(200).request)
    assert clock.passed == 20


def test_a_pause_longer_than_a_signature_holds_is_waited_for_before_the_next_is_signed(
    tmp_path: Path,
) -> None:
    clock = Clock()
    pacing = paced(clock, tmp_path / "pace")
    with pytest.raises(Limited):
        pacing.after(answer(429, Retry_After="600"))
    assert clock.passed == 400
    pacing.before(answer(200).request)
    assert clock.passed == 600


def test_nobody_waits_for_a_pause_without_end(tmp_path: Path) -> None:
    clock = Clock()
    pacing = paced(clock, tmp_path / "pace")
    with pytest.raises(Limited):
        pacing.after(answer(429, Retry_After="99999999"))
    with pytest.raises(Limited, match="asked for a pause"):
        pacing.before(answer(200).request)
    assert clock.passed <= 900


@pytest.mark.parametrize("account", ["rate", "slot"])
def test_accounts_that_are_there_to_be_refused_hold_nobody_up(tmp_path: Path, account: str) -> None:
    clock = Clock()
    pacing = paced(clock, tmp_path / "pace")
    pacing.after(answer(429, account, Retry_After="30"))
    pacing.before(answer(200).request)
    assert clock.passed == 0


def test_a_clock_that_was_set_back_holds_nobody_up(tmp_path: Path) -> None:
    clock = Clock(NOON_SECONDS + 9999)
    paced(clock, tmp_path / "pace").before(answer(200).request)
    earlier = Clock()
    paced(earlier, tmp_path / "pace").before(answer(200).request)
    assert earlier.passed <= 2


def test_a_file_that_a_crash_cut_short_starts_anew(tmp_path: Path) -> None:
    file = tmp_path / "pace"
    file.write_text('{"due": 17')
    clock = Clock()
    paced(clock, file).before(answer(200).request)
    assert clock.passed == 0
