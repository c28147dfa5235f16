"""What runs create is removed again, whatever happens; and nothing else is."""

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from contract.api import Api
from contract.campaign import opened
from contract.cli import main
from contract.ledger import SUFFIX
from contract.outcomes import Limited
from contract.reins import Reins
from contract.state import directory, prefix
from contract.target import Target, resolve
from contract.wire import BrokenAnswer
from tests.contract.standin import StandIn, running

FAST = Reins(rate=6e5)
CREATES_AND_DIES = """
import os, sys
from contract.campaign import opened
from contract.target import resolve
with opened(resolve(None, sys.argv[1])) as campaign:
    made = campaign.api.call("createSession", json={"multiplexer": "tmux"}).json["id"]
    campaign.api.call("lockSession", {"id": made})
    print(made, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), 9)
    sys.stdin.read()
"""


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with running() as made:
        yield made


def create_one_of_each(api: Api) -> None:
    session = api.call("createSession", json={"multiplexer": "tmux"}).json["id"]
    name, script = f"a{secrets.token_hex(4)}", "echo on"
    service = api.call("createService", json={"name": name, "bootstrap": script}).json["id"]
    snapshot = api.call("snapshotSession", {"id": session}, json={}).json["id"]
    source = {"source_type": "snapshot", "source_id": snapshot}
    image = api.call("publishImage", json=source).json["id"]
    api.call("cloneSnapshot", {"id": snapshot}, json={"type": "service", "name": f"{name}-2"})
    api.call("spawnImage", {"id": image}, json={"name": f"{name}-3"})
    for kind, made in (("Service", service), ("Snapshot", snapshot), ("Image", image)):
        api.call(f"lock{kind}", {"id": made})


def ledgers(target: Target) -> list[Path]:
    return list(directory().glob(f"{prefix(target)}*{SUFFIX}"))


def test_all_that_a_run_created_is_removed_at_its_end_locked_or_not(standin: StandIn) -> None:
    target = resolve(None, standin.url)
    with opened(target) as campaign:
        create_one_of_each(campaign.api)
        create_one_of_each(campaign.api.as_("sudo"))
        assert len(standin.world.things) == 12
    assert standin.world.things == []
    assert ledgers(target) == []


def test_it_is_removed_when_a_check_crashes(standin: StandIn) -> None:
    class Crashed(Exception):
        pass

    def check(api: Api) -> None:
        api.call("createSession", json={})
        raise Crashed

    with pytest.raises(Crashed), opened(resolve(None, standin.url)) as campaign:
        check(campaign.api)
    assert standin.world.things == []


def test_what_a_broken_answer_created_is_in_the_ledger_before_it_is_judged(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standin.world, "container", lambda _vcpu=1: {"vcpu": "many"})
    target = resolve(None, standin.url)
    with opened(target) as campaign:
        with pytest.raises(BrokenAnswer):
            campaign.api.call("createSession", json={})
        assert standin.world.things[0].id in ledgers(target)[0].read_text()
    assert standin.world.things == []


def test_a_thing_that_changed_hands_is_removed_by_its_new_owner(standin: StandIn) -> None:
    target = resolve(None, standin.url)
    with opened(target) as campaign:
        api = campaign.api
        session = api.call("createSession", json={"multiplexer": "tmux"}).json["id"]
        snapshot = api.call("snapshotSession", {"id": session}, json={}).json["id"]
        source = {"source_type": "snapshot", "source_id": snapshot}
        image = api.call("publishImage", json=source).json["id"]
        second = target.accounts["second"].public_key
        api.call("transferImage", {"id": image}, json={"to_api_key": second})
    assert standin.world.things == []


