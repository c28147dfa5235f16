"""The shell's WebSocket: who may open it, what it shows and takes, and how it ends."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract import owned
from contract.api import Api
from contract.campaign import Campaign
from contract.exchange import Headers
from contract.owned import Things
from contract.shell import ENTER, PROTOCOL, Shell, handshake, opened, refused, unsigned
from contract.signing import AUTHORIZATION, SIGNATURE, TIME
from contract.things import Thing, awaited, container, new, new_name

pytestmark = pytest.mark.operations("openSessionShell")

NORMAL_CLOSURE = 1000
END_OF_FILE, DETACH, INTERRUPT = b"\x04", b"\x02d", b"\x03"
EIGHT_BIT = bytes(range(0x80, 0x100))
INTERRUPTED = """sh -c "printf 'no%s\\n' w; sleep 3"; echo sl''ept"""
"""What says `now` is in the foreground by then, as no command of the shell itself would be."""

LINES = 50_000
"""A large output is the numbers of so many lines, 340 kB."""

TYPED = b"".join(b"%07d of what a client pastes in, piece by piece\n" % it for it in range(2_000))
PIECE = 250
"""A large input is TYPED, so many bytes a message: lines end anywhere."""

SOON_SECONDS = 6
"""For what happens at once: less than checks wait for what may take its time."""

TAMPERED = {
    "another signature": (SIGNATURE, "0" * 64),
    "an unknown key": (AUTHORIZATION, "Bearer unsb-pk-0000-0000-0000-0000"),
    "an old time": (TIME, "1000000000"),
}


@pytest.fixture(scope="module")
def things(campaign: Campaign) -> Iterator[Things]:
    """Those of the main account, ended afterwards."""
    with owned.opened(campaign.api) as made:
        yield made


@pytest.fixture
def session(things: Things) -> Thing:
    """One for several checks, which outlives their clients."""
    return things.one("session")


# Who may open it


def test_a_signed_client_gets_a_shell(api: Api, session: Thing) -> None:
    with opened(api, session.id) as shell:
        assert shell.protocol == PROTOCOL
        shell.answer("echo on")


def test_a_signed_client_may_say_the_container_s_name(api: Api, session: Thing) -> None:
    with opened(api, container(session)) as shell:
        shell.answer("echo on")


def test_the_session_s_id_is_credential_enough(api: Api, session: Thing) -> None:
    with opened(api, session.id, signed=False) as shell:
        shell.answer("echo on")


def test_the_container_s_name_which_can_be_guessed_is_not(api: Api, session: Thing) -> None:
    asked = unsigned(handshake(api, container(session), probe=True))
    assert refused(api, asked).status == 404


@pytest.mark.parametrize("what", TAMPERED)
def test_a_signature_that_is_there_has_to_be_right(api: Api, session: Thing, what: str) -> None:
    request = handshake(api, session.id, probe=True)
    name, value = TAMPERED[what]
    wrong: Headers = tuple((key, value if key == name else kept) for key, kept in request.headers)
    assert refused(api, replace(request, headers=wrong)).status == 401


def test_another_account_finds_no_shell(api: Api, session: Thing) -> None:
    second = api.as_("second")
    for name in (session.id, session.read().get("container_name", session.id)):
        assert refused(second, handshake(second, name, probe=True)).status == 404


def test_what_does_not_live_has_no_shell(api: Api) -> None:
    with new(api, "session") as thing:
        thing.do("delete")
        assert refused(api, handshake(api, thing.id)).status == 404
        assert refused(api, handshake(api, f"sess_{new_name()}")).status == 404


def test_a_request_that_is_no_handshake_is_told_to_upgrade(session: Thing) -> None:
    session.call("openSessionShell", expect=426)


def test_no_sub_protocol_is_agreed_that_is_not_the_shell_s(api: Api, session: Thing) -> None:
    with opened(api, session.id, protocols=("chat", PROTOCOL)) as shell:
        assert shell.protocol == PROTOCOL
    with opened(api, session.id, protocols=()) as shell:
        assert shell.protocol is None
    with opened(api, session.id, protocols=("chat",)) as shell:
        assert shell.protocol is None


# What it shows and takes


def test_typed_bytes_are_echoed(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        typed = new_name().encode()
        shell.type(typed)
        shell.until(typed)


def test_output_comes_byte_for_byte(api: Api) -> None:
    escaped = "".join(f"\\{byte:o}" for byte in EIGHT_BIT)
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        assert EIGHT_BIT in shell.answer(f"printf '{escaped}'")


@pytest.mark.operations("executeSession")
def test_typed_bytes_arrive_as_they_are(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        _listening(shell, "cat > typed")
        shell.type(EIGHT_BIT + ENTER + END_OF_FILE)
        shell.answer("echo on")
        assert thing.content("typed") == EIGHT_BIT + b"\n"


def test_a_large_output_comes_whole_and_in_order(api: Api) -> None:
    numbers = "".join(f"{number}\r\n" for number in range(1, LINES + 1)).encode()
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        assert numbers in shell.answer(f"seq {LINES}")


@pytest.mark.operations("executeSession")
def test_a_large_input_arrives_whole_and_in_order(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        _listening(shell, "stty -echo; cat > typed; stty echo")
        for start in range(0, len(TYPED), PIECE):
            shell.type(TYPED[start : start + PIECE])
        shell.type(b"\n" + END_OF_FILE)
        shell.answer("echo on")
        assert thing.content("typed") == TYPED + b"\n"


def _listening(shell: Shell, command: str) -> None:
    """Start a command, and wait until the line editor has left the terminal to it."""
    shell.type(f"printf 'no%s\\n' w; {command}".encode() + ENTER)
    shell.until(b"now")


def test_an_interrupt_ends_what_runs(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shell.type(INTERRUPTED.encode() + ENTER)
        shell.until(b"now")
        shell.type(INTERRUPT)
        assert b"slept" not in shell.answer("echo on")


@pytest.mark.parametrize("multiplexer", [None, "tmux"])
def test_the_terminal_has_the_size_that_the_client_says(api: Api, multiplexer: str | None) -> None:
    with new(api, "session", multiplexer=multiplexer) as thing, opened(api, thing.id) as shell:
        for columns, rows in ((80, 24), (113, 37), (61, 19)):
            shell.resize(columns, rows)
            _has_size(shell, columns, rows)


def _has_size(shell: Shell, columns: int, rows: int) -> None:
    """A line of tmux is the terminal's less one: what it shows at its end takes that."""
    right = [f"{height} {columns}".encode() for height in (rows, rows - 1)]
    awaited(
        lambda: shell.answer("stty size"),
        lambda shown: any(size in shown for size in right),
        f"the terminal is not {columns} by {rows}",
        SOON_SECONDS,
    )


