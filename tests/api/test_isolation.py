"""Hostile programs, run as any other: what each is after must not be had.

`docs/security.md` says how each is held off.
"""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker.errors import NotFound

from emulator.sandbox import frames
from tests.client import Client
from tests.server import Server

MIB = 1024 * 1024


@contextmanager
def answering(server: Server) -> Iterator[None]:
    """The block goes by with `GET /health` answered in a moment all the while."""
    over = threading.Event()
    slowest = 0.0

    def ask() -> None:
        nonlocal slowest
        with httpx.Client(base_url=server.api, timeout=60) as http:
            while not over.wait(0.05):
                began = time.monotonic()
                assert http.get("/health").status_code == 200
                slowest = max(slowest, time.monotonic() - began)

    with ThreadPoolExecutor() as threads:
        asking = threads.submit(ask)
        try:
            yield
        finally:
            over.set()
        asking.result()
    assert slowest < 5


def assert_next_works(client: Client) -> None:
    assert client.execute("bash", "echo fine")["stdout"] == "fine\n"


# --- the kernel --------------------------------------------------------------------------------

ATTEMPT = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
static char room[4096];
static struct iovec ours = {room, 8};
static struct clone_args user_namespace = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
int main(void)
{
    long result = %s;
    puts(result < 0 ? strerrorname_np(errno) : "DONE");
    return 0;
}
"""

PRIVILEGES = {
    "become root": "setresuid(0, 0, 0)",
    "become another user": "setresuid(2001, 2001, 2001) | setresuid(2002, 2002, 2002)",
    "become root's group": "setresgid(0, 0, 0)",
    "join a group": "setgroups(1, &(gid_t){0})",
    "make a user namespace": "unshare(CLONE_NEWUSER)",
    "make a user namespace by clone": "syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)",
    "make a user namespace by clone3": (
        "syscall(SYS_clone3, &user_namespace, sizeof user_namespace)"
    ),
    "make a mount namespace": "unshare(CLONE_NEWNS)",
    "make a network namespace": "unshare(CLONE_NEWNET)",
    "mount": 'mount("none", "/tmp", "tmpfs", 0, 0)',
    "mount by the newer calls": 'syscall(SYS_fsopen, "tmpfs", 0)',
    "make the root writable": 'mount(0, "/", 0, MS_REMOUNT, 0)',
    "take a mask of /proc away": 'umount2("/proc/keys", MNT_DETACH)',
    "change the root": 'chroot("/tmp")',
    "pivot the root": 'syscall(SYS_pivot_root, "/tmp", "/tmp")',
    "make a disk's device": 'mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0))',
    "make the memory's device": 'mknod("/tmp/memory", S_IFCHR | 0600, makedev(1, 1))',
    "open a file by its handle": "syscall(SYS_open_by_handle_at, AT_FDCWD, room, O_RDONLY)",
    "run a BPF program": "syscall(SYS_bpf, 0, room, 64)",
    "watch performance events": "syscall(SYS_perf_event_open, room, 0, -1, -1, 0)",
    "handle page faults of the kernel": "syscall(SYS_userfaultfd, 0)",
    "read a keyring": "syscall(SYS_keyctl, 6, -3, room, sizeof room, 0)",
    "add a key": 'syscall(SYS_add_key, "user", "k", "v", 1, -3)',
    "load a module": 'syscall(SYS_init_module, room, sizeof room, "")',
    "load a kernel": "syscall(SYS_kexec_load, 0, 0, room, 0)",
    "reboot": "syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef, 0)",
    "swap": 'swapon("/tmp/swap", 0)',
    "name the host": 'sethostname("x", 1)',
    "set the clock": "settimeofday(&(struct timeval){0}, 0)",
    "read the kernel's log": "klogctl(3, room, sizeof room)",
    "keep accounts": 'syscall(SYS_acct, "/tmp/accounts")',
    "run before others": "setpriority(PRIO_PROCESS, 0, -20)",
    "run in real time": "sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1})",
    "open more files": "setrlimit(RLIMIT_NOFILE, &(struct rlimit){1 << 20, 1 << 20})",
    "have more processor time": "setrlimit(RLIMIT_CPU, &(struct rlimit){9999, 9999})",
    "send raw packets": "socket(AF_INET, SOCK_RAW, 1)",
    "send frames": "socket(AF_PACKET, SOCK_RAW, 0x300)",
}

ON_THE_AGENT = {
    "kill it": "kill(1, SIGKILL)",
    "stop it": "kill(1, SIGSTOP)",
    "signal it by its descriptor": (
        "syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, 1, 0), SIGTERM, 0, 0)"
    ),
    "take its descriptors": "syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0)",
    "trace it": "ptrace(PTRACE_ATTACH, 1, 0, 0)",
    "seize it": "ptrace(PTRACE_SEIZE, 1, 0, 0)",
    "read its memory": "process_vm_readv(1, &ours, 1, &(struct iovec){(void *)0x400000, 8}, 1, 0)",
    "write its memory": "process_vm_writev(1, &ours, 1, &(struct iovec){(void *)0x400000, 8}, 1, 0)",
    "limit it": "prlimit(1, RLIMIT_NOFILE, &(struct rlimit){0}, 0)",
    "slow it down": "setpriority(PRIO_PROCESS, 1, 19)",
    "choose its processor": "sched_setaffinity(1, sizeof(cpu_set_t), (cpu_set_t *)room)",
    "enter its network": 'open("/proc/1/ns/net", O_RDONLY)',
}

REFUSALS = {"EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT"}


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


@pytest.mark.parametrize(
    "name",
    "mem environ maps fd fd/0 fd/1 fdinfo root cwd exe auxv io stack syscall task/1/mem".split(),
)
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
    devices = {f"/dev/{name}" for name in "full mqueue null random shm tty urandom zero".split()}
    assert writable == devices | {"/dev/pts/ptmx"}


def test_there_is_no_socket_of_the_engine_or_of_the_host(client: Client) -> None:
    code = "find / -xdev -type s; ls -d /var/run/docker.sock /run/* 2>&1"
    answer = client.execute("bash", code)["stdout"]
    assert "/var/run/docker.sock: No such file" in answer.replace("'", "")
    assert ".sock\n" not in answer


def test_the_agent_s_program_cannot_be_changed(client: Client) -> None:
    code = "echo x > /.unsandbox/agent; touch /.unsandbox/new; chmod 777 /.unsandbox/agent"
    answer = client.execute("bash", code)
    assert answer["stderr"].count("Read-only file system") == 3


FILLINGS = {
    "bytes in /tmp": (
        "bash",
        "head -c 2G /dev/zero > /tmp/x; stat -c %s /tmp/x",
        "No space left on device",
        512 * MIB,
    ),
    "bytes in /dev/shm": (
        "bash",
        "head -c 2G /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x",
        "No space left on device",
        64 * MIB,
    ),
    "inodes in /tmp": (
        "python",
        "n = 0\ntry:\n while True: open(f'/tmp/{n}', 'x').close(); n += 1\n"
        "except OSError as e: import sys; print(n); sys.exit(e.strerror)",
        "No space left on device",
        65_536,
    ),
    "inodes in /dev/shm": (
        "python",
        "n = 0\ntry:\n while True: open(f'/dev/shm/{n}', 'x').close(); n += 1\n"
        "except OSError as e: import sys; print(n); sys.exit(e.strerror)",
        "No space left on device",
        65_536,
    ),
    "shared memory of System V": (
        "c",
        "#include <stdio.h>\n#include <sys/shm.h>\nint main(void) { long n = 0;\n"
        "while (shmget(IPC_PRIVATE, 1 << 20, 0600) >= 0) n += 1 << 20;\n"
        'printf("%ld\\n", n); perror("shmget"); }',
        "No space left on device",
        64 * MIB,
    ),
    "descriptors": (
        "python",
        "import os, sys\nn = 0\ntry:\n while True: os.dup(0); n += 1\n"
        "except OSError as e: print(n); sys.exit(e.strerror)",
        "Too many open files",
        4096,
    ),
}


@pytest.mark.parametrize("name", FILLINGS)
def test_what_can_be_filled_is_bounded(client: Client, name: str) -> None:
    language, code, told, bound = FILLINGS[name]
    answer = client.execute(language, code)
    assert told in answer["stderr"]
    assert 0.9 * bound <= int(answer["stdout"]) <= bound


ARTIFACT_TRICKS = {
    "the directory is a link": "rm -r /tmp/artifacts; ln -s /etc /tmp/artifacts",
    "the directory becomes a link and back": (
        "cp -r /tmp/artifacts /tmp/kept; (while :; do rm -r /tmp/artifacts; "
        "ln -s /etc /tmp/artifacts; rm /tmp/artifacts; cp -r /tmp/kept /tmp/artifacts; done) & "
        "sleep 0.3"
    ),
    "a directory inside is a link": "ln -s /etc /tmp/artifacts/etc; ln -s / /tmp/artifacts/root",
    "hard links": "ln /etc/passwd /tmp/artifacts/x; ln /proc/1/environ /tmp/artifacts/y",
    "a pipe without a writer": "mkfifo /tmp/artifacts/x",
    "a file of a terabyte": "truncate -s 1T /tmp/artifacts/x",
    "a file that cannot be read": "cp /etc/passwd /tmp/artifacts/x; chmod 0 /tmp/artifacts/x",
    "a directory that cannot be read": "cd /tmp/artifacts; mkdir x; echo > x/y; chmod 0 x",
    "a place that is too deep": "cd /tmp/artifacts; for i in {1..60}; do mkdir d; cd d; done; echo > f",
}


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
    code = "\n".join(line.strip() for line in code.splitlines())
    answer = client.execute("python", code, return_artifact=True)
    sizes = [len(base64.b64decode(artifact["data"])) for artifact in answer["artifacts"]]
    assert len(sizes) == 100
    assert sum(sizes) <= 32 * MIB


def test_names_of_artifacts_are_told_whatever_they_are(client: Client) -> None:
    code = r"cd /tmp/artifacts; touch -- $'a\nb' $'\xff' $'\e[31m' -rf; mkdir ..x; touch ..x/..y"
    answer = client.execute("bash", code, return_artifact=True)
    names = {artifact["filename"] for artifact in answer["artifacts"]}
    assert names == {"a\nb", "\ufffd", "\x1b[31m", "-rf", "..x/..y"}


# --- processes, memory, output -----------------------------------------------------------------

BOMBS = {
    "processes of a shell": ("bash", "b() { b | b & }; b; while :; do b; done"),
    "processes": ("c", "#include <unistd.h>\nint main(void) { for (;;) fork(); }"),
    "sessions": (
        "c",
        "#include <unistd.h>\nint main(void) { for (;;) if (fork() == 0) setsid(); }",
    ),
    "threads": (
        "python",
        "import threading, time\nwhile True:\n"
        " try: threading.Thread(target=time.sleep, args=(99,)).start()\n except RuntimeError: pass",
    ),
    "memory of many processes": (
        "python",
        "import os, time\nfor _ in range(150):\n if os.fork() == 0: x = b'x' * (30 << 20); "
        "time.sleep(99)\ntime.sleep(99)",
    ),
    "buffers of connections": (
        "python",
        "import socket\nl = socket.create_server(('127.0.0.1', 0), backlog=4096)\nkeep = []\n"
        "while True:\n try:\n  c = socket.create_connection(l.getsockname(), 1); s, _ = l.accept()\n"
        "  c.setblocking(False); s.setblocking(False); keep += [c, s]\n"
        "  while True: c.send(bytes(1 << 20))\n except OSError: pass",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_harms_nobody_else(client: Client, server: Server, name: str) -> None:
    language, code = BOMBS[name]
    with answering(server), ThreadPoolExecutor() as threads:
        bomb = threads.submit(client.execute, language, code, ttl=3)
        time.sleep(1)
        other = Client(client.base)
        assert_next_works(other)
        other.close()
        answer = bomb.result()
    assert answer["success"] is False
    assert answer["exit_code"] in (1, 124, 137)
    assert_next_works(client)


def test_processes_are_bounded(client: Client) -> None:
    code = "for i in {1..400}; do sleep 9 & done; echo unreached"
    answer = client.execute("bash", code, ttl=3)
    assert "Resource temporarily unavailable" in answer["stderr"]


def test_memory_that_no_process_owns_costs_the_run_at_most(client: Client) -> None:
    """Socket buffers count for the container alone: the kernel may choose the agent then."""
    code = """
        #include <fcntl.h>
        #include <sys/socket.h>
        #include <unistd.h>
        static char b[65536];
        int main(void) {
            int f = open("/proc/self/oom_score_adj", O_WRONLY);
            if (write(f, "500", 3) < 0) return 3;
            for (int n = 0; n < 200; n++) if (fork() == 0) for (;;) {
                int s[2];
                if (socketpair(AF_UNIX, SOCK_STREAM, 0, s)) pause();
                fcntl(s[0], F_SETFL, O_NONBLOCK);
                while (write(s[0], b, sizeof b) > 0);
            }
            pause();
        }"""
    response = client.post("/execute", {"language": "c", "code": code, "ttl": 20})
    if response.status_code != 200:
        assert (response.status_code, response.json()["code"]) == (500, "SANDBOX_FAILED")
    assert_next_works(client)


def resident() -> int:
    """Bytes of memory that this process, the server's too, has at the moment."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def test_a_flood_of_output_does_not_fill_the_server(client: Client, server: Server) -> None:
    before, most, over = resident(), 0, threading.Event()

    def watch() -> int:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, resident())
        return most

    with ThreadPoolExecutor() as threads, answering(server):
        watching = threads.submit(watch)
        answer = client.execute("bash", "yes & yes >&2 & yes; :", ttl=4)
        over.set()
        assert watching.result() - before < 512 * MIB
    assert answer["status"] == "timeout"
    assert len(answer["stdout"]) == 16 * MIB
    assert answer["stdout_truncated"] is answer["stderr_truncated"] is True


