"""Programs that leave what they can behind, and one that tells all that a run finds."""

from tests.hostile import Program

# What a program can learn of its sandbox and what must be the same in each run. The user is another
# one each time, so owners are told as `me` or by number.
FINGERPRINT = r"""
import glob, os, pathlib, resource, signal, socket, struct, subprocess

def attributes(path):
    try: return [(name, os.getxattr(path, name, follow_symlinks=False))
                 for name in os.listxattr(path, follow_symlinks=False)]
    except OSError as error: return error.strerror

def told(path):
    found = os.lstat(path)
    owner = ["me" if owner == os.getuid() else owner for owner in (found.st_uid, found.st_gid)]
    return path, oct(found.st_mode), owner, found.st_nlink, attributes(path)

def asked(family, command, attributes, flags=1):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as generic:
        body = struct.pack("=BBH", command, 1, 0) + attributes
        generic.send(struct.pack("=IHHII", 16 + len(body), family, flags, 1, 0) + body)
        return generic.recv(65536)

def peers():
    name = b"tcp_metrics\0"
    found = asked(16, 3, struct.pack("=HH", 4 + len(name), 2) + name)
    family = found[found.index(struct.pack("=HH", 6, 1), 20) + 4:][:2]
    return len(asked(int.from_bytes(family, "little"), 1, b"", 0x301))

def lines(path):
    try: return pathlib.Path(path).read_text().splitlines()
    except OSError as error: return error.strerror

places = ["/tmp", "/dev/shm", "/dev/mqueue", "/dev/pts"]
for place in places:
    print(told(place))
    for folder, folders, files in os.walk(place):
        for name in sorted(folders + files): print(told(os.path.join(folder, name)))
    use = os.statvfs(place)
    print(place, use.f_blocks - use.f_bfree, use.f_files - use.f_ffree)
for path in ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg", "/proc/net/tcp",
             "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/net/unix",
             "/proc/net/arp", "/proc/net/route", "/proc/self/mountinfo", "/proc/self/limits",
             "/proc/sys/kernel/shmall", "/proc/sys/kernel/hostname",
             "/proc/sys/net/ipv4/ip_local_port_range", "/proc/keys", "/proc/locks",
             *glob.glob("/sys/fs/cgroup/**/*quota*", recursive=True),
             *glob.glob("/sys/fs/cgroup/**/cpu.max", recursive=True),
             *glob.glob("/sys/fs/cgroup/**/*limit_in_bytes", recursive=True),
             *glob.glob("/sys/fs/cgroup/**/memory.max", recursive=True),
             *glob.glob("/sys/fs/cgroup/**/pids.[cm][ua][rx]*", recursive=True)):
    found = lines(path)
    print(path, found if path != "/proc/locks" else
          [line for line in found if f" {os.getpid()} " in line])
print([line for line in lines("/proc/net/sockstat") if not line.startswith("TCP")])
print(lines("/proc/net/sockstat")[1].split()[:3], lines("/proc/net/sockstat")[1].split()[5:7])
kept = ("Umask", "Groups", "Sig", "Shd", "Cap", "NoNewPrivs", "Seccomp", "Cpus_allowed", "Threads")
print([line for line in lines("/proc/self/status") if line.startswith(kept)])
print(sorted(os.environ.items()), os.getcwd(), os.nice(0), os.getpriority(os.PRIO_PGRP, 0))
print(os.sched_getaffinity(0), os.sched_getscheduler(0), lines("/proc/self/oom_score_adj"))
print(peers(), lines("/proc/net/ip6_flowlabel"))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), sorted(os.listdir("/proc/self/fd")))
print(len([name for name in os.listdir("/proc") if name.isdigit()]), lines("/proc/self/timers"))
"""

