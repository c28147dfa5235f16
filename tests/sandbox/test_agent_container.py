"""The agent as PID 1 of hardened containers: what it protects, and what it cleans away."""

import asyncio
import errno
import hashlib
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import docker
import pytest

from emulator.paths import RUNTIMES
from emulator.sandbox.agent import (
    Agent,
    AgentLost,
    Collected,
    FileRefused,
    Spawn,
    Stream,
)
from emulator.sandbox.frames import WINDOW
from emulator.sandbox.images import Images, build, plan
from emulator.sandbox.kinds import ACCEPTED_MAX
from emulator.sandbox.limits import Limits
from emulator.sandbox.runtimes import Catalogue
from tests.sandbox.agent_container import GID, UID, Container, contained_agent, running_container
from tests.sandbox.agent_process import scenario

MIB = 1 << 20
MOUNTS = ("/tmp", "/dev/shm")


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    wanted = Images(client, Catalogue.load(RUNTIMES)).image("python")
    build(client, plan(client, [wanted]), tmp_path_factory.mktemp("logs"), print)
    return wanted.reference


@asynccontextmanager
async def sandbox(
    client: docker.DockerClient, image: str, **options: object
) -> AsyncIterator[Agent]:
    async with contained_agent(client, image, **options) as agent:
        yield agent


def program(argv: list[str], **more: Any) -> Spawn:  # noqa: ANN401 - whatever Spawn takes
    usual: dict[str, Any] = {
        "env": {"PATH": "/usr/bin:/bin"},
        "cwd": "/tmp",
        "uid": UID,
        "gid": GID,
        "output_limit": MIB,
        "alone": True,
    }
    return Spawn(argv=argv, **{**usual, **more})


async def run(agent: Agent, script: str, **more: object) -> Collected:
    return await agent.spawn(program(["sh", "-c", script], **more)).collect()


async def python(agent: Agent, script: str, **more: object) -> Collected:
    return await agent.spawn(program(["python3", "-c", script], **more)).collect()


@scenario
async def test_a_run_is_a_user_without_any_rights(client: docker.DockerClient, image: str) -> None:
    async with sandbox(client, image) as agent:
        done = await run(
            agent, "id -u; id -G; grep -E '^(Cap(Eff|Prm|Inh|Amb)|NoN)' /proc/self/status"
        )
    uid, groups, *facts = done.stdout.decode().splitlines()
    assert (uid, groups) == (str(UID), str(GID))
    assert [fact.split()[1] for fact in facts] == ["0" * 16] * 4 + ["1"]


@scenario
async def test_a_lone_run_leaves_nobody_behind(client: docker.DockerClient, image: str) -> None:
    leaver = """
        setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 1; done' &
        (setsid sleep 1000 &) &
        sleep 1000 &
        kill -STOP $!
        echo done
    """
    async with sandbox(client, image) as agent:
        done = await run(agent, leaver)
        assert (done.stdout, done.exit.processes_left) == (b"done\n", 0)
        seen = await run(agent, "ls /proc | grep -c '^[0-9]'")
        assert int(seen.stdout) <= 4  # the agent, and this shell with its pipe


@scenario
async def test_a_lone_run_that_forks_without_end_is_ended(
    client: docker.DockerClient, image: str
) -> None:
    bomb = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
    async with sandbox(client, image, pids_limit=200) as agent:
        process = agent.spawn(program(["python3", "-c", bomb]))
        await process.started()
        await asyncio.sleep(0.5)
        process.signal(signal.SIGKILL)
        done = await process.collect()
        assert (done.exit.signal, done.exit.processes_left) == (signal.SIGKILL, 0)
        assert (await run(agent, "echo fine")).stdout == b"fine\n"


@scenario
async def test_usage_includes_what_was_left_behind(client: docker.DockerClient, image: str) -> None:
    spin = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    async with sandbox(client, image) as agent:
        done = await run(agent, f"setsid python3 -c '{spin}' & sleep 1.5")
    assert done.exit.user_us + done.exit.system_us > 300_000


