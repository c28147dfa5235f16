"""The shell's WebSocket: who may open it, what it shows and takes, and how it ends."""

from dataclasses import replace

import pytest

from contract.api import Api
from contract.exchange import Headers
from contract.shell import ENTER, PROTOCOL, Shell, handshake, opened, refused
from contract.signing import AUTHORIZATION, SIGNATURE, TIME
from contract.things import Thing, awaited, new, new_name

pytestmark = pytest.mark.operations("openSessionShell")

NORMAL_CLOSURE = 1000
END_OF_FILE, DETACH = b"\x04", b"\x02d"
LARGE = 300_000
EIGHT_BIT = bytes(range(0x80, 0x100))

TAMPERED = {
    "another signature": (SIGNATURE, "0" * 64),
    "an unknown key": (AUTHORIZATION, "Bearer unsb-pk-0000-0000-0000-0000"),
    "an old time": (TIME, "1000000000"),
}


def test_a_signed_client_gets_a_shell(api: Api) -> None:
    with new(api, "session") as thing, opened(api, thing.id) as shell:
        assert shell.protocol == PROTOCOL
        assert b"on!" in shell.answer("printf 'on%s\\n' '!'")


def test_the_session_s_id_is_credential_enough(api: Api) -> None:
    with new(api, "session") as thing, opened(api, thing.id, signed=False) as shell:
        assert b"on!" in shell.answer("printf 'on%s\\n' '!'")


@pytest.mark.parametrize("what", TAMPERED)
def test_a_signature_that_is_there_has_to_be_right(api: Api, what: str) -> None:
    with new(api, "session") as thing:
        request = handshake(api, thing.id, probe=True)
        name, value = TAMPERED[what]
        wrong: Headers = tuple(
            (key, value if key == name else kept) for key, kept in request.headers
        )
        assert refused(api, replace(request, headers=wrong)).status == 401


def test_another_account_finds_no_shell(api: Api) -> None:
    second = api.as_("second")
    with new(api, "session") as thing:
        assert refused(second, handshake(second, thing.id, probe=True)).status == 404


def test_what_does_not_live_has_no_shell(api: Api) -> None:
    with new(api, "session") as thing:
        thing.do("delete")
        assert refused(api, handshake(api, thing.id)).status == 404
        assert refused(api, handshake(api, f"sess_{new_name()}")).status == 404


@pytest.mark.operations("freezeSession", "unfreezeSession")
def test_a_frozen_session_opens_no_shell(api: Api) -> None:
    with new(api, "session") as thing:
        thing.do("freeze")
        assert refused(api, handshake(api, thing.id)).status == 409
        thing.do("unfreeze")
        with opened(api, thing.id) as shell:
            shell.answer("echo on")


def test_a_request_that_is_no_handshake_is_told_to_upgrade(api: Api) -> None:
    with new(api, "session") as thing:
        thing.call("openSessionShell", expect=426)


def test_no_sub_protocol_is_agreed_that_is_not_the_shell_s(api: Api) -> None:
    with new(api, "session") as thing:
        with opened(api, thing.id, protocols=("chat", PROTOCOL)) as shell:
            assert shell.protocol == PROTOCOL
        with opened(api, thing.id, protocols=()) as shell:
            assert shell.protocol is None
        with opened(api, thing.id, protocols=("chat",)) as shell:
            assert shell.protocol is None


def test_typed_bytes_are_echoed(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        typed = new_name().encode()
        shell.type(typed)
        shell.until(typed)


def test_output_comes_byte_for_byte(api: Api) -> None:
    escaped = "".join(f"\\{byte:o}" for byte in EIGHT_BIT)
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shell.type(f"printf '{escaped}'".encode() + ENTER)
        shell.until(EIGHT_BIT)


@pytest.mark.operations("executeSession")
def test_typed_bytes_arrive_as_they_are(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shell.type(b"printf 'no%s\\n' w; cat > typed" + ENTER)
        shell.until(b"now")  # the line editor has left the terminal to the command
        shell.type(EIGHT_BIT + ENTER + END_OF_FILE)
        shell.answer("echo on")
        assert thing.content("typed") == EIGHT_BIT + b"\n"


def test_a_large_output_comes_whole(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shown = shell.answer(f"head -c {LARGE} /dev/zero | tr '\\0' '\\121'")
        assert shown.count(b"Q") == LARGE


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
    )


def test_the_end_of_the_shell_is_told_and_the_connection_closed(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing, opened(api, thing.id) as shell:
        shell.answer("echo on")
        shell.type(b"exit" + ENTER)
        assert shell.ended() == (["exit"], NORMAL_CLOSURE)


@pytest.mark.operations("getSession")
def test_a_session_without_a_multiplexer_ends_with_its_client(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing:
        with opened(api, thing.id) as shell:
            shell.answer("echo on")
        awaited(lambda: _lives(thing), lambda lives: not lives, "the session lives on")


@pytest.mark.operations("getSession")
def test_a_session_with_a_multiplexer_outlives_its_client(api: Api) -> None:
    with new(api, "session") as thing:
        with opened(api, thing.id) as shell:
            text = _written(shell)
        assert _lives(thing)
        with opened(api, thing.id) as shell:
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
def test_a_client_that_detaches_is_told_that_the_shell_lives(api: Api) -> None:
    with new(api, "session") as thing:
        with opened(api, thing.id) as shell:
            shell.answer("echo on")
            shell.type(DETACH)
            assert shell.ended() == (["detached"], NORMAL_CLOSURE)
        assert _lives(thing)


def test_two_clients_share_a_session(api: Api) -> None:
    with new(api, "session") as thing, opened(api, thing.id) as one, opened(api, thing.id) as two:
        text = _written(one)
        assert text in two.answer("cat file")
        assert b"still on" in one.answer("printf 'still %s\\n' on")


def test_a_shell_shows_nothing_of_another_session(api: Api) -> None:
    marker = new_name()
    with (
        new(api, "session") as mine,
        new(api, "session") as other,
        opened(api, mine.id) as shell,
        opened(api, other.id) as elsewhere,
    ):
        elsewhere.answer(f"echo {marker}")
        assert marker.encode() not in shell.answer("echo on")


def test_a_service_has_a_shell_too(api: Api) -> None:
    with new(api, "service") as thing, opened(api, thing.id) as shell:
        assert b"on!" in shell.answer("printf 'on%s\\n' '!'")