_PLANTED = """
import os, shutil
for place in ("/tmp", "/tmp/input", "/tmp/code", "/tmp/artifacts", "/dev/shm"):
    open(f"{place}/planted", "w").write("x" * 10000)
    os.mkdir(f"{place}/folder", 0o1777)
    os.mkfifo(f"{place}/folder/pipe")
    os.link(f"{place}/planted", f"{place}/folder/link")
    os.symlink("/etc/passwd", f"{place}/.hidden")
    open(f"{place}/" + "n" * 255, "w").close()
    open(f"{place}/.wipe-0", "w").close()
    os.chmod(f"{place}/planted", 0o6777)
    os.setxattr(f"{place}/planted", "user.left", b"x")
    os.chmod(f"{place}/folder", 0)
for folder in ("/tmp/input", "/tmp/artifacts"): os.chmod(folder, 0)
"""

_LOCKED = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
int main(void)
{
    static const char *const places[] = {"/tmp", "/dev/shm", "/dev/mqueue", "/dev/pts", "/dev"};
    for (unsigned at = 0; at < 5; at++) {
        chmod(places[at], 0777);
        chown(places[at], getuid(), getgid());
        setxattr(places[at], "user.left", "x", 1, 0);
        setxattr(places[at], "system.posix_acl_default", "\\2\\0\\0\\0", 4, 0);
        int fd = open(places[at], O_RDONLY), flags = FS_IMMUTABLE_FL | FS_APPEND_FL;
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    mkdir("/tmp/sticky", 01777);
    int fd = open("/tmp/sticky/stuck", O_CREAT | O_RDWR, 0), flags = FS_IMMUTABLE_FL;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
    flags = FS_APPEND_FL | FS_NODUMP_FL;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
    fcntl(fd, F_SETLEASE, F_WRLCK);
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK);
    chmod("/tmp/sticky", 01000);
}
"""

_DEEP = """
import os
os.chdir("/tmp")
for _ in range(10_000):
    os.mkdir("d"); os.chdir("d")
open("x", "w").close()
"""

_DAEMONS = """
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
int main(void)
{
    for (int made = 0; made < 20; made++) {
        if (fork() == 0) {
            setsid();
            prctl(PR_SET_CHILD_SUBREAPER, 1);
            prctl(PR_SET_PDEATHSIG, 0);
            prctl(PR_SET_NAME, "agent");
            prctl(PR_SET_DUMPABLE, 0);
            for (int number = 1; number < 65; number++)
                signal(number, SIG_IGN);
            setpriority(PRIO_PROCESS, 0, 19);
            if (fork() == 0 && fork() == 0)
                for (;;)
                    pause();
            for (;;)
                pause();
        }
    }
    usleep(100000);
}
"""

_STUCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
static int sleeps(void *nothing)
{
    (void)nothing;
    for (;;)
        pause();
}
int main(void)
{
    static char stack[65536];
    for (int made = 0; made < 10; made++) {
        if (fork() == 0) {
            raise(SIGSTOP);
            _exit(0);
        }
        if (fork() == 0) {
            ptrace(PTRACE_TRACEME, 0, 0, 0);
            raise(SIGTRAP);
            _exit(0);
        }
        if (fork() == 0) { /* waits for its child, deaf to all but SIGKILL */
            clone(sleeps, stack + sizeof stack, CLONE_VFORK | CLONE_VM | SIGCHLD, 0);
            _exit(0);
        }
        if (fork() == 0) { /* nobody opens the other end */
            execlp("sh", "sh", "-c", "mkfifo /tmp/$$; exec cat > /tmp/$$", (char *)0);
        }
    }
    usleep(200000);
    _exit(0);
}
"""

_ZOMBIES = """
import os, time
if os.fork() == 0:
    os.setsid()
    for _ in range(150):
        if os.fork() == 0: os._exit(0)
    time.sleep(99)
time.sleep(0.3)
os._exit(0)
"""