ATTACKS = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)

def attempt(name, call):
    try:
        print(name, call(), flush=True)
    except OSError as error:
        print(name, error.strerror, flush=True)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

for name in "mem", "environ", "maps", "fd/0", "fd/1", "root", "cwd", "exe", "auxv", "syscall":
    attempt(name, lambda: os.read(os.open(f"/proc/1/{name}", os.O_RDONLY), 1))
attempt("write", lambda: os.open("/proc/1/fd/1", os.O_WRONLY))
attempt("ptrace", lambda: checked(libc.ptrace(16, 1, 0, 0)))
attempt("seize", lambda: checked(libc.ptrace(0x4206, 1, 0, 0)))
vector = (ctypes.c_void_p * 2)(0x400000, 8)
attempt("peek", lambda: checked(libc.process_vm_readv(1, vector, 1, vector, 1, 0)))
"""
SIGNALS = """
for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        pass
"""


@scenario
async def test_a_run_cannot_look_into_the_agent(client: docker.DockerClient, image: str) -> None:
    async with sandbox(client, image) as agent:
        done = await python(agent, ATTACKS + SIGNALS)
        await agent.ping()
        refused = await run(agent, "kill -9 1; kill -0 1")
    answers = dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())
    assert len(answers) == 14
    allowed = {name for name, answer in answers.items() if not answer.startswith(("Oper", "Perm"))}
    assert allowed == set(), answers
    assert refused.exit.code == 1


@scenario
async def test_root_in_the_sandbox_cannot_either(client: docker.DockerClient, image: str) -> None:
    """Sessions run as root; the agent is of the same uid then, and still out of reach."""
    async with sandbox(client, image) as agent:
        done = await python(agent, ATTACKS + SIGNALS, uid=0, gid=0)
        await agent.ping()
        assert (await run(agent, "echo alive")).stdout == b"alive\n"
    answers = dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())
    allowed = {name for name, answer in answers.items() if not answer.startswith(("Oper", "Perm"))}
    assert allowed == set(), answers


@scenario
async def test_memory_runs_out_for_the_program_alone(
    client: docker.DockerClient, image: str
) -> None:
    async with sandbox(client, image, mem_limit=64 * MIB, memswap_limit=64 * MIB) as agent:
        done = await python(agent, "x = bytearray(200_000_000)")
        assert done.exit.signal == signal.SIGKILL
        assert done.exit.oom_kills >= 1
        done = await run(agent, "cat /proc/self/oom_score_adj")
        assert (done.stdout, done.exit.oom_kills) == (b"1000\n", 0)


@scenario
async def test_files_are_the_runs_own(client: docker.DockerClient, image: str) -> None:
    async with sandbox(client, image) as agent:
        with agent.pipeline():
            made = [
                agent.write_file(
                    "a/main", b"echo it runs", root="/tmp/code", mode=0o755, uid=UID, gid=GID
                ),
                agent.make_directory("/tmp/input", uid=UID, gid=GID),
            ]
            process = agent.spawn(program(["sh", "a/main"], cwd="/tmp/code"))
        assert (await process.collect()).stdout == b"it runs\n"
        await asyncio.gather(*made)
        done = await run(
            agent, "stat -c '%u:%g %a' /tmp/code /tmp/code/a /tmp/code/a/main /tmp/input"
        )
    assert done.stdout.decode().split("\n") == [
        "2000:2000 755",
        "2000:2000 755",
        "2000:2000 755",
        "2000:2000 755",
        "",
    ]


@scenario
async def test_the_agent_is_nobodys_deputy(client: docker.DockerClient, image: str) -> None:
    """What its user could not do, it does not do for them: root's rights are not lent."""
    async with sandbox(client, image) as agent:
        await agent.make_directory("/tmp/secret", uid=0, gid=0, mode=0o700)
        await agent.write_file("/tmp/secret/key", b"secret", uid=0, gid=0, mode=0o600)
        await run(
            agent, "ln -s /tmp/secret /tmp/door; ln -s secret/key /tmp/window; mkdir /tmp/mine"
        )
        owner: Any = {"uid": UID, "gid": GID}
        limits = {"max_files": 10, "max_bytes": 1000}
        attempts = {
            agent.write_file("/tmp/secret/x", b"", **owner): errno.EACCES,
            agent.write_file("/tmp/door/x", b"", **owner): errno.ENOTDIR,
            agent.write_file("/etc/x", b"", **owner): errno.EROFS,
            agent.write_file("/proc/1/mem", b"", **owner): errno.EEXIST,
            agent.make_directory("/tmp/secret/x", **owner): errno.EACCES,
            agent.make_symlink("/tmp/secret/x", "y", **owner): errno.EACCES,
            agent.read_tree("/tmp/secret", **owner, **limits): errno.EACCES,
            agent.read_tree("/tmp/window", **owner, **limits): errno.ELOOP,
            agent.read_tree("/proc/1/environ", **owner, **limits): errno.EACCES,
        }
        for attempt, expected in attempts.items():
            with pytest.raises(FileRefused) as caught:
                await attempt
            assert caught.value.errno == expected
        tree = await agent.read_tree("/tmp", **owner, **limits)
        assert (tree.files, tree.skipped) == ([], 3)


