"""`systemctl` and `journalctl` in a service: its script as a unit, asked for from within."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from emulator.services import bootstrap
from tests import shell
from tests.client import Client
from tests.containers import eventually
from tests.server import Server, running, settings
from tests.services.conftest import Json, Maker

LASTS = "echo begun; exec sleep 1000"
DETACHED = """
trap 'echo asked to end' TERM
setsid sleep 1001 &
su -s /bin/sh nobody -c 'setsid sleep 1002' &
env -i setsid sh -c 'trap "" TERM; while :; do sleep 1003; done' &
echo begun
while :; do sleep 0.05; done
"""


def run(services: Maker, service: Json, command: str) -> tuple[int, str, str]:
    """A command line's exit code, output and errors."""
    ran = services.change(service, "execute", command=command)
    return ran["exit_code"], ran["stdout"], ran["stderr"]


def processes(services: Maker, service: Json, command: str) -> int:
    return int(services.run(service, f"pgrep -cf '^{command}$'; true"))


def begun(services: Maker, service: Json, times: int) -> None:
    eventually(lambda: services.log(service).count("begun\n") == times)


@pytest.fixture(scope="module")
def lasting(services_server: Server) -> Iterator[Json]:
    """A service for tests that change nothing of it."""
    with closing(Client(services_server.api)) as client:
        client.clock = services_server.emulator.clock.time
        services = Maker(services_server, client, [])
        service = services(name="myapp", bootstrap=LASTS)
        begun(services, service, 1)
        eventually(lambda: services.read(service)["state"] == "running")
        yield service
        services.ask("DELETE", f"/services/{service['id']}")


def test_the_page_s_samples_show_how_it_goes_and_what_it_printed(
    services: Maker, lasting: Json
) -> None:
    code, shown, _ = run(services, lasting, "systemctl status myapp")
    assert code == 0
    assert "myapp.service" in shown
    assert "Active: active (running)" in shown
    assert "sleep 1000\n" in shown
    assert shown.endswith("\n\nbegun\n")
    assert run(services, lasting, "journalctl -u myapp -n 50") == (0, "begun\n", "")
    assert run(services, lasting, "systemctl is-active myapp") == (0, "active\n", "")


def test_a_unit_goes_by_every_name_of_its_service(services: Maker, lasting: Json) -> None:
    names = ("myapp", "myapp.service", "bootstrap", lasting["id"], lasting["container_name"], "")
    for name in names:
        assert run(services, lasting, f"systemctl is-active {name}")[:2] == (0, "active\n")


def test_other_units_are_not_there(services: Maker, lasting: Json) -> None:
    code, _, told = run(services, lasting, "systemctl status nginx")
    assert (code, "nginx.service could not be found" in told) == (4, True)
    for verb in ("restart", "start", "stop"):
        code, _, told = run(services, lasting, f"systemctl {verb} nginx")
        assert (code, "nginx.service not found" in told) == (5, True)
    assert run(services, lasting, "systemctl is-active nginx")[:2] == (3, "inactive\n")
    assert run(services, lasting, "journalctl -u nginx")[:2] == (0, "-- No entries --\n")
    assert processes(services, lasting, "sleep 1000") == 1


def test_what_it_cannot_do_it_says(services: Maker, lasting: Json) -> None:
    for command, reason in (
        ("systemctl enable bootstrap", "Unknown command verb enable"),
        ("systemctl --force restart", "unrecognized arguments: --force"),
        ("journalctl -n many", "Failed to parse lines 'many'"),
        ("su -s /bin/sh nobody -c 'systemctl status'", "only root may ask"),
    ):
        code, shown, told = run(services, lasting, command)
        assert (code, shown, reason in told) == (1, "", True), told
    assert run(services, lasting, "systemctl is-system-running")[:2] == (1, "offline\n")


def test_a_service_without_a_script_has_no_unit(services: Maker) -> None:
    code, _, told = run(services, services(), "systemctl status bootstrap")
    assert (code, "no bootstrap script" in told) == (4, True)


# --- started and ended -----------------------------------------------------------------------


