"""Sessions by the API: what they are made of, who finds them, what changes them, how they end."""

import base64
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from emulator.stop import Stop
from tests.client import Client, test_account
from tests.containers import containers, eventually
from tests.server import Server, running, settings

Json = dict[str, Any]
GIB = 1 << 30
PYTHON = {"shell": "python3"}
CHANGES = ("freeze", "unfreeze", "boost", "unboost", "lock", "unlock", "sleep", "wake")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own, whose clock can be advanced."""
    flags = {"languages": "bash", "pool_size": "1"}
    with running(settings(tmp_path_factory.mktemp("sessions"), **flags)) as made:
        yield made


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """One that keeps the emulator's time."""
    made = Client(server.api)
    made.clock = server.emulator.clock.time
    yield made
    made.close()


Make = Callable[..., Json]


@pytest.fixture
def make(client: Client) -> Iterator[Make]:
    """Makes sessions, which are gone after the test."""
    made: list[str] = []

    def create(path: str = "/sessions", **fields: object) -> Json:
        response = client.post(path, fields)
        assert response.status_code == 200, response.text
        made.append(response.json()["id"])
        return response.json()  # type: ignore[no-any-return]

    yield create
    for session_id in made:
        client.post(f"/sessions/{session_id}/unlock", {})
        client.send("DELETE", f"/sessions/{session_id}")


def read(client: Client, session: Json) -> Json:
    response = client.get(f"/sessions/{session['id']}")
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


def run(client: Client, session: Json, command: str) -> Json:
    response = client.post(f"/sessions/{session['id']}/execute", {"command": command})
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


def change(client: Client, session: Json, what: str, **fields: object) -> Json:
    response = client.post(f"/sessions/{session['id']}/{what}", fields)
    assert response.status_code == 200, response.text
    document: Json = response.json()
    return document


def refused(client: Client, session: Json, what: str, **fields: object) -> tuple[int, str]:
    """Status and details of an answer that is no success."""
    response = client.post(f"/sessions/{session['id']}/{what}", fields)
    assert response.status_code >= 400, response.text
    return response.status_code, response.json()["details"]


def ids(server: Server) -> set[str]:
    return {str(one.id) for one in containers(server, everything=True)}


def advance(server: Server, seconds: float) -> None:
    async def move() -> None:
        server.emulator.clock.advance(seconds)

    server.call(move())


# --- made ------------------------------------------------------------------------------------


def test_a_session_tells_all_that_clients_read(make: Make, server: Server) -> None:
    session = make(ttl=600, **PYTHON)
    host = server.api.removeprefix("http://")
    assert session == {
        "id": session["session_id"],
        "session_id": session["id"],
        "container_name": session["container_name"],
        "status": "running",
        "shell": "python3",
        "network_mode": "zerotrust",
        "vcpu": 1,
        "memory_mb": 2048,
        "boosted": False,
        "locked": False,
        "ttl": 600,
        "remaining_ttl": 600,
        "websocket_url": f"ws://{host}/sessions/{session['id']}/shell",
        "created_at": session["created_at"],
        "expires_at": session["expires_at"],
    }
    assert session["container_name"].startswith("unsb-vm-")


def test_without_fields_a_session_is_bash_for_an_hour(make: Make) -> None:
    session = make()
    assert (session["shell"], session["ttl"], session["vcpu"]) == ("bash", 3600, 1)


def test_a_list_is_flat_counted_and_without_times(make: Make, client: Client) -> None:
    made = [make()["id"], make(multiplexer="tmux")["id"]]
    listed = client.get("/sessions").json()
    assert [item["id"] for item in listed["sessions"]] == made
    assert listed["count"] == 2
    for item in listed["sessions"]:
        assert not any(isinstance(value, list | dict) for value in item.values())
        assert not {"created_at", "expires_at"} & item.keys()


def test_who_knows_us_by_the_cloud_s_name_gets_the_cloud_s_url(make: Make, client: Client) -> None:
    session = make()
    path = f"/sessions/{session['id']}"
    answer = client.send("GET", path, Host="api.unsandbox.com").json()
    assert answer["websocket_url"] == f"wss://api.unsandbox.com{path}/shell"


