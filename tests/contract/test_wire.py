"""What a server answers does not fill this machine's memory."""

from pathlib import Path

import pytest

from contract import wire
from contract.campaign import opened
from contract.outcomes import ContractBroken
from contract.target import resolve
from contract.trail import LONGEST_BODY, LONGEST_TRAIL
from contract.wire import NoAnswer
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