_SOCKETS = """
import os, socket, sys
kept = []
for number in range(200):
    one = socket.socket(socket.AF_UNIX); one.bind(f"\\0left{number}"); one.listen()
    kept.append(one)
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for port in range(8000, 8050):
        tcp = socket.socket(family); tcp.bind((address, port)); tcp.listen()
        near = socket.create_connection((address, port)); far, _ = tcp.accept()
        near.sendall(b"x" * 10000)
        if port % 3 == 0: near.shutdown(socket.SHUT_WR)
        if port % 3 == 1: near.close(); far.recv(20000); far.close()
        udp = socket.socket(family, socket.SOCK_DGRAM); udp.bind((address, port))
        udp.sendto(b"x", (address, port))
        kept += [tcp, near, far, udp]
with open("/tmp/held", "wb") as held: held.write(bytes(1 << 20))
pairs = [socket.socketpair() for _ in range(2)]
for near, far in pairs: # descriptors that only the kernel holds, in a ring
    with open("/tmp/held", "rb") as held:
        socket.send_fds(near, [b"x"], [far.fileno(), near.fileno(), held.fileno()])
sys.stdout.flush()
os._exit(0)
"""

_OBJECTS = """
import ctypes, os, pty, subprocess
libc = ctypes.CDLL(None)
for number in range(20):
    memory = libc.shmget(0, 65536, 0o1600); libc.shmat(memory, 0, 0)
    libc.shmget(4000 + number, 65536, 0o1600)
    libc.semget(4000 + number, 5, 0o1600)
    libc.msgget(4000 + number, 0o1600)
for number in range(9):
    libc.mq_open(b"/left%d" % number, os.O_CREAT | os.O_RDWR, 0o600, None)
libc.shmctl(memory, 0, None) # marked for removal, still attached
libc.inotify_add_watch(libc.inotify_init(), b"/tmp", 0xfff)
libc.timer_create(0, None, ctypes.byref(ctypes.c_long()))
libc.memfd_create(b"left", 0)
libc.mlockall(3)
for _ in range(9): pty.openpty()
for number in (219, 248, 250): libc.syscall(number, 0, 0, 0, 0, 0) # keyrings, on any ABI
os.sched_setaffinity(0, [0]); os.nice(10); os.umask(0); os.setpriority(os.PRIO_USER, 0, 15)
subprocess.Popen(["sleep", "999"], start_new_session=True)
os._exit(0)
"""

_PEERS = """
import socket
for number in range(1, 30):
    there = socket.create_server((f"127.9.9.{number}", 0))
    with socket.create_connection(there.getsockname()) as near, there.accept()[0] as far:
        for _ in range(20): near.send(b"x" * 999); far.recv(999); far.send(b"x"); near.recv(1)
    fast = socket.socket()
    try: fast.sendto(b"x", socket.MSG_FASTOPEN, there.getsockname())
    except OSError as error: print(error)
"""

LEFTOVERS = {
    "files and directories of every kind": Program("python", _PLANTED),
    "what is not to be changed or removed": Program("c", _LOCKED),
    "directories 10,000 levels deep": Program("python", _DEEP),
    "30,000 files, and links to one": Program(
        "bash",
        "mkdir /tmp/many; cd /tmp/many; touch {1..15000}; touch x; "
        "for d in {1..15}; do mkdir d$d; ln x d$d/x; done; printf '%s ' d1/l{1..9999} | "
        "xargs -n 1 ln x; true",
    ),
    "/tmp full": Program("bash", "head -c 600M /dev/zero > /tmp/x; true"),
    "/dev/shm full": Program("bash", "head -c 600M /dev/zero > /dev/shm/x; true"),
    "daemons deaf to signals": Program("c", _DAEMONS),
    "processes stopped, traced and stuck": Program("c", _STUCK),
    "zombies": Program("python", _ZOMBIES),
    "sockets, connections, descriptors under way": Program("python", _SOCKETS),
    "peers that the kernel remembers": Program("python", _PEERS),
    "IPC objects, terminals, timers, keys": Program("python", _OBJECTS),
    "a loop that forks": Program("bash", "(while :; do (:); done) & (while :; do (:) & done) & :"),
    "processor time in debt": Program(
        "bash", "for i in {1..60}; do (while :; do :; done) & done; sleep 0.3"
    ),
    "an environment, limits, a working directory": Program(
        "bash", "export PATH=/ HOME=/x LD_PRELOAD=/tmp/x; ulimit -n 5; cd /; rm -rf /tmp/*; true"
    ),
}
