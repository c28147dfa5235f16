"""Programs that are after what they must not have, by what they are after."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Program:
    """Code to execute."""

    language: str
    code: str


# An attempt prints DONE, or the name of the error that refused it.
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
static struct iovec ours = {room, 8}, theirs = {(void *)0x400000, 8};
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
    "talk to the machine's host": "socket(AF_VSOCK, SOCK_STREAM, 0)",
    "use a family of sockets without namespaces": "socket(AF_ALG, SOCK_SEQPACKET, 0)",
    "queue calls past the filter": "syscall(SYS_io_uring_setup, 1, room)",
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
    "read its memory": "process_vm_readv(1, &ours, 1, &theirs, 1, 0)",
    "write its memory": "process_vm_writev(1, &ours, 1, &theirs, 1, 0)",
    "limit it": "prlimit(1, RLIMIT_NOFILE, &(struct rlimit){0}, 0)",
    "slow it down": "setpriority(PRIO_PROCESS, 1, 19)",
    "choose its processor": "sched_setaffinity(1, sizeof(cpu_set_t), (cpu_set_t *)room)",
    "enter its network": 'open("/proc/1/ns/net", O_RDONLY)',
}


@dataclass(frozen=True)
class Filling(Program):
    """Takes all there is of something; prints how much that was, and on stderr what refused it."""

    bound: int
    told: str = "No space left on device"


_MAKE_FILES = """
import sys
made = 0
try:
    while True:
        open(f"{directory}/{{made}}", "x").close()
        made += 1
except OSError as error:
    print(made)
    sys.exit(error.strerror)
"""

_SHARE_MEMORY = """
#include <stdio.h>
#include <sys/shm.h>
int main(void)
{
    long taken = 0;
    while (shmget(IPC_PRIVATE, 1 << 20, 0600) >= 0)
        taken += 1 << 20;
    printf("%ld\\n", taken);
    perror("shmget");
    return 0;
}
"""

_OPEN_FILES = """
import os, sys
opened = 0
try:
    while True:
        os.dup(0)
        opened += 1
except OSError as error:
    print(opened)
    sys.exit(error.strerror)
"""

_OPEN_TERMINALS = """
import os, sys
opened = 0
try:
    while True:
        os.openpty()
        opened += 1
except OSError as error:
    print(opened)
    sys.exit(error.strerror)
"""

FILLINGS = {
    "bytes in /tmp": Filling("bash", "head -c 2G /dev/zero > /tmp/x; stat -c %s /tmp/x", 512 * MIB),
    "bytes in /dev/shm": Filling(
        "bash", "head -c 2G /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x", 64 * MIB
    ),
    "inodes in /tmp": Filling("python", _MAKE_FILES.format(directory="/tmp"), 65_536),
    "inodes in /dev/shm": Filling("python", _MAKE_FILES.format(directory="/dev/shm"), 65_536),
    "shared memory of System V": Filling("c", _SHARE_MEMORY, 64 * MIB),
    "descriptors": Filling("python", _OPEN_FILES, 4096, "Too many open files"),
    "terminals": Filling("python", _OPEN_TERMINALS, 64),
}

_THREADS = """
import threading, time
while True:
    try:
        threading.Thread(target=time.sleep, args=(99,)).start()
    except RuntimeError:
        pass
"""

_MEMORY = """
import os, time
for _ in range(150):
    if os.fork() == 0:
        held = b"x" * (30 << 20)
        time.sleep(99)
time.sleep(99)
"""

_CONNECTIONS = """
import socket
listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
kept = []
while True:
    try:
        near = socket.create_connection(listening.getsockname(), 1)
        far, _ = listening.accept()
        near.setblocking(False)
        kept += [near, far]
        while True:
            near.send(bytes(1 << 20))
    except OSError:
        pass
"""

BOMBS = {
    "processes of a shell": Program("bash", "b() { b | b & }; b; while :; do b; done"),
    "processes": Program("c", "#include <unistd.h>\nint main(void) { for (;;) fork(); }"),
    "sessions": Program(
        "c", "#include <unistd.h>\nint main(void) { for (;;) if (fork() == 0) setsid(); }"
    ),
    "threads": Program("python", _THREADS),
    "memory of many processes": Program("python", _MEMORY),
    "buffers of connections": Program("python", _CONNECTIONS),
}

# Memory that counts for the container but for none of its processes, held by small processes that
# are as dear as the kernel lets them be.
SOCKET_PAIRS = """
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
static char bytes[65536];
static void hold(void)
{
    for (;;) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
            pause();
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
        while (write(pair[0], bytes, sizeof bytes) > 0)
            continue;
    }
}
int main(void)
{
    int score = open("/proc/self/oom_score_adj", O_WRONLY);
    if (write(score, "500", 3) < 0)
        return 3;
    for (int made = 0; made < 200; made++)
        if (fork() == 0)
            hold();
    pause();
}
"""

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
    "a place that is too deep": (
        "cd /tmp/artifacts; for i in {1..60}; do mkdir d; cd d; done; echo > f"
    ),
}

CLINGING = {
    "ignoring signals": "trap '' TERM HUP INT; while :; do :; done",
    "stopped": "kill -STOP $$",
    "forking": "while :; do (exec -a again sleep 0.01 &); done",
    "forking in the background": "(while :; do (exec -a again sleep 0.01 &); done) & sleep 99",
    "waiting in its own session": "setsid bash -c \"trap '' TERM HUP; sleep 99\" & wait",
    "deaf, with its output kept open": "setsid sleep 99 & disown; exec sleep 99",
}

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