def forgeries() -> bytes:
    """Frames and Docker's headers as they would be if the program's output were the stream."""
    body = b"\x20\x04\0\0\0\0\0\0\0"
    made = b"".join(
        frames.header(kind, channel, epoch, body, 0) + body
        for kind in (frames.Type.EXIT, frames.Type.ERROR, frames.Type.CLOSE, frames.Type.HELLO)
        for channel in (*range(12), frames.OWN_CHANNELS)
        for epoch in (0, 1, 2**32 - 1)
    )
    docker = (
        b"\x01\0\0\0\0\0\0\x05evil\n" + b"\x02\0\0\0\xff\xff\xff\xff" + b"\x03\0\0\0\0\0\0\x01!"
    )
    return b"UB" + made + docker + frames.PADDING + made


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_program_prints_is_output_and_nothing_else(client: Client, stream: str) -> None:
    forged = forgeries()
    code = "import base64, os\nos.write({}, base64.b64decode({!r}))\nos._exit(7)"
    number = {"stdout": 1, "stderr": 2}[stream]
    code = code.format(number, base64.b64encode(forged).decode())
    answer = client.execute("python", code)
    assert answer[stream] == forged.decode("utf-8", "replace")
    assert (answer["exit_code"], answer["success"]) == (7, False)


# --- the end -----------------------------------------------------------------------------------

