"""Hostile programs, run as any other: what each is after must not be had.

`docs/security.md` says how each is held off.
"""

import base64
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from tests.client import Client
from tests.containers import containers, eventually, runs
from tests.hostile import (
    ARTIFACT_TRICKS,
    ATTEMPT,
    CLINGING,
    MIB,
    ON_THE_AGENT,
    PRIVILEGES,
    SEARCH,
    TRACES,
)
from tests.modes import in_both_modes
from tests.server import Server

pytestmark = in_both_modes

REFUSALS = {"EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT"}

UNREACHABLE = {"Network is unreachable", "Cannot assign requested address", "Invalid argument"}

PROC_FILES = "mem environ maps fd fd/0 fd/1 fdinfo root cwd exe auxv io stack syscall task/1/mem"


@pytest.mark.parametrize("name", PRIVILEGES)
def test_privileges_cannot_be_had(client: Client, name: str) -> None:
    answer = client.execute("c", ATTEMPT % PRIVILEGES[name])
    assert answer["stdout"].strip() in REFUSALS, answer


@pytest.mark.parametrize("name", ON_THE_AGENT)
def test_the_agent_cannot_be_touched(client: Client, name: str) -> None:
    answer = client.execute("c", ATTEMPT % ON_THE_AGENT[name])
    assert answer["stdout"].strip() in REFUSALS, answer


def test_the_run_has_no_capabilities_and_can_gain_none(client: Client) -> None:
    lines = client.execute("bash", "cat /proc/self/status")["stdout"].splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert all(int(status[f"Cap{name}"], 16) == 0 for name in ("Inh", "Prm", "Eff", "Amb"))
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert all(2000 <= int(uid) <= 2063 for uid in status["Uid"].split())
    assert status["Groups"].strip() == ""


def test_no_program_is_setuid(client: Client) -> None:
    code = "find / -xdev -perm /6000 -type f 2> /dev/null; getcap -r / 2> /dev/null; true"
    assert client.execute("bash", code)["stdout"] == ""


def test_only_the_standard_streams_are_open(client: Client) -> None:
    answer = client.execute("bash", "ls /proc/$$/fd; readlink /proc/$$/fd/0")
    # 255 is the shell's own: the script that it reads.
    assert answer["stdout"].split() == ["0", "1", "2", "255", "/dev/null"]


def test_the_streams_are_the_program_s_own(client: Client) -> None:
    answer = client.execute("bash", "echo out > /dev/stdout; echo err | tee /dev/stderr")
    assert (answer["stdout"], answer["stderr"]) == ("out\nerr\n", "err\n")


@pytest.mark.parametrize("name", PROC_FILES.split())
def test_the_agent_s_files_in_proc_cannot_be_read(client: Client, name: str) -> None:
    code = f"import os; p = '/proc/1/{name}'; (os.listdir if os.path.isdir(p) else open)(p)"
    answer = client.execute("python", f"try:\n {code}\nexcept OSError as e: print(e.strerror)")
    told = answer["stdout"].strip()
    assert told in ("Permission denied", "No such file or directory"), answer


@pytest.mark.parametrize("name", ["fd/0", "fd/1", "mem", "oom_score_adj", "comm", "clear_refs"])
def test_the_agent_s_files_in_proc_cannot_be_written(client: Client, name: str) -> None:
    answer = client.execute("bash", f"echo UB > /proc/1/{name} && echo written")
    assert (answer["stdout"], answer["exit_code"]) == ("", 1)
    assert "Permission denied" in answer["stderr"]


def test_settings_of_the_kernel_and_of_cgroups_cannot_be_written(client: Client) -> None:
    code = """
        for file in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches \
            /proc/sys/kernel/shmall /proc/sys/net/ipv4/ip_forward /sys/kernel/uevent_helper \
            /proc/irq/default_smp_affinity $(find /sys/fs/cgroup -type f | head -300)
        do (echo 1 > $file) 2> /dev/null && echo $file; done; true"""
    assert client.execute("bash", code)["stdout"] == ""


def test_a_process_cannot_be_made_dearer_than_those_of_the_host(client: Client) -> None:
    code = "echo -1000 > /proc/self/oom_score_adj; echo -1 > /proc/self/oom_score_adj"
    assert client.execute("bash", code)["stderr"].count("Permission denied") == 2


