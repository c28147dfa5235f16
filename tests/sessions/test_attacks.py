"""What root in a session, other accounts, strangers and web pages try, and what comes of it."""

import base64
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from emulator.sandbox.engine import EngineError
from emulator.sessions import command, doors, lives
from emulator.sessions.disk import MEASURE_SECONDS
from tests.client import test_account
from tests.containers import eventually
from tests.hostile import AS_ROOT, ON_THE_AGENT, PRIVILEGES, ROOT_S_OWN, attempts
from tests.sessions.conftest import Json, Maker

REFUSALS = {"EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT", "EINVAL"}
BOMB = "b() { b | b & }; b\r"
HOLD_TERMINALS = """
import os, time
try:
    while True:
        os.openpty()
except OSError as error:
    print(error.strerror, flush=True)
    open("full", "x").close()
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _nothing_is_left(sessions: Maker, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After an attack its account has all slots and all memory again, and no error was logged."""
    yield
    for session_id in sessions.made:
        sessions.client.send("DELETE", f"/sessions/{session_id}")
    emulator = sessions.server.emulator
    budget = emulator.sessions.promises._budget
    assert emulator.slots.taken(sessions.client.account) == 0
    assert budget._free == budget.total
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def shell_refused(sessions: Maker, session: Json) -> int:
    """The status of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refusal, sessions.shell(session):
        pass
    return refusal.value.response.status_code


def status(sessions: Maker, session: Json, change: str) -> int:
    return sessions.client.post(f"/sessions/{session['id']}/{change}", {}).status_code


def command_status(sessions: Maker, session: Json) -> int:
    path = f"/sessions/{session['id']}/execute"
    return sessions.client.post(path, {"command": "true"}).status_code


def part(sessions: Maker, session: Json) -> Any:  # noqa: ANN401 - for what cannot be seen from outside
    return sessions.server.emulator.sessions.lives.find_by_id(session["id"])


# --- from inside, as root ----------------------------------------------------------------------


def test_root_in_a_session_has_rights_over_its_own_alone(sessions: Maker) -> None:
    session, tried = sessions(), {**PRIVILEGES, **ON_THE_AGENT, **AS_ROOT}
    program = base64.b64encode(attempts(tried).encode()).decode()
    told = sessions.run(session, f"base64 -d <<< {program} > a.c; gcc -w -o a a.c && ./a")
    results = dict(line.rsplit(": ", 1) for line in told.splitlines())
    assert results.keys() == tried.keys()
    assert {name for name in tried if results[name] not in REFUSALS} <= {*ROOT_S_OWN}
    assert sessions.run(session, "echo the agent lives") == "the agent lives\n"


def test_what_all_sandboxes_share_cannot_be_written(sessions: Maker) -> None:
    told = sessions.run(
        sessions(),
        "for file in /proc/sysrq-trigger /proc/irq/default_smp_affinity /.unsandbox/agent"
        " $(find /proc/sys /sys -type f | head -2000); do"
        " { : >> $file; } 2> /dev/null && echo $file; done; true",
    )
    assert told == ""


def test_a_session_cannot_take_the_terminals_of_others(sessions: Maker) -> None:
    greedy, other = sessions(), sessions()
    wait = "until [ -e full ]; do sleep 0.05; done; cat told"
    told = sessions.run(greedy, f"python3 -c '{HOLD_TERMINALS}' > told & {wait}")
    assert told == "No space left on device\n"
    assert shell_refused(sessions, greedy) == 500
    with sessions.shell(other) as opened:
        assert b"/dev/pts/0" in opened.answer("tty")


def test_a_fork_bomb_holds_up_nobody(sessions: Maker) -> None:
    session, other = sessions(multiplexer="tmux"), sessions()
    with sessions.shell(session) as opened:
        opened.type(BOMB)
        eventually(lambda: command_status(sessions, session) == 500)
        assert sessions.run(other, "echo fine") == "fine\n"
        sessions.change(session, "freeze")
        assert opened.ended() == (["detached"], 1000)
    for change in ("unfreeze", "boost", "unboost", "freeze", "unfreeze"):
        sessions.change(session, change)
    assert sessions.delete(session)["status"] == "terminated"


def test_a_multiplexer_that_stands_still_holds_up_nobody(
    sessions: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HANG_UP_SECONDS", 0.2)
    session = sessions(multiplexer="tmux")
    with sessions.shell(session) as opened:
        opened.answer("echo on")
        sessions.run(session, "pkill -STOP tmux; true")
        sessions.change(session, "freeze")
        assert opened.ended() == (["detached"], 1000)
    sessions.change(session, "unfreeze")


def test_a_multiplexer_that_cannot_be_asked_is_not_taken_for_dead(
    sessions: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session may be why: what the kernel counts of root is root's in all of them."""
    monkeypatch.setattr(doors, "END_SECONDS", 0.2)
    session = sessions(multiplexer="tmux")
    sessions.run(session, "cp /bin/false t; mv t /usr/bin/tmux")
    with sessions.shell(session) as opened:
        assert opened.ended() == (["detached"], 1000)
    assert sessions.read(session)["status"] == "running"