CLINGING = {
    "ignoring signals": "trap '' TERM HUP INT; while :; do :; done",
    "stopped": "kill -STOP $$",
    "forking": "while :; do (exec -a again sleep 0.01 &); done",
    "forking in the background": "(while :; do (exec -a again sleep 0.01 &); done) & sleep 99",
    "waiting in its own session": "setsid bash -c \"trap '' TERM HUP; sleep 99\" & wait",
    "deaf, with its output kept open": "setsid sleep 99 & disown; exec sleep 99",
}


@pytest.mark.parametrize("name", CLINGING)
def test_nothing_outlives_the_ttl(client: Client, name: str) -> None:
    began = time.monotonic()
    answer = client.execute("bash", CLINGING[name], ttl=1)
    assert time.monotonic() - began < 20
    assert (answer["status"], answer["exit_code"]) == ("timeout", 124)


def gone(server: Server, container: str) -> bool:
    """Whether the engine no longer has this container, a moment from now."""
    for _ in range(200):
        try:
            server.emulator.engine.client.containers.get(container)
        except NotFound:
            return True
        time.sleep(0.05)
    return False


def test_daemons_end_with_their_run_and_the_container_goes(client: Client, server: Server) -> None:
    code = """
        grep -o -m 1 'containers/[0-9a-f]*' /proc/self/mountinfo
        for i in {1..20}; do
            (setsid bash -c "trap '' TERM HUP; sleep 300 & wait" > /dev/null 2>&1 &) &
        done
        sleep 0.2"""
    began = time.monotonic()
    answer = client.execute("bash", code, ttl=60)
    assert time.monotonic() - began < 20
    assert gone(server, answer["stdout"].strip().removeprefix("containers/"))


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
    code = "\n".join(line[8:] for line in code.splitlines())
    answer = client.execute("python", code)
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
    code = "\n".join(line[8:] for line in code.splitlines())
    lines = client.execute("python", code)["stdout"].splitlines()
    *refusals, quick = lines
    assert set(refusals) <= {"Network is unreachable", "Cannot assign requested address"} | {
        "Invalid argument"
    }
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