def test_a_restart_ends_all_that_came_of_the_script_and_nothing_else(
    services: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "GRACE_SECONDS", 1.0)
    service = services(bootstrap=DETACHED)
    begun(services, service, 1)
    of_the_script = "sleep 100[123]"
    eventually(lambda: processes(services, service, of_the_script) == 3)
    before = set(services.run(service, f"pgrep -f '^{of_the_script}$'").split())
    services.run(service, "setsid sleep 2000 >/dev/null 2>&1 &")
    assert run(services, service, "systemctl restart bootstrap; echo $?") == (0, "0\n", "")
    begun(services, service, 2)
    assert "asked to end" in services.log(service)
    eventually(lambda: processes(services, service, of_the_script) == 3)
    after = set(services.run(service, f"pgrep -f '^{of_the_script}$'").split())
    assert not before & after
    assert processes(services, service, "sleep 2000") == 1
    eventually(lambda: services.read(service)["state"] == "running")


def test_a_restart_is_with_what_the_vault_holds_then_and_the_script_as_it_lies_there(
    services: Maker,
) -> None:
    service = services(bootstrap='echo "it is <$GREETING>"\n')
    eventually(lambda: services.log(service) == "it is <>\n")
    path = f"/services/{service['id']}/env"
    services.client.send("PUT", path, b"GREETING=of the vault\n", "text/plain")
    services.run(service, "echo 'echo and more' >> /tmp/bootstrap.sh; systemctl restart bootstrap")
    eventually(lambda: services.log(service).endswith("it is <of the vault>\nand more\n"))


def test_a_restart_that_fails_is_the_service_s_state_and_one_that_works_too(
    services: Maker,
) -> None:
    service = services(bootstrap="[ ! -e broken ] || exit 7; " + LASTS)
    services.run(service, "touch broken; systemctl restart bootstrap")
    eventually(lambda: services.read(service)["state"] == "failed")
    assert "exit code 7" in services.read(service)["message"]
    code, shown, _ = run(services, service, "systemctl status")
    assert (code, "Active: failed (Result: exit-code, status=7)" in shown) == (3, True)
    assert run(services, service, "systemctl is-active")[:2] == (3, "failed\n")
    services.run(service, "rm broken; systemctl restart bootstrap")
    eventually(lambda: services.read(service)["state"] == "running")
    assert "message" not in services.read(service)
    assert run(services, service, "systemctl is-active")[:2] == (0, "active\n")


def test_what_is_stopped_stays_so_until_it_is_started(services: Maker) -> None:
    service = services(bootstrap=LASTS)
    begun(services, service, 1)
    assert run(services, service, "systemctl stop bootstrap") == (0, "", "")
    assert processes(services, service, "sleep 1000") == 0
    assert run(services, service, "systemctl is-active")[:2] == (3, "inactive\n")
    code, shown, _ = run(services, service, "systemctl status")
    assert (code, "Active: inactive (dead)" in shown) == (3, True)
    assert "systemctl stop" in services.read(service)["message"]
    for _ in range(2):  # a second start finds it running
        assert run(services, service, "systemctl start bootstrap") == (0, "", "")
    eventually(lambda: services.read(service)["state"] == "running")
    begun(services, service, 2)
    assert processes(services, service, "sleep 1000") == 1


def test_a_script_that_restarts_itself_is_held_up(services: Maker) -> None:
    service = services(bootstrap="echo begun; systemctl restart bootstrap")
    eventually(lambda: "repeated too quickly" in services.log(service))
    assert services.log(service).count("begun\n") == 6


def test_a_redeploy_goes_on_from_what_was_restarted(services: Maker) -> None:
    service = services(bootstrap=LASTS)
    services.run(service, "systemctl restart bootstrap")
    services.change(service, "redeploy", bootstrap="echo of the new; exec sleep 1004")
    eventually(lambda: processes(services, service, "sleep 1004") == 1)
    assert processes(services, service, "sleep 1000") == 0


# --- the log ---------------------------------------------------------------------------------