@scenario
async def test_a_full_disk_refuses_a_file_whole(client: docker.DockerClient, image: str) -> None:
    async with sandbox(client, image, tmpfs={"/tmp": "size=1m,mode=1777"}) as agent:
        with pytest.raises(FileRefused) as caught:
            await agent.write_file("/tmp/big", bytes(2 * MIB), uid=UID, gid=GID)
        assert caught.value.errno == errno.ENOSPC
        assert (await run(agent, "ls -A /tmp")).stdout == b""


LITTER = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
assert libc.shmget(1, 100000, 0o1600) >= 0
assert libc.semget(2, 3, 0o1600) >= 0
assert libc.msgget(3, 0o1600) >= 0
assert libc.mq_open(b"/queue", os.O_CREAT | os.O_RDWR, 0o600, None) >= 0
open("/dev/shm/shared", "wb").write(bytes(100000))
at = os.getcwd()
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
open("deep", "w").close()
os.chdir(at)
for number in range(300):
    open(f"file{number}", "w").close()
os.makedirs("sticky/inner")
open("sticky/inner/file", "w").close()
os.symlink("/etc", "link")
os.mkfifo("fifo")
os.mkdir(".wipe-0")
open(".wipe-0/x", "w").close()
open(".wipe-1", "w").close()
os.chmod("sticky/inner", 0o1000)
os.chmod("sticky", 0o1000)
hidden = socket.socket(socket.AF_UNIX)
hidden.bind("\\0hidden")
hidden.listen()
listening = socket.create_server(("127.0.0.1", 8000))
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(1000)
print("littered")
"""


@scenario
async def test_cleaning_leaves_nothing(client: docker.DockerClient, image: str) -> None:
    async with sandbox(client, image) as agent:
        listener = await agent.listen(3128)
        before = await agent.clean(MOUNTS)
        assert before.spotless, before
        littering = agent.spawn(program(["python3", "-c", LITTER], alone=False))
        done = await littering.collect()
        assert (done.stdout, done.stderr) == (b"littered\n", b"")
        report = await agent.clean(MOUNTS)
        assert report.spotless, report
        assert [(use.bytes, use.inodes) for use in report.mounts] == [(0, 1), (0, 1)]
        assert report.elapsed_us < 5_000_000
        seen = await run(agent, "ls -A /tmp /dev/shm /dev/mqueue; wc -l < /proc/sysvipc/shm")
        assert seen.stdout.split()[-1] == b"1"
        assert len(seen.stdout.split()) == 4
        assert not listener.ended.done()


@scenario
async def test_cleaning_ends_the_programs_of_other_channels(
    client: docker.DockerClient, image: str
) -> None:
    async with sandbox(client, image) as agent:
        process = agent.spawn(program(["sleep", "1000"], alone=False))
        await process.started()
        assert (await agent.clean([])).processes == 0
        assert (await process.wait()).signal == signal.SIGKILL


@scenario
async def test_what_cannot_be_cleaned_is_told(client: docker.DockerClient, image: str) -> None:
    async with sandbox(client, image) as agent:
        report = await agent.clean(["/etc"])
    assert not report.spotless
    assert report.mounts[0].entries > 10


@scenario
async def test_what_cannot_be_looked_at_counts_as_left(
    client: docker.DockerClient, image: str
) -> None:
    """An agent without descriptors, as when others have taken all that the machine has."""
    few = [docker.types.Ulimit(name="nofile", soft=32, hard=32)]
    async with sandbox(client, image, ulimits=few) as agent:
        opened = await asyncio.gather(*(agent.listen(0) for _ in range(40)), return_exceptions=True)
        assert any("Too many open files" in str(refused) for refused in opened)
        report = await agent.clean(MOUNTS)
    assert report.ipc > 0
    assert report.sockets > 0
    assert all(use.entries > 0 for use in report.mounts)


@scenario
async def test_cleaning_keeps_listeners_and_drops_who_waits_there(
    client: docker.DockerClient, image: str
) -> None:
    """What one run left in the queue is not taken for a connection of the next."""
    crowd = """
