"""Shells as their clients see them: who may come in, what they share, how it ends."""

import base64
import gzip
import subprocess
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests import shell
from tests.client import test_account
from tests.containers import eventually
from tests.sessions.conftest import Json, Maker

DETACH = {"tmux": b"\x02d", "screen": b"\x01d"}
MULTIPLEXERS = sorted(DETACH)


def status(sessions: Maker, session: Json) -> tuple[str, str | None]:
    told = sessions.read(session)
    return told["status"], told.get("message")


def refusal(base: str, name: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and details of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refused, shell.opened(base, name, headers):
        pass
    response = refused.value.response
    return response.status_code, (response.body or b"").decode()


# --- who may come in -------------------------------------------------------------------------


def test_the_whole_id_of_a_session_is_enough(sessions: Maker) -> None:
    session = sessions()
    with shell.opened(sessions.client.base, session["id"]) as opened:
        assert b"42" in opened.answer("echo $((6 * 7))")


def test_a_container_s_name_is_enough_for_its_account_alone(sessions: Maker) -> None:
    name = sessions()["container_name"]
    base = sessions.client.base
    assert refusal(base, name)[0] == 404
    other = sessions.client.as_account(test_account("second"))
    assert refusal(base, name, other.signed("GET", f"/sessions/{name}/shell", b""))[0] == 404
    other.close()
    with shell.signed(sessions.client, name) as opened:
        assert b"42" in opened.answer("echo $((6 * 7))")


def test_a_signature_that_is_there_has_to_be_right(sessions: Maker) -> None:
    session = sessions()
    wrong = sessions.client.signed("GET", "/elsewhere", b"")
    assert refusal(sessions.client.base, session["id"], wrong)[0] == 401


def test_who_does_not_upgrade_is_told_to(sessions: Maker) -> None:
    session = sessions()
    answer = httpx.get(f"{sessions.client.base}/sessions/{session['id']}/shell")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


def test_a_frozen_session_is_not_opened(sessions: Maker) -> None:
    session = sessions(multiplexer="tmux")
    sessions.change(session, "freeze")
    code, details = refusal(sessions.client.base, session["id"])
    assert (code, "unfreeze it first" in details) == (409, True)


def test_an_unknown_session_is_not_found(sessions: Maker) -> None:
    assert refusal(sessions.client.base, "sess_" + "0" * 32)[0] == 404


# --- plain sessions --------------------------------------------------------------------------


def test_a_plain_session_ends_when_its_shell_exits(sessions: Maker) -> None:
    session = sessions()
    with sessions.shell(session) as opened:
        opened.answer("echo on")
        opened.type("echo last words; exit\r")
        assert opened.ended() == (["exit"], 1000)
        assert b"last words\r\n" in opened.shown
    eventually(lambda: status(sessions, session) == ("terminated", "Its shell has exited"))


def test_the_clients_of_a_plain_session_share_its_shell_and_the_last_one_ends_it(
    sessions: Maker,
) -> None:
    session = sessions()
    with sessions.shell(session) as one:
        one.answer("mine=shared")
        with sessions.shell(session) as two:
            assert b"so it is shared" in two.answer('echo "so it is $mine"')
            one.until("so it is shared")
        assert b"still shared" in one.answer('echo "still $mine"')
        assert status(sessions, session) == ("running", None)
    eventually(lambda: status(sessions, session) == ("terminated", "Its last client left"))


# --- multiplexed sessions --------------------------------------------------------------------


@pytest.mark.parametrize("multiplexer", MULTIPLEXERS)
def test_a_multiplexed_session_is_left_and_found_again(sessions: Maker, multiplexer: str) -> None:
    session = sessions(multiplexer=multiplexer)
    with sessions.shell(session) as opened:
        opened.answer("mine=kept")
        opened.type(DETACH[multiplexer])
        assert opened.ended() == (["detached"], 1000)
    with sessions.shell(session) as opened:
        assert b"it is kept" in opened.answer('echo "it is $mine"')
    assert status(sessions, session) == ("running", None)
    with sessions.shell(session) as opened:
        opened.answer("echo on")
        opened.type("exit\r")
        assert opened.ended() == (["exit"], 1000)
    eventually(lambda: status(sessions, session) == ("terminated", "Its shell has exited"))


@pytest.mark.parametrize("multiplexer", MULTIPLEXERS)
def test_several_clients_see_one_shell(sessions: Maker, multiplexer: str) -> None:
    session = sessions(multiplexer=multiplexer)
    with sessions.shell(session) as one, sessions.shell(session) as two:
        one.answer("mine=shared")
        assert b"so it is shared" in two.answer('echo "so it is $mine"')
        one.until("so it is shared")
        two.type(DETACH[multiplexer])
        assert two.ended() == (["detached"], 1000)
        assert b"still shared" in one.answer('echo "still $mine"')


def test_the_programs_of_clients_that_left_are_gone(sessions: Maker) -> None:
    session = sessions(multiplexer="screen")
    for _ in range(3):
        with sessions.shell(session) as opened:
            opened.answer("echo on")
    eventually(lambda: sessions.run(session, "pgrep -fc '[s]creen -U -x'; true") == "0\n")


@pytest.mark.parametrize("multiplexer", MULTIPLEXERS)
def test_clients_of_a_session_that_is_frozen_are_detached(
    sessions: Maker, multiplexer: str
) -> None:
    session = sessions(multiplexer=multiplexer)
    with sessions.shell(session) as opened:
        opened.answer("mine=kept")
        sessions.change(session, "freeze")
        assert opened.ended() == (["detached"], 1000)
    sessions.change(session, "unfreeze")
    with sessions.shell(session) as opened:
        assert b"it is kept" in opened.answer('echo "it is $mine"')


# --- ends from outside -----------------------------------------------------------------------


def test_clients_hear_that_the_time_is_over(sessions: Maker) -> None:
    session = sessions(ttl=60)
    with sessions.shell(session) as opened:
        opened.answer("echo on")
        sessions.advance(61)
        assert opened.ended() == (["exit"], 1000)
        assert b"ttl of 60 seconds was over" in opened.shown


def test_clients_hear_that_the_session_is_deleted(sessions: Maker) -> None:
    session = sessions(multiplexer="tmux")
    with sessions.shell(session) as opened:
        opened.answer("echo on")
        sessions.delete(session)
        assert opened.ended() == (["exit"], 1000)


@pytest.mark.parametrize("multiplexer", [None, "tmux"])
def test_clients_hear_that_the_container_is_lost(sessions: Maker, multiplexer: str | None) -> None:
    session = sessions(**({"multiplexer": multiplexer} if multiplexer else {}))
    emulator = sessions.server.emulator
    container = emulator.sessions.lives.find_by_id(session["id"]).record.container_id
    with sessions.shell(session) as opened:
        opened.answer("echo on")
        sessions.server.call(emulator.engine.kill(container))
        assert opened.ended() == (["error"], 1011)
        assert "went away" in opened.events[0]["message"]
        assert b"went away" in opened.shown


# --- recordings ------------------------------------------------------------------------------


def recorded(answer: Json, folder: Path) -> dict[str, Path]:
    """The files of a recording, as a client saves them."""
    files = {}
    for artifact in answer["artifacts"]:
        assert artifact["data"] == artifact["content_base64"]
        content = gzip.decompress(base64.b64decode(artifact["data"]))
        files[artifact["filename"]] = folder / artifact["filename"].removesuffix(".gz")
        files[artifact["filename"]].write_bytes(content)
    return files


@pytest.mark.parametrize("multiplexer", [None, "tmux"])
def test_an_audited_session_is_played_again(
    sessions: Maker, tmp_path: Path, multiplexer: str | None
) -> None:
    session = sessions("/sessions?audit=1", **({"multiplexer": "tmux"} if multiplexer else {}))
    shown = bytearray()
    with sessions.shell(session) as opened:
        shown += opened.answer("echo $((600 + 66)) \u00e9\u6f22")
        opened.type("exit\r")
        assert opened.ended() == (["exit"], 1000)
        shown += opened.shown
    files = recorded(sessions.delete(session, "?audit=1"), tmp_path)
    assert files.keys() == {"session.log.gz", "session.timing.gz"}
    played = subprocess.run(
        ["scriptreplay", "--maxdelay", "0", files["session.timing.gz"], files["session.log.gz"]],
        capture_output=True,
        check=True,
    )
    assert bytes(shown) in played.stdout
    assert b"666 \xc3\xa9\xe6\xbc\xa2" in played.stdout


def test_a_running_session_is_deleted_with_its_recording_and_one_that_is_not_audited_has_none(
    sessions: Maker, tmp_path: Path
) -> None:
    audited, plain = sessions("/sessions?audit=1", multiplexer="tmux"), sessions()
    with sessions.shell(audited) as opened:
        opened.answer("echo $((600 + 66))")
    files = recorded(sessions.delete(audited, "?audit=1"), tmp_path)
    assert b"666" in files["session.log.gz"].read_bytes()
    assert sessions.delete(plain, "?audit=1")["artifacts"] == []
    audit = sessions.server.emulator.settings.data_dir / "audit"
    assert not audit.exists() or list(audit.iterdir()) == []


# --- disks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("multiplexer", "becomes"), [("tmux", "frozen"), (None, "terminated")])
def test_a_session_that_writes_too_much_is_stopped_and_its_owner_told_why(
    sessions: Maker, multiplexer: str | None, becomes: str
) -> None:
    session = sessions(**({"multiplexer": multiplexer} if multiplexer else {}))
    emulator = sessions.server.emulator
    (found,) = [
        it for it in emulator.sessions.on_disk() if it.machine.name == session["container_name"]
    ]
    sessions.server.call(found.stop_for_disk("It wrote 9 MiB to its disk; it may write 8 MiB"))
    told = sessions.read(session)
    assert (told["status"], "wrote 9 MiB" in told["message"]) == (becomes, True)