def test_the_journal_is_the_log_or_its_last_lines(services: Maker) -> None:
    service = services(bootstrap="seq 2000; printf unfinished")
    eventually(lambda: services.log(service).endswith("unfinished"))
    for options, lines in (
        ("--no-pager -n 3", "1999\n2000\nunfinished"),
        ("-n0", "-- No entries --\n"),
        ("-n all", services.log(service)),
        ("-o cat", services.log(service)),
    ):
        assert run(services, service, f"journalctl -u bootstrap {options}")[1] == lines
    assert services.run(service, "journalctl | head -1") == "1\n"


def test_who_follows_the_journal_sees_what_comes_until_he_leaves(services: Maker) -> None:
    script = "seq 100; until [ -e more ]; do sleep 0.05; done; echo more; " + LASTS
    service = services(bootstrap=script)
    eventually(lambda: services.log(service).endswith("100\n"))
    services.run(service, "journalctl -f -n 2 -u bootstrap > seen 2>&1 &")
    eventually(lambda: services.run(service, "cat seen") == "99\n100\n")
    services.run(service, "touch more")
    eventually(lambda: services.run(service, "cat seen") == "99\n100\nmore\nbegun\n")
    leave = (
        "for at in $(seq 9); do journalctl -f > left$at & "
        "until [ -s left$at ]; do sleep 0.02; done; kill $!; done; journalctl -n 1"
    )
    assert services.run(service, leave) == "begun\n"


# --- who asks, and from where ----------------------------------------------------------------


def test_it_works_in_the_service_s_shell(services: Maker, lasting: Json) -> None:
    with shell.opened(services.server.api, lasting["id"]) as one:
        assert b"it is <active>" in one.answer('echo "it is <$(systemctl is-active)>"')


def test_a_session_has_no_service(services: Maker) -> None:
    session = services.ask("POST", "/sessions", {"shell": "sh"})["id"]
    for program in ("systemctl status", "journalctl -u myapp -n 5"):
        ran = services.ask("POST", f"/sessions/{session}/execute", {"command": program})
        assert (ran["exit_code"], "this is a session" in ran["stderr"]) == (1, True)
    services.ask("DELETE", f"/sessions/{session}")


def test_whatever_is_written_where_callers_write_others_are_answered(
    services: Maker, lasting: Json
) -> None:
    junk = """
    import os, socket
    control = os.open("/run/unsandbox/control", os.O_WRONLY)
    callers = []
    for at, said in enumerate((b"", b"\\n", b"{}\\n", b'"\\xff"\\n', b"x" * 100_000)):
        caller = socket.socket(socket.AF_UNIX)
        caller.bind(f"/run/unsandbox/caller-{at:016x}")
        caller.listen()
        os.write(control, b"%016x\\n" % at)
        connection = caller.accept()[0]
        try:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(10) == b""
        except ConnectionError:
            pass
    os.write(control, os.urandom(300_000) + b"\\n../../etc/passwd\\n" + b"0" * 16 + b"\\n" * 9)
    """
    program = "\n".join(line[4:] for line in junk.splitlines())
    services.run(lasting, f"cat > junk.py <<'END'\n{program}\nEND")
    assert run(services, lasting, "python3 junk.py") == (0, "", "")
    eventually(lambda: run(services, lasting, "systemctl is-active")[:2] == (0, "active\n"))


def test_the_next_emulator_answers_too(tmp_path: Path) -> None:
    chosen = settings(tmp_path, languages="bash", pool_size="1")
    with running(chosen) as server, closing(Client(server.api)) as client:
        services = Maker(server, client, [])
        one, other = services(bootstrap=LASTS), services(bootstrap=LASTS)
        services.run(one, "systemctl restart bootstrap")
        services.run(other, "systemctl stop bootstrap")
    with running(chosen) as server, closing(Client(server.api)) as client:
        services = Maker(server, client, [])
        eventually(lambda: run(services, one, "systemctl is-active")[:2] == (0, "active\n"))
        assert run(services, other, "systemctl is-active")[:2] == (3, "inactive\n")
        assert services.read(other)["state"] == "running"
        services.run(other, "systemctl start bootstrap")
        begun(services, other, 2)
        for service in (one, other):
            services.ask("DELETE", f"/services/{service['id']}")
