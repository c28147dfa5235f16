"""What a server answers, or does not, fills neither this machine's memory nor a day."""

from pathlib import Path

import pytest

from contract import wire
from contract.campaign import opened
from contract.cli import main
from contract.outcomes import ContractBroken
from contract.stream import followed
from contract.target import resolve
from contract.trail import LONGEST_BODY, LONGEST_TRAIL
from contract.wire import BrokenAnswer, NoAnswer
from tests.contract.hanging import hanging
from tests.contract.standin import running


def test_a_check_with_many_exchanges_keeps_the_latest_ones_in_part(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    with running() as standin, opened(resolve(None, standin.url), evidence=log) as campaign:
        for _ in range(LONGEST_TRAIL + 20):
            campaign.api.call("getHealth")
        with pytest.raises(ContractBroken):
            campaign.api.call("getOpenapi", expect=404)
        assert len(campaign.wire.trail) == LONGEST_TRAIL
        assert max(len(it.response.body) for it in campaign.wire.trail) <= LONGEST_BODY + 1
    assert '"count": 120' in log.read_text()


def test_an_answer_without_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_BODY", 5)
    with (
        running() as standin,
        opened(resolve(None, standin.url)) as campaign,
        pytest.raises(NoAnswer, match="more than 5 bytes"),
    ):
        campaign.api.call("getHealth")


def test_a_server_that_hangs_is_asked_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "TIMEOUT_SECONDS", 0.4)
    monkeypatch.setattr(wire, "IMPATIENT_SECONDS", 0.05)
    with hanging() as (url, came), opened(resolve(None, url)) as campaign:
        for _ in range(wire.GIVEN_UP):
            with pytest.raises(NoAnswer, match="Timeout"):
                campaign.api.call("getHealth")
        with pytest.raises(NoAnswer, match="it was not sent"):
            campaign.api.call("getHealth")
        assert len(came) == wire.GIVEN_UP


def test_a_run_against_a_server_that_hangs_could_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wire, "TIMEOUT_SECONDS", 0.2)
    with hanging() as (url, came):
        assert main(["run", "--url", url]) == 2
        assert len(came) == 1
    assert "nothing answers" in capsys.readouterr().err


def test_a_refusal_of_a_log_stream_without_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_BODY", 5)
    endless = b"HTTP/1.1 403 No\r\nContent-Type: application/json\r\n\r\n" + b"1" * 99
    with hanging(b"/", endless) as (url, _), opened(resolve(None, url)) as campaign:
        request = campaign.api.signed(campaign.spec.operations["streamPaasLogs"])
        with pytest.raises(NoAnswer, match="more than 5 bytes"), followed(campaign.wire, request):
            pass


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b"[" * 300 + b"]" * 300,
        b'{"a":NaN}',
        b'{"status":"\\ud800"}',
        "{}".encode("utf-16"),
    ],
)
def test_json_that_is_none_or_an_attack_breaks_the_contract(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with (
        hanging(b"/", head % len(body) + body) as (url, _),
        opened(resolve(None, url)) as campaign,
        pytest.raises(BrokenAnswer),
    ):
        campaign.api.call("getHealth")