def dead(standin: StandIn) -> str:
    """A session that a run which was killed left behind, locked; its id."""
    command = [sys.executable, "-c", CREATES_AND_DIES, standin.url, "die"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.strip()


def test_what_a_killed_run_left_is_removed_by_cleanup_and_nothing_else(
    standin: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    own = standin.world.new("session", resolve(None, standin.url).accounts["main"].public_key, {})
    left = dead(standin)
    assert {it.id for it in standin.world.things} == {own.id, left}

    assert main(["cleanup", "--url", standin.url]) == 0
    assert standin.world.things == [own]
    assert left in capsys.readouterr().out
    assert ledgers(resolve(None, standin.url)) == []
    assert main(["cleanup", "--url", standin.url]) == 0


def test_what_a_killed_run_left_is_removed_by_the_next_run(standin: StandIn) -> None:
    left = dead(standin)
    assert standin.world.things[0].id == left
    main(["run", "--url", standin.url, "--family", "limits", "--only", "answers_tell"])
    assert standin.world.things == []


def test_the_ledger_of_a_run_that_goes_on_is_left_alone(standin: StandIn) -> None:
    command = [sys.executable, "-c", CREATES_AND_DIES, standin.url, "live"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        made = process.stdout.readline().decode().strip()
        assert main(["cleanup", "--url", standin.url]) == 0
        assert [it.id for it in standin.world.things] == [made]
        process.communicate()
    assert standin.world.things == []


def test_what_cannot_be_removed_is_told_and_stays_in_the_ledger(
    standin: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    left, target = dead(standin), resolve(None, standin.url)
    file = ledgers(target)[0]
    file.write_text(file.read_text().replace('"main"', '"suspended"'))
    assert main(["cleanup", "--url", standin.url, "--ledger", str(file)]) == 1
    assert f"STILL THERE: {left}" in capsys.readouterr().out
    file.write_text(file.read_text().replace('"suspended"', '"main"'))
    assert main(["cleanup", "--url", standin.url]) == 0


def test_a_ledger_is_for_its_own_target_alone(
    standin: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    dead(standin)
    file = ledgers(resolve(None, standin.url))[0]
    with running() as other:
        assert main(["cleanup", "--url", other.url, "--ledger", str(file)]) == 2
    assert "not of" in capsys.readouterr().err
    assert main(["cleanup", "--url", standin.url]) == 0


@pytest.mark.parametrize("text", ["no ledger", '{"made": {"id": "x"}}\n', "[]\n"])
def test_a_file_that_is_no_ledger_is_refused(standin: StandIn, tmp_path: Path, text: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    assert main(["cleanup", "--url", standin.url, "--ledger", str(file)]) == 2
    assert file.read_text() == text


@contextmanager
def another(standin: StandIn) -> Iterator[str]:
    """A session of the same account that somebody else created; its id."""
    with opened(resolve(None, standin.url)) as campaign:
        yield campaign.api.call("createSession", json={"multiplexer": "tmux"}).json["id"]
        assert len(standin.world.things) == 2


def real(standin: StandIn) -> Target:
    return replace(resolve(None, standin.url), real=True)


def test_on_a_real_service_nothing_is_changed_but_what_the_run_created(standin: StandIn) -> None:
    with (
        opened(real(standin), profile="full", reins=FAST) as campaign,
        another(standin) as stranger,
    ):
        own = campaign.api.call("createSession", json={"multiplexer": "tmux"}).json["id"]
        for operation in ("deleteSession", "lockSession", "executeSession", "openSessionShell"):
            with pytest.raises(Limited, match="nothing is changed"):
                campaign.api.call(operation, {"id": stranger})
        campaign.api.call("getSession", {"id": stranger})
        campaign.api.call("lockSession", {"id": own})


def test_without_a_code_for_removing_it_no_second_thing_is_created(standin: StandIn) -> None:
    target = real(standin)
    accounts = {"main": target.accounts["sudo"]}
    target = replace(target, accounts=accounts, sudo_code=None)
    with opened(target, profile="full", reins=FAST) as campaign:
        made = campaign.api.call("createSession", json={}).json["id"]
        campaign.api.call("deleteSession", {"id": made}, expect=428)
        with pytest.raises(Limited, match="one-time code"):
            campaign.api.call("createSession", json={})


def test_a_ledger_holds_no_secret_and_is_for_its_owner_alone(standin: StandIn) -> None:
    target = resolve(None, standin.url)
    with opened(target) as campaign:
        campaign.api.call("createSession", json={})
        file = ledgers(target)[0]
        assert file.stat().st_mode & 0o077 == 0
        assert not any(it.secret_key in file.read_text() for it in target.accounts.values())