def test_a_session_that_destroyed_its_programs_is_ended_like_any_other(sessions: Maker) -> None:
    session = sessions(multiplexer="tmux")
    sessions.run(session, "rm -rf /etc /run /usr/bin /usr/sbin")
    assert shell_refused(sessions, session) == 500
    assert command_status(sessions, session) == 500
    assert sessions.change(session, "freeze")["status"] == "frozen"
    assert sessions.change(session, "unfreeze")["status"] == "running"
    assert sessions.delete(session)["status"] == "terminated"


def test_files_that_the_host_keeps_for_a_container_are_no_place_to_write_much(
    sessions: Maker,
) -> None:
    """The engine mounts them, and does not count them."""
    modest, greedy = sessions(multiplexer="tmux"), sessions(multiplexer="tmux")
    sessions.run(modest, "echo 127.0.0.1 mine >> /etc/hosts")
    sessions.run(greedy, "head -c 100000 /dev/zero >> /etc/hosts")
    sessions.advance(MEASURE_SECONDS)
    eventually(lambda: sessions.read(greedy)["status"] == "frozen")
    assert "/etc" in sessions.read(greedy)["message"]
    assert sessions.read(modest)["status"] == "running"


# --- containers and an engine that do not do their part ------------------------------------------


def test_a_container_that_stands_still_is_not_waited_for(
    sessions: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "START_SECONDS", 0.3)
    session, engine = sessions(multiplexer="tmux", ttl=600), sessions.server.emulator.engine
    sessions.server.call(engine.pause(part(sessions, session).record.container_id))
    assert shell_refused(sessions, session) == 500
    assert status(sessions, session, "lock") == 200
    sessions.advance(601)
    eventually(lambda: sessions.read(session)["status"] == "terminated")