# --- files -------------------------------------------------------------------------------------


def test_only_bounded_mounts_can_be_written_to(client: Client) -> None:
    code = r"""
        find / -path /proc -prune -o -path /tmp -prune -o \
            -not -type l -writable -print 2> /dev/null"""
    writable = set(client.execute("bash", code)["stdout"].split())
    devices = {"full", "null", "pts/ptmx", "random", "tty", "urandom", "zero"}
    assert writable == {f"/dev/{name}" for name in devices | {"mqueue", "shm"}}


def test_there_is_no_socket_of_the_engine_or_of_the_host(client: Client) -> None:
    code = "find / -xdev -type s; ls -d /var/run/docker.sock /run/* 2>&1"
    answer = client.execute("bash", code)["stdout"]
    assert "/var/run/docker.sock: No such file" in answer.replace("'", "")
    assert ".sock\n" not in answer


def test_the_agent_s_program_cannot_be_changed(client: Client) -> None:
    code = "echo x > /.unsandbox/agent; touch /.unsandbox/new; chmod 777 /.unsandbox/agent"
    answer = client.execute("bash", code)
    assert answer["stderr"].count("Read-only file system") == 3


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "..", ".", "a//x", "a/./x", "x\0y", "/proc/1/mem"]
)
def test_file_names_lead_nowhere_else(client: Client, name: str) -> None:
    """It is refused, or below the working directory after all."""
    files = [{"filename": name, "content": "eA=="}]
    code = "find /tmp -type f; ls -d /x /etc/x 2> /dev/null; :"
    body = {"language": "bash", "code": code, "input_files": files}
    response = client.post("/execute", body)
    if response.status_code != 400:
        source, place = sorted(response.json()["stdout"].split())
        assert source.startswith("/tmp/code/")
        assert place.startswith("/tmp/input/")


@pytest.mark.parametrize("name", ARTIFACT_TRICKS)
def test_artifacts_hold_nothing_but_the_run_s_own_files(client: Client, name: str) -> None:
    answer = client.execute("bash", ARTIFACT_TRICKS[name] + " 2> /dev/null", return_artifact=True)
    assert answer["artifacts"] == []


def test_artifacts_are_bounded_in_number_and_size(client: Client) -> None:
    code = """
        import os
        os.chdir("/tmp/artifacts")
        for n in range(60_000): open(f"{n}", "x").close()
        for n in range(9): open(f"big{n}", "wb").truncate(10 << 20)"""
    answer = client.execute("python", dedent(code), return_artifact=True)
    sizes = [len(base64.b64decode(artifact["data"])) for artifact in answer["artifacts"]]
    assert len(sizes) == 100
    assert sum(sizes) <= 32 * MIB


def test_names_of_artifacts_are_told_whatever_they_are(client: Client) -> None:
    code = r"cd /tmp/artifacts; touch -- $'a\nb' $'\xff' $'\e[31m' -rf; mkdir ..x; touch ..x/..y"
    answer = client.execute("bash", code, return_artifact=True)
    names = {artifact["filename"] for artifact in answer["artifacts"]}
    assert names == {"a\nb", "\ufffd", "\x1b[31m", "-rf", "..x/..y"}


# --- the end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLINGING)
def test_nothing_outlives_the_ttl(client: Client, name: str) -> None:
    began = time.monotonic()
    answer = client.execute("bash", CLINGING[name], ttl=1)
    assert time.monotonic() - began < 20
    assert (answer["status"], answer["exit_code"]) == ("timeout", 124)


def test_daemons_end_with_their_run(client: Client, server: Server) -> None:
    code = """
        for i in {1..20}; do
            (setsid bash -c "trap '' TERM HUP; sleep 4242 & wait" > /dev/null 2>&1 &) &
        done
        sleep 0.2"""
    began = time.monotonic()
    assert client.execute("bash", code, ttl=60)["success"]
    assert time.monotonic() - began < 20
    eventually(lambda: not any(runs(container, "sleep 4242") for container in containers(server)))