TRACES = """
import ctypes, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None)
for directory in ("/tmp", "/tmp/input", "/tmp/artifacts", "/dev/shm"):
    open(f"{directory}/trace", "w").write("trace")
libc.shmget(4242, 4096, 0o1666)
libc.semget(4242, 1, 0o1666)
libc.msgget(4242, 0o1666)
libc.mq_open(b"/trace", os.O_CREAT | os.O_RDWR, 0o666, None)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0trace")
abstract.listen()
tcp = socket.create_server(("127.0.0.1", 4242))
subprocess.Popen(["sleep", "4242"], start_new_session=True)
sys.stdout.flush()
time.sleep(float(os.environ.get("STAY", "0")))
"""

SEARCH = """
import ctypes, glob, os, socket
libc = ctypes.CDLL(None)
found = [path for place in ("/tmp", "/dev/shm", "/dev/mqueue") for path in
         glob.glob(f"{place}/**/trace", recursive=True)]
for name in ("shmget", "semget", "msgget"):
    if getattr(libc, name)(4242, *([0] if name == "msgget" else [0, 0])) >= 0: found.append(name)
for family, address in ((socket.AF_UNIX, "\\0trace"), (socket.AF_INET, ("127.0.0.1", 4242))):
    try: socket.socket(family).connect(address); found.append(str(address))
    except OSError: pass
for path in glob.glob("/proc/[0-9]*/cmdline"):
    if b"4242\\0" in open(path, "rb").read(): found.append(path)
print(found)
"""


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
        staying = threads.submit(other.execute, "python", TRACES, env={"STAY": "2"})
        time.sleep(1)
        found: list[Any] = [client.execute("python", SEARCH)["stdout"] for _ in range(2)]
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