def test_a_freeze_whose_answer_is_lost_is_none(
    sessions: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engine = sessions(multiplexer="tmux"), sessions.server.emulator.engine
    pause = engine.pause

    async def lose_the_answer(container_id: str) -> None:
        await pause(container_id)
        raise EngineError("the answer was lost")

    monkeypatch.setattr(engine, "pause", lose_the_answer)
    assert status(sessions, session, "freeze") == 500
    assert sessions.run(session, "echo it goes on") == "it goes on\n"


CALLS = {"freeze": "pause", "unfreeze": "unpause", "boost": "resize"}
"""What each change asks of the engine."""


@contextmanager
def held_up(sessions: Maker, call: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The engine does what it is asked to, but its answer waits from the first event to the second.

    The answers to all others come meanwhile.
    """
    engine, loop = sessions.server.emulator.engine, sessions.server.loop
    real, asked, answers = getattr(engine, call), threading.Event(), threading.Event()

    async def slowly(*args: object) -> object:
        result = await real(*args)
        asked.set()
        await loop.run_in_executor(None, answers.wait)
        return result

    setattr(engine, call, slowly)
    try:
        yield asked, answers
    finally:
        answers.set()
        delattr(engine, call)


@pytest.mark.parametrize("end", ["deleted", "over"])
@pytest.mark.parametrize("change", CALLS)
def test_what_ends_while_it_is_changed_gives_back_once_what_it_had(
    sessions: Maker, change: str, end: str
) -> None:
    sessions()
    session = sessions(multiplexer="tmux", ttl=600)
    if change == "unfreeze":
        sessions.change(session, "freeze")
    with held_up(sessions, CALLS[change]) as (asked, answers), ThreadPoolExecutor() as threads:
        changing = threads.submit(status, sessions, session, change)
        assert asked.wait(10)
        if end == "deleted":
            sessions.delete(session)
        else:
            sessions.advance(601)
            eventually(lambda: sessions.read(session)["status"] == "terminated")
        answers.set()
        assert changing.result() == 404
    assert sessions.server.emulator.slots.taken(sessions.client.account) == 1


def test_who_comes_in_while_it_ends_is_told_so(sessions: Maker) -> None:
    session = sessions(multiplexer="tmux")
    with held_up(sessions, "pause") as (asked, answers), ThreadPoolExecutor() as threads:
        freezing = threads.submit(status, sessions, session, "freeze")
        assert asked.wait(10)
        coming = threads.submit(shell_refused, sessions, session)
        eventually(lambda: part(sessions, session).visitors == 1)
        sessions.delete(session)
        answers.set()
        assert (freezing.result(), coming.result()) == (404, 404)


# --- from outside -------------------------------------------------------------------------------


def handshake(sessions: Maker, session: Json, **headers: str) -> tuple[socket.socket, int]:
    """What a browser or anybody else may send to a session's shell; the answer's status."""
    address = urlsplit(sessions.client.base)
    connection = socket.create_connection((str(address.hostname), address.port or 0), 10)
    lines = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection.sendall(f"GET /sessions/{session['id']}/shell HTTP/1.1\r\n{head}\r\n".encode())
    return connection, int(connection.recv(4096).split()[1])


FOREIGN = {
    "a name that leads here": ({"Host": "evil.example"}, 421),
    "a page elsewhere": ({"Origin": "https://evil.example"}, 403),
    "a page whose name begins as ours": ({"Origin": "http://localhost.evil.example"}, 403),
    "a page without an origin": ({"Origin": "null"}, 403),
    "a page that was rebound": ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
}


def test_web_pages_of_others_open_no_shell(sessions: Maker) -> None:
    session = sessions()
    for what, (headers, answer) in FOREIGN.items():
        connection, told = handshake(sessions, session, **headers)
        connection.close()
        assert (what, told) == (what, answer)
    assert part(sessions, session).record.opened is False


def test_a_key_that_is_not_good_opens_no_shell_though_the_id_alone_would(sessions: Maker) -> None:
    session = sessions()
    for key, answer in (("suspended", 403), ("expired", 401), ("free", 403), ("second", 404)):
        other = sessions.client.as_account(test_account(key))
        signed = other.signed("GET", f"/sessions/{session['id']}/shell", b"")
        other.close()
        connection, told = handshake(sessions, session, **signed)
        connection.close()
        assert (key, told) == (key, answer)
    assert part(sessions, session).record.opened is False


def _frame(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


FRAMES = {
    "no mask": _frame(Opcode.BINARY, b"x", mask=False),
    "an unknown kind": b"\x83\x80\0\0\0\0",
    "reserved bits": b"\xf2\x80\0\0\0\0",
    "a ping in pieces": b"\x09\x81\0\0\0\0x",
    "2 ** 62 bytes to come": b"\x82\xff" + (1 << 62).to_bytes(8, "big") + bytes(4),
    "100 MiB of text": b"\x81\xff" + (100 << 20).to_bytes(8, "big") + bytes(4) + b"x" * (1 << 20),
    "the end of what did not begin": _frame(Opcode.CONT, b"x"),
    "text within a message": _frame(Opcode.BINARY, b"x", fin=False) + _frame(Opcode.TEXT, b"x"),
    "text that is none": _frame(Opcode.TEXT, b"\xff"),
    "a close of one byte": _frame(Opcode.CLOSE, b"x"),
    "a close with a code that is none": _frame(Opcode.CLOSE, (1005).to_bytes(2, "big")),
    "a close with a reason that is none": _frame(Opcode.CLOSE, b"\x03\xe8\xff"),
    "half a frame": b"\x82\x8a\0\0",
    "very many pieces of nothing": _frame(Opcode.BINARY, b"", fin=False)
    + _frame(Opcode.CONT, b"", fin=False) * 20_000,
    "very deep JSON": _frame(Opcode.TEXT, b"[" * 100_000),
    "a very large size": _frame(Opcode.TEXT, b'{"type":"resize","cols":' + b"9" * 999 + b"}"),
    "an end that is not the client's to tell": _frame(Opcode.TEXT, b'{"type":"exit"}'),
    "sizes without end": _frame(Opcode.TEXT, b'{"type":"resize","cols":1,"rows":1}') * 2000,
    "another protocol": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "noise": bytes(range(256)) * 64,
}


def test_what_clients_send_harms_no_session(sessions: Maker) -> None:
    session = sessions(multiplexer="tmux")
    for frames in FRAMES.values():
        connection, told = handshake(sessions, session)
        assert told == 101
        connection.setblocking(False)
        connection.send(frames)
        connection.close()
    eventually(lambda: part(sessions, session).visitors == 0)
    with sessions.shell(session) as opened:
        assert b"42" in opened.answer("echo $((6 * 7))")
    assert sessions.run(session, "ls /dev/pts") == "0\nptmx\n"


def test_clients_of_a_session_are_bounded(sessions: Maker) -> None:
    session = sessions()
    with ExitStack() as clients:
        for _ in range(doors.CLIENTS_MOST):
            opened = clients.enter_context(sessions.shell(session))
        assert shell_refused(sessions, session) == 409
        opened.connection.close()
        eventually(lambda: part(sessions, session).visitors < doors.CLIENTS_MOST)
        clients.enter_context(sessions.shell(session))


def test_commands_of_an_account_are_bounded(sessions: Maker) -> None:
    """What they write is kept until they end; which is not so when their sender has gone."""
    session, flood = sessions(), {"command": "head -c 1000000 /dev/zero; exec sleep 60"}
    path = f"/sessions/{session['id']}/execute"
    with ExitStack() as waiting:
        for _ in range(command.COMMANDS_MOST):
            waiting.enter_context(sessions.client.waiting(path, flood))
        running = sessions.server.emulator.sessions.commands._running
        eventually(lambda: running[sessions.client.account.public_key] == command.COMMANDS_MOST)
        assert command_status(sessions, session) == 429
    eventually(lambda: command_status(sessions, session) == 200)
    eventually(lambda: sessions.run(session, "pgrep -c sleep") == "0\n")


def test_recordings_of_sessions_that_ended_do_not_fill_the_disk(
    sessions: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "RECORDED_MOST", 1)
    ended = []
    for _ in range(3):
        session = sessions("/sessions?audit=1")
        with sessions.shell(session) as opened:
            opened.answer("echo on")
        eventually(lambda: sessions.client.get("/sessions").json()["count"] == 0)
        ended.append(session["id"])
    sessions("/sessions?audit=1")
    found = [sessions.client.get(f"/sessions/{it}").status_code for it in ended]
    assert found == [404, 404, 200]
    kept = sessions.server.emulator.settings.data_dir / "audit"
    assert [folder.name for folder in kept.iterdir()] == ended[-1:]