@pytest.mark.operations("createSession")
def test_the_shell_is_the_one_that_was_asked_for(api: Api) -> None:
    asked = {"shell": "python3", "multiplexer": None}
    with new(api, "session", **asked) as thing, opened(api, thing.id) as shell:
        shell.type(b"print(6 * 7)" + ENTER)
        shell.until(b"42", SOON_SECONDS)


@pytest.mark.parametrize("multiplexer", [None, "tmux"])
def test_all_clients_of_a_session_see_what_one_does(api: Api, multiplexer: str | None) -> None:
    with (
        new(api, "session", multiplexer=multiplexer) as thing,
        opened(api, thing.id) as one,
        opened(api, thing.id) as two,
    ):
        marker = new_name()
        assert marker.encode() in one.answer(f"printf '%s\\n' {marker}")
        two.until(marker.encode(), SOON_SECONDS)
        text = _written(two)
        assert text in one.answer("cat file")


def test_a_shell_shows_nothing_of_another_session(api: Api, session: Thing) -> None:
    marker = new_name()
    with (
        new(api, "session", multiplexer=None) as other,
        opened(api, session.id) as shell,
        opened(api, other.id) as elsewhere,
    ):
        elsewhere.answer(f"echo {marker}")
        assert marker.encode() not in shell.answer("echo on")


# How it ends


def test_the_end_of_the_shell_is_told_and_the_connection_closed(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shell.answer("echo on")
        shell.type(b"exit" + ENTER)
        assert shell.ended() == (["exit"], NORMAL_CLOSURE)


@pytest.mark.operations("deleteSession")
def test_who_is_at_a_session_that_is_deleted_is_told_its_end(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shell.answer("echo on")
        thing.do("delete")
        assert shell.ended(SOON_SECONDS) == (["exit"], NORMAL_CLOSURE)


@pytest.mark.operations("getSession")
def test_a_session_without_a_multiplexer_ends_with_its_client(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing:
        with opened(api, thing.id) as shell:
            shell.answer("echo on")
        awaited(
            lambda: _lives(thing), lambda lives: not lives, "the session lives on", SOON_SECONDS
        )


@pytest.mark.operations("getSession")
def test_a_session_with_a_multiplexer_outlives_its_client(api: Api, session: Thing) -> None:
    with opened(api, session.id) as shell:
        text = _written(shell)
    assert _lives(session)
    with opened(api, session.id) as shell:
        assert text in shell.answer("cat file")


def _written(shell: Shell) -> bytes:
    """What a shell has put into `file`; typed in parts, so that its typing does not show it."""
    one, two = new_name(), new_name()
    shell.answer(f"printf '%s' {one} + {two} > file")
    return f"{one}+{two}".encode()


def _lives(thing: Thing) -> bool:
    answer = thing.do("get", expect=(200, 404))
    return answer.status == 200 and answer.json["status"] != "terminated"


@pytest.mark.operations("getSession")
def test_a_client_that_detaches_is_told_that_the_shell_lives(api: Api, session: Thing) -> None:
    with opened(api, session.id) as shell:
        shell.answer("echo on")
        shell.type(DETACH)
        assert shell.ended() == (["detached"], NORMAL_CLOSURE)
    assert _lives(session)


@pytest.mark.operations("freezeSession", "unfreezeSession")
def test_a_frozen_session_lets_its_clients_go_and_forgets_nothing(api: Api) -> None:
    marker = new_name()
    with new(api, "session") as thing:
        with opened(api, thing.id) as shell:
            shell.answer(f"KEPT={marker}")
            thing.do("freeze")
            assert shell.ended(SOON_SECONDS) == (["detached"], NORMAL_CLOSURE)
        assert refused(api, handshake(api, thing.id)).status == 409
        thing.do("unfreeze")
        with opened(api, thing.id) as shell:
            assert f"[{marker}]".encode() in shell.answer('printf "[%s]\\n" "$KEPT"')


@pytest.mark.operations("createService")
def test_a_service_has_a_shell_too(api: Api) -> None:
    with new(api, "service") as thing, opened(api, thing.id) as shell:
        shell.answer("echo on")