def test_input_files_lie_in_the_working_directory(make: Make, client: Client) -> None:
    content = base64.b64encode(b"some\n").decode()
    session = make(input_files=[{"filename": "data/a.txt", "content": content}])
    assert run(client, session, "pwd; cat data/a.txt /tmp/data/a.txt")["stdout"] == (
        "/tmp/input\nsome\nsome\n"
    )


def test_its_user_is_root_and_its_host_name_is_the_container_s(make: Make, client: Client) -> None:
    session = make()
    told = run(client, session, "id -un; hostname; touch /etc/mine && echo written")["stdout"]
    assert told.split() == ["root", session["container_name"], "written"]


def test_a_name_that_is_no_shell_is_told_with_what_there_is(client: Client) -> None:
    response = client.post("/sessions", {"shell": "basj"})
    assert response.status_code == 400
    assert "GET /shells" in response.json()["details"]


def test_the_free_tier_has_no_sessions(client: Client) -> None:
    with closing(client.as_account(test_account("free"))) as free:
        response = free.post("/sessions", {})
    assert (response.status_code, response.json()["code"]) == (403, "TIER_REQUIRED")


def test_a_sender_that_hangs_up_leaves_no_session(client: Client, server: Server) -> None:
    slots, promises = server.emulator.slots, server.emulator.sessions.promises
    all_of_it = server.call(promises.make(10_000, "somebody", Stop()))
    with client.waiting("/sessions", {}):
        eventually(lambda: slots.taken(client.account) == 1)
    eventually(lambda: slots.taken(client.account) == 0)
    server.call(all_of_it.aclose())
    assert client.get("/sessions").json()["count"] == 0


# --- found -----------------------------------------------------------------------------------


def test_a_session_is_found_by_its_container_s_name(make: Make, client: Client) -> None:
    session = make()
    assert client.get(f"/sessions/{session['container_name']}").json()["id"] == session["id"]


def test_another_account_finds_nothing(make: Make, client: Client) -> None:
    session = make(multiplexer="tmux")
    with closing(client.as_account(test_account("second"))) as other:
        for name in (session["id"], session["container_name"]):
            assert other.get(f"/sessions/{name}").status_code == 404
            assert other.send("DELETE", f"/sessions/{name}").status_code == 404
            for what in (
                "freeze",
                "unfreeze",
                "boost",
                "unboost",
                "lock",
                "unlock",
                "sleep",
                "wake",
            ):
                assert refused(other, {"id": name}, what)[0] == 404
            for what in ("execute", "shell"):
                assert refused(other, {"id": name}, what, command="id")[0] == 404
        assert other.get("/sessions").json() == {"sessions": [], "count": 0}
    assert read(client, session)["status"] == "running"


# --- commands --------------------------------------------------------------------------------


def test_a_command_tells_its_output_and_its_exit_code(make: Make, client: Client) -> None:
    ran = run(client, make(), "echo out; echo err >&2; exit 3")
    assert (ran["stdout"], ran["output"], ran["stderr"]) == ("out\n", "out\n", "err\n")
    assert (ran["exit_code"], ran["success"], ran["status"]) == (3, False, "completed")


def test_what_a_command_leaves_behind_is_there_for_the_next(make: Make, client: Client) -> None:
    session = make()
    run(client, session, "echo kept > file; sleep 1000 & disown")
    assert run(client, session, "cat file; pgrep -c sleep")["stdout"] == "kept\n1\n"


def test_the_path_of_the_shell_runs_commands_too(make: Make, client: Client) -> None:
    response = client.post(f"/sessions/{make()['id']}/shell", {"command": "echo $((6 * 7))"})
    assert response.json()["stdout"] == "42\n"


def test_a_command_ends_with_its_sender(make: Make, client: Client) -> None:
    session = make()
    with client.waiting(f"/sessions/{session['id']}/execute", {"command": "exec sleep 1000"}):
        eventually(lambda: run(client, session, "pgrep -c sleep")["stdout"] == "1\n")
    eventually(lambda: run(client, session, "pgrep -c sleep")["stdout"] == "0\n")


# --- frozen ----------------------------------------------------------------------------------