import socket, time
kept = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(ACCEPTED_MAX + 6)]
for each in kept: each.send(b"old")
print("made", flush=True)
time.sleep(1000)
""".replace("ACCEPTED_MAX", str(ACCEPTED_MAX))
    one = "import socket; socket.create_connection(('127.0.0.1', 3128)).send(b'new')"
    async with sandbox(client, image, sysctls=Limits().sysctls) as agent:
        listener = await agent.listen(3128)
        taken: asyncio.Queue[Stream] = asyncio.Queue()

        async def take() -> None:
            async for stream in listener:
                taken.put_nowait(stream)

        taking = asyncio.create_task(take())
        process = agent.spawn(program(["python3", "-c", crowd]))
        assert (await anext(process.output()))[1] == b"made\n"
        async with asyncio.timeout(30):
            old = [await taken.get() for _ in range(ACCEPTED_MAX)]
        process.close()
        report = await agent.clean([])
        assert (report.spotless, taken.qsize()) == (True, 0), report
        assert len(old) == ACCEPTED_MAX
        assert (await python(agent, one)).exit.status == 0
        assert await (await taken.get()).read() == b"new"
        taking.cancel()


@scenario
async def test_sockets_of_others_are_counted(client: docker.DockerClient, image: str) -> None:
    """A second container in the network of the first finds what it cannot kill."""
    hold = """
import socket, time
kept = [socket.create_server(("127.0.0.1", 8000)), socket.socket(socket.AF_UNIX)]
kept[1].bind("\\0name")
print("held", flush=True)
time.sleep(1000)
"""
    with running_container(client, image) as first:
        agent = await attached(first)
        process = agent.spawn(program(["python3", "-c", hold]))
        assert (await anext(process.output()))[1] == b"held\n"
        async with sandbox(client, image, network_mode=f"container:{first.id}") as second:
            report = await second.clean([])
        agent.close()
    assert (report.sockets, report.spotless) == (2, False)


@scenario
async def test_large_streams_pass_dockers_way_unchanged(
    client: docker.DockerClient, image: str
) -> None:
    data = bytes(range(256)) * (80 * WINDOW // 256)
    async with sandbox(client, image) as agent:
        spawn = program(["cat"], stdin=True, output_limit=None)
        process = agent.spawn(spawn)
        writing = asyncio.ensure_future(process.write(data))
        writing.add_done_callback(lambda _: process.write_eof())
        digest = hashlib.sha256()
        async for _, piece in process.output():
            digest.update(piece)
        assert (await process.wait()).code == 0
    assert digest.digest() == hashlib.sha256(data).digest()


@scenario
async def test_connections_go_in_and_out_without_a_network(
    client: docker.DockerClient, image: str
) -> None:
    ask = """