def test_a_container_serves_one_run_or_many(client: Client, server: Server) -> None:
    """As the setting says: which one it was is told by the program itself."""
    code = "grep -o -m 1 'containers/[0-9a-f]*' /proc/self/mountinfo"
    places = [client.execute("bash", code)["stdout"].strip() for _ in range(8)]
    if server.emulator.settings.isolation == "container":
        assert len(set(places)) == 8
        used = {place.removeprefix("containers/") for place in places}
        eventually(lambda: not used & {str(one.id) for one in containers(server, everything=True)})
    else:
        assert len(set(places)) < 8


# --- the network -------------------------------------------------------------------------------


def test_loopback_is_the_only_interface_and_is_the_sandbox_s_own(
    client: Client, server: Server
) -> None:
    port = server.api.rpartition(":")[2]
    code = f"""
        import socket
        print([name for _, name in socket.if_nameindex()], len(open("/proc/net/route").readlines()))
        with socket.create_server(("127.0.0.1", 0)) as own:
            socket.create_connection(own.getsockname()).close()
        for address in ("127.0.0.1", "::1", "localhost"):
            try: socket.create_connection((address, {port}), 2); print("reached", address)
            except OSError: pass"""
    answer = client.execute("python", dedent(code))
    assert (answer["stdout"], answer["stderr"]) == ("['lo'] 1\n", "")


def test_no_address_can_be_reached_and_no_name_resolved(client: Client) -> None:
    addresses = ["172.17.0.1", "169.254.169.254", "192.0.2.1", "2001:db8::1", "fe80::1", own()]
    code = f"""
        import socket, time
        began = time.monotonic()
        for address in {addresses!r}:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                try: socket.socket(family, kind).connect((address, 53)); print("reached", address)
                except OSError as error: print(error.strerror)
        try: socket.getaddrinfo("api.unsandbox.com", 443); print("resolved")
        except OSError: pass
        print(time.monotonic() - began < 5)"""
    *refusals, quick = client.execute("python", dedent(code))["stdout"].splitlines()
    assert set(refusals) <= UNREACHABLE
    assert quick == "True"


def own() -> str:
    """An address of this machine, as its own routing table has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def test_abstract_sockets_of_the_host_cannot_be_seen(client: Client) -> None:
    name = f"unsandbox-test-{id(client)}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0" + name)
        listening.listen()
        with socket.socket(socket.AF_UNIX) as here:
            here.connect("\0" + name)
        code = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')"
        answer = client.execute("python", code)
    assert "ConnectionRefusedError" in answer["stderr"]


# --- other runs --------------------------------------------------------------------------------


def test_the_search_finds_the_traces_in_one_sandbox(client: Client) -> None:
    found = client.execute("python", TRACES + SEARCH)["stdout"]
    assert found.count("trace") == 6
    assert all(name in found for name in ("shmget", "semget", "msgget", "4242", "/cmdline"))


def test_a_run_leaves_no_trace_for_the_next(client: Client) -> None:
    client.execute("python", TRACES)
    for _ in range(4):
        assert client.execute("python", SEARCH)["stdout"] == "[]\n"


def test_runs_at_the_same_time_do_not_see_each_other(client: Client) -> None:
    with ThreadPoolExecutor() as threads:
        other = Client(client.base)
        staying = threads.submit(other.execute, "python", TRACES, env={"STAY": "6"})
        time.sleep(1)
        found = [client.execute("python", SEARCH)["stdout"] for _ in range(2)]
        assert not staying.done()
        assert staying.result()["success"]
        other.close()
    assert found == ["[]\n", "[]\n"]


def test_runs_at_the_same_time_have_different_users(client: Client) -> None:
    def user(_: int) -> str:
        own_client = Client(client.base)
        try:
            return str(own_client.execute("bash", "id -u; sleep 1")["stdout"])
        finally:
            own_client.close()

    with ThreadPoolExecutor() as threads:
        users = list(threads.map(user, range(4)))
    assert len(set(users)) == 4


def test_input_files_cannot_be_raced_into_another_place(client: Client) -> None:
    """Files are written before the program starts, and never through links."""
    content = base64.b64encode(b"x" * 300_000).decode()
    files = [{"filename": f"a/b{n}/c", "content": content} for n in range(10)]
    code = "find /tmp/input -type f -size 300000c | wc -l; cat /tmp/a/b9/c | wc -c"
    answer = client.execute("bash", code, input_files=files)
    assert answer["stdout"].split() == ["10", "300000"]