@pytest.mark.parametrize("multiplexer", ["tmux", "screen"])
def test_a_frozen_session_stands_still_and_goes_on(
    make: Make, client: Client, multiplexer: str
) -> None:
    session = make(multiplexer=multiplexer)
    run(client, session, "(while sleep 0.01; do echo >> ticks; done) & disown; sleep 0.1")
    assert change(client, session, "freeze")["status"] == "frozen"
    assert read(client, session)["status"] == "frozen"
    thawed = change(client, session, "unfreeze")
    assert thawed["status"] == "running"
    assert thawed["unfreeze_time_ms"] >= 0
    assert int(run(client, session, "wc -l < ticks")["stdout"]) > 0


def test_sleep_and_wake_are_freeze_and_unfreeze(make: Make, client: Client) -> None:
    session = make(multiplexer="tmux")
    assert change(client, session, "sleep")["status"] == "frozen"
    assert change(client, session, "wake")["status"] == "running"


def test_nothing_runs_in_a_frozen_session(make: Make, client: Client) -> None:
    session = make(multiplexer="tmux")
    change(client, session, "freeze")
    for what, fields in (("execute", {"command": "id"}), ("boost", {}), ("unboost", {})):
        status, details = refused(client, session, what, **fields)
        assert (status, "unfreeze it first" in details) == (409, True)


def test_a_session_without_a_multiplexer_is_not_frozen(make: Make, client: Client) -> None:
    status, details = refused(client, make(), "freeze")
    assert (status, "multiplexer" in details) == (400, True)


def test_freezing_and_unfreezing_twice_is_as_once(make: Make, client: Client) -> None:
    session = make(multiplexer="tmux")
    for _ in range(2):
        assert change(client, session, "freeze")["status"] == "frozen"
    for _ in range(2):
        assert change(client, session, "unfreeze")["status"] == "running"


# --- slots -----------------------------------------------------------------------------------


def test_a_running_session_takes_a_slot_and_a_frozen_one_none(server: Server) -> None:
    one = Client(server.api, test_account("one slot"))
    one.clock = server.emulator.clock.time
    with closing_sessions(one):
        session = one.post("/sessions", {"multiplexer": "tmux"}).json()
        full = one.post("/execute", {"language": "bash", "code": "echo hi"})
        assert (full.status_code, full.json()["error"]) == (429, "concurrency_limit_reached")
        assert one.post("/sessions", {}).status_code == 429
        change(one, session, "freeze")
        assert one.execute("bash", "echo hi")["stdout"] == "hi\n"
        other = one.post("/sessions", {}).json()
        assert refused(one, session, "unfreeze")[0] == 429
        assert read(one, session)["status"] == "frozen"
        one.send("DELETE", f"/sessions/{other['id']}")
        assert change(one, session, "unfreeze")["status"] == "running"
        assert refused(one, session, "boost")[0] == 429


@contextmanager
def closing_sessions(client: Client) -> Iterator[None]:
    try:
        yield
    finally:
        for item in client.get("/sessions").json()["sessions"]:
            client.send("DELETE", f"/sessions/{item['id']}")
        client.close()


# --- boosted ---------------------------------------------------------------------------------

MEMORY = (
    "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null;"
    "head -c 6 /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null"
)


def test_a_boost_is_seen_in_the_session_and_taken_back(
    make: Make, client: Client, server: Server
) -> None:
    session = make()
    boosted = change(client, session, "boost", vcpu=2)
    assert (boosted["vcpu"], boosted["memory_mb"], boosted["boosted"]) == (2, 4096, True)
    assert str(4 * GIB) in run(client, session, MEMORY)["stdout"]
    assert server.emulator.slots.taken(client.account) == 2
    back = change(client, session, "unboost")
    assert (back["vcpu"], back["memory_mb"], back["boosted"]) == (1, 2048, False)
    assert str(2 * GIB) in run(client, session, MEMORY)["stdout"]
    assert server.emulator.slots.taken(client.account) == 1


def test_a_boost_may_be_patched_and_taken_back_so(make: Make, client: Client) -> None:
    path = f"/sessions/{make()['id']}"
    for vcpu in (2, 1):
        answer = client.send("PATCH", path, b'{"vcpu": %d}' % vcpu).json()
        assert (answer["vcpu"], answer["boosted"]) == (vcpu, vcpu > 1)