import socket
with socket.create_connection(("127.0.0.1", 443)) as connection:
    connection.sendall(b"question")
    print(connection.recv(100).decode())
"""
    serve = """
import socket
connection, _ = socket.create_server(("127.0.0.1", 8080)).accept()
connection.sendall(connection.recv(100).upper())
"""
    async with sandbox(client, image) as agent:
        listener = await agent.listen(443)
        asking = asyncio.ensure_future(python(agent, ask))
        async for stream in listener:
            assert await stream.read() == b"question"
            await stream.write(b"answer")
            break
        assert (await asking).stdout == b"answer\n"
        serving = agent.spawn(program(["python3", "-c", serve], alone=False))
        while (await run(agent, "grep -q :1F90 /proc/net/tcp", alone=False)).exit.code:
            pass
        stream = await agent.connect(8080)
        await stream.write(b"hello")
        assert await stream.read() == b"HELLO"
        await serving.wait()


async def attached(container: Container) -> Agent:
    async with asyncio.timeout(30):
        return await container.attach()


def session(script: str) -> Spawn:
    return program(
        ["sh", "-c", script], key="session", alone=False, pty=(80, 24), output_limit=None
    )


@scenario
async def test_kept_programs_outlive_the_emulator(client: docker.DockerClient, image: str) -> None:
    with running_container(client, image) as container:
        first = await attached(container)
        kept = first.spawn(session("echo ready; read x; seq 3000; read y; exit 3"))
        assert (await anext(kept.output()))[1] == b"ready\r\n"
        first.close()
        second = await attached(container)
        assert (await second.hello()).kept == ("session",)
        adopted = second.adopt("session")
        await adopted.write(b"\r")
        seen = b""
        async for _, data in adopted.output():
            seen += data
            if b"\n3000\r\n" in seen:
                break
        assert len(seen.split()) == 3000
        await adopted.write(b"\r")
        assert (await adopted.wait()).code == 3
        second.close()


@scenario
async def test_an_emulator_attaches_in_the_middle_of_a_flood(
    client: docker.DockerClient, image: str
) -> None:
    """The stream's beginning is then read together with the head of the engine's answer."""
    with running_container(client, image) as container:
        agent = await attached(container)
        await agent.spawn(session("while :; do echo flood; done")).started()
        for _ in range(10):
            agent.close()
            agent = await attached(container)
            assert b"flood" in (await anext(agent.adopt("session").output()))[1]
        agent.close()


@scenario
async def test_a_stream_out_of_step_is_a_lost_agent(
    client: docker.DockerClient, image: str
) -> None:
    with running_container(client, image) as container:
        agent = await container.reach()
        protocol = agent._transport.get_protocol()  # type: ignore[attr-defined]
        protocol.data_received(b"HTTP/1.1 200")
        with pytest.raises(AgentLost, match="out of step"):
            await agent.hello()


@scenario
async def test_a_killed_container_is_a_lost_agent(client: docker.DockerClient, image: str) -> None:
    async with asyncio.timeout(60):
        with running_container(client, image) as container:
            agent = await attached(container)
            process = agent.spawn(program(["sleep", "1000"]))
            await process.started()
            api: Any = client.api
            await asyncio.to_thread(api.kill, container.id)
            with pytest.raises(AgentLost, match="stream ended"):
                await process.wait()
            assert agent.closed.done()