def test_a_boost_is_of_two_processors_unless_told(make: Make, client: Client) -> None:
    assert change(client, make(), "boost")["vcpu"] == 2


def test_less_than_a_session_was_made_with_is_no_boost(make: Make, client: Client) -> None:
    assert refused(client, make(vcpu=4), "boost", vcpu=2)[0] == 409


def test_memory_in_use_is_not_taken_away(make: Make, client: Client) -> None:
    session = make()
    change(client, session, "boost", vcpu=2)
    hold = "import time; held = bytearray(2200 << 20); open('held', 'w').close(); time.sleep(100)"
    run(client, session, f'python3 -c "{hold}" & disown; until [ -e held ]; do sleep 0.05; done')
    status, details = refused(client, session, "unboost")
    assert (status, "MiB of memory" in details) == (409, True)
    assert read(client, session)["vcpu"] == 2
    assert str(4 * GIB) in run(client, session, MEMORY)["stdout"]
    run(client, session, "pkill python3; sleep 0.3")
    assert change(client, session, "unboost")["vcpu"] == 1


# --- the end ---------------------------------------------------------------------------------


def test_a_deleted_session_is_gone_with_its_container(
    make: Make, client: Client, server: Server
) -> None:
    session = make()
    container = server.emulator.sessions.lives.find_by_id(session["id"]).record.container_id
    answer = client.send("DELETE", f"/sessions/{session['id']}")
    assert answer.json() == {
        "id": session["id"],
        "session_id": session["id"],
        "status": "terminated",
    }
    assert client.get(f"/sessions/{session['id']}").status_code == 404
    assert client.send("DELETE", f"/sessions/{session['id']}").status_code == 404
    assert container not in ids(server)


def test_a_locked_session_is_not_deleted(make: Make, client: Client) -> None:
    session = make()
    assert change(client, session, "lock")["locked"] is True
    refusal = client.send("DELETE", f"/sessions/{session['id']}")
    assert (refusal.status_code, refusal.json()["code"]) == (409, "LOCKED")
    assert change(client, session, "unlock")["locked"] is False
    assert client.send("DELETE", f"/sessions/{session['id']}").status_code == 200


@pytest.mark.parametrize("state", ["lock", "freeze", "boost"])
def test_a_ttl_ends_a_session_whatever_its_state(
    make: Make, client: Client, server: Server, state: str
) -> None:
    session = make(ttl=600, multiplexer="tmux")
    change(client, session, state)
    advance(server, 500)
    left = read(client, session)["remaining_ttl"]
    assert 90 <= left <= 100
    advance(server, 101)
    eventually(lambda: read(client, session)["status"] == "terminated")
    ended = read(client, session)
    assert ended["message"] == "The session's ttl of 600 seconds was over"
    assert client.get("/sessions").json()["count"] == 0
    assert server.emulator.slots.taken(client.account) == 0
    status, details = refused(client, session, "execute", command="id")
    assert (status, "ttl of 600" in details) == (404, True)
    assert client.send("DELETE", f"/sessions/{session['id']}").json()["status"] == "terminated"
    assert client.get(f"/sessions/{session['id']}").status_code == 404


def test_a_ttl_of_0_has_no_end(make: Make, client: Client, server: Server) -> None:
    session = make(ttl=0)
    advance(server, 3000 * 86_400)
    told = read(client, session)
    assert (told["status"], told["ttl"], told["remaining_ttl"]) == ("running", 0, 0)
    assert "expires_at" not in told


def test_a_container_that_is_killed_ends_its_session_with_a_reason(
    make: Make, client: Client, server: Server
) -> None:
    session = make(multiplexer="tmux")
    record = server.emulator.sessions.lives.find_by_id(session["id"]).record
    server.call(server.emulator.engine.kill(record.container_id))
    eventually(lambda: read(client, session)["status"] == "terminated")
    assert "killed, or the engine was restarted" in read(client, session)["message"]
    eventually(lambda: record.container_id not in ids(server))


def test_a_shell_that_exits_unseen_ends_its_session(make: Make, client: Client) -> None:
    session = make(multiplexer="tmux")
    run(client, session, "tmux kill-server")
    eventually(lambda: read(client, session)["status"] == "terminated")
    assert read(client, session)["message"] == "Its shell has exited"
