"""Programs through the agent: what they are given, what comes back, how they end."""

import asyncio
import errno
import resource
import signal
from pathlib import Path

import pytest

from emulator.sandbox.agent import ChannelClosed, Scope, Spawn, SpawnFailed
from emulator.sandbox.frames import WINDOW, StreamId
from tests.sandbox.agent_process import GID, UID, running_agent, scenario, shell


@scenario
async def test_output_and_exit_come_back() -> None:
    async with running_agent() as agent:
        done = await agent.spawn(shell("echo out; echo err >&2; exit 3")).collect()
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert (done.exit.code, done.exit.signal, done.exit.status) == (3, 0, 3)
    assert (done.exit.stdout_seen, done.exit.stderr_seen) == (4, 4)
    assert done.exit.wall_us > 0
    assert done.exit.max_rss_kib > 0


@scenario
async def test_a_program_gets_its_environment_and_nothing_else() -> None:
    async with running_agent() as agent:
        spawn = Spawn(
            argv=["/usr/bin/env"], env={"A": "1", "É": "ü\n"}, uid=UID, gid=GID, output_limit=1000
        )
        done = await agent.spawn(spawn).collect()
    assert sorted(done.stdout.decode().split("\n")) == sorted(["A=1", "É=ü", "", ""])


@scenario
async def test_a_program_starts_where_it_should(tmp_path: Path) -> None:
    """In its directory, in a session of its own, with no descriptors but three."""
    script = "ls /proc/self/fd; pwd; umask; cut -d' ' -f 5,6 /proc/$$/stat"
    async with running_agent() as agent:
        process = agent.spawn(shell(script, cwd=str(tmp_path)))
        pid = await process.started()
        lines = (await process.collect()).stdout.decode().splitlines()
    # 3 is the directory that ls reads
    assert lines == ["0", "1", "2", "3", str(tmp_path), "0022", f"{pid} {pid}"]


@scenario
async def test_a_program_starts_with_signals_and_privileges_as_they_should_be() -> None:
    argv = ["grep", "-E", "^(SigBlk|SigIgn|NoNewPrivs)", "/proc/self/status"]
    async with running_agent() as agent:
        spawn = Spawn(argv=argv, env={"PATH": "/bin"}, uid=UID, gid=GID, output_limit=1000)
        done = await agent.spawn(spawn).collect()
    facts = dict(line.split(":\t", 1) for line in done.stdout.decode().splitlines())
    assert facts == {"SigBlk": "0" * 16, "SigIgn": "0" * 16, "NoNewPrivs": "1"}


@scenario
async def test_limits_are_set_and_cores_are_off() -> None:
    limits = {resource.RLIMIT_NOFILE: (64, 128), resource.RLIMIT_FSIZE: (1 << 20, 1 << 20)}
    async with running_agent() as agent:
        script = "ulimit -Sn; ulimit -Hn; ulimit -f; ulimit -c; umask"
        done = await agent.spawn(shell(script, rlimits=limits, umask=0o77)).collect()
    assert done.stdout.split() == [b"64", b"128", b"2048", b"0", b"0077"]


@pytest.mark.parametrize(
    ("change", "expected", "text"),
    [
        ({"argv": ["no-such-program"]}, errno.ENOENT, "program"),
        ({"argv": ["/no/such"]}, errno.ENOENT, "program"),
        ({"argv": ["/etc/passwd"]}, errno.EACCES, "program"),
        ({"argv": ["sh"], "env": {"PATH": "/nowhere"}}, errno.ENOENT, "program"),
        ({"argv": ["sh"], "cwd": "/no/such"}, errno.ENOENT, "working directory"),
        ({"argv": []}, errno.EINVAL, "needs"),
        ({"argv": ["sh", "a\0b"]}, errno.EINVAL, "NUL"),
        ({"argv": ["sh"], "rlimits": {1000: (1, 1)}}, errno.EINVAL, "resource limit"),
        ({"argv": ["sh", "x" * 200_000]}, errno.E2BIG, "program"),
    ],
)
@scenario
async def test_what_cannot_start_is_told(
    change: dict[str, object], expected: int, text: str
) -> None:
    usual: dict[str, object] = {"env": {"PATH": "/bin"}, "uid": UID, "gid": GID, "output_limit": 9}
    async with running_agent() as agent:
        process = agent.spawn(Spawn(**{**usual, **change}))  # type: ignore[arg-type]
        with pytest.raises(SpawnFailed, match=text) as caught:
            await process.collect()
        await agent.ping()
    assert caught.value.errno == expected


@scenario
async def test_a_program_is_found_in_the_path_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho $0 $1\n")
    (tmp_path / "tool").chmod(0o755)
    async with running_agent() as agent:
        env = {"PATH": f"/nowhere:{tmp_path}"}
        spawn = Spawn(argv=["tool", "x"], env=env, uid=UID, gid=GID, output_limit=1000)
        done = await agent.spawn(spawn).collect()
    assert done.stdout.decode() == f"{tmp_path}/tool x\n"


@scenario
async def test_without_a_pipe_stdin_is_at_its_end() -> None:
    async with running_agent() as agent:
        done = await agent.spawn(shell("wc -c; readlink /proc/self/fd/0")).collect()
    assert done.stdout == b"0\n/dev/null\n"


@scenario
async def test_input_reaches_the_program_and_its_end_too() -> None:
    data = bytes(range(256)) * 8192
    async with running_agent() as agent:
        process = agent.spawn(shell("cat", stdin=True, output_limit=len(data)))
        collecting = asyncio.ensure_future(process.collect())
        await process.write(data)
        process.write_eof()
        done = await collecting
    assert done.stdout == data


@scenario
async def test_input_for_a_program_that_does_not_read_is_dropped_at_its_end() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell("exec <&-; sleep 0.2", stdin=True))
        await process.write(bytes(4 * WINDOW))
        assert (await process.wait()).code == 0
        with pytest.raises(ChannelClosed):
            await process.write(b"too late")
        process.write_eof()


@scenario
async def test_output_over_the_limit_is_counted_and_dropped() -> None:
    async with running_agent() as agent:
        script = "head -c 5000000 /dev/zero; head -c 70 /dev/zero >&2"
        done = await agent.spawn(shell(script, output_limit=70)).collect()
    assert len(done.stdout) == len(done.stderr) == 70
    assert (done.exit.stdout_seen, done.exit.stdout_dropped) == (5_000_000, 4_999_930)
    assert (done.exit.stderr_seen, done.exit.stderr_dropped) == (70, 0)


@scenario
async def test_a_flood_that_nobody_reads_stalls_nobody_else() -> None:
    async with running_agent() as agent:
        flood = agent.spawn(shell("yes", output_limit=None))
        await flood.started()
        for _ in range(20):
            assert (await agent.spawn(shell("echo hi")).collect()).stdout == b"hi\n"
        taken = 0
        async for _, data in flood.output():
            taken += len(data)
            if taken > 3 * WINDOW:
                break
        flood.close()
        await agent.ping()


@scenario
async def test_pieces_come_in_order_with_their_stream() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell("for i in 1 2 3; do echo $i; sleep 0.05; echo e$i >&2; done"))
        pieces = [(stream, data) async for stream, data in process.output()]
        assert (await process.wait()).code == 0
    for stream, expected in ((StreamId.OUT, b"1\n2\n3\n"), (StreamId.ERR, b"e1\ne2\ne3\n")):
        assert b"".join(data for of, data in pieces if of == stream) == expected


@scenario
async def test_a_cancelled_collect_goes_on_later() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell("echo partial; sleep 60"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await process.collect()
        process.signal(signal.SIGKILL)
        done = await process.collect()
    assert done.stdout == b"partial\n"
    assert (done.exit.signal, done.exit.status) == (signal.SIGKILL, 137)


@scenario
async def test_signals_reach_the_group() -> None:
    async with running_agent() as agent:
        process = agent.spawn(
            shell("trap 'echo caught; exit 9' TERM; echo up; while :; do :; done")
        )
        pieces = process.output()
        assert (await anext(pieces))[1] == b"up\n"
        process.signal(signal.SIGTERM)
        assert (await anext(pieces))[1].endswith(b"caught\n")
        assert (await process.wait()).code == 9


@scenario
async def test_outside_a_container_nothing_signals_everything() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell("sleep 0.3"))
        process.signal(signal.SIGKILL, Scope.ALL)
        agent.signal_all(signal.SIGKILL)
        assert (await process.wait()).status == 0


@scenario
async def test_closing_a_channel_kills_its_program() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell("sleep 60 & wait"))
        pid = await process.started()
        process.close()
        with pytest.raises(ChannelClosed):
            await process.wait()
        await agent.ping()
        async with asyncio.timeout(10):
            while (await agent.spawn(shell(f"test -d /proc/{pid}")).collect()).exit.code == 0:
                pass


@scenario
async def test_background_processes_do_not_hold_up_the_end() -> None:
    async with running_agent() as agent:
        done = await agent.spawn(shell("sleep 5 & echo done; head -c 100000 /dev/zero")).collect()
    assert done.stdout == b"done\n" + bytes(100_000)


@scenario
async def test_a_large_environment_comes_in_several_frames() -> None:
    env = {f"V{number}": "x" * 1000 for number in range(900)}
    async with running_agent() as agent:
        spawn = Spawn(argv=["/usr/bin/env"], env=env, uid=UID, gid=GID, output_limit=1 << 20)
        done = await agent.spawn(spawn).collect()
        assert len(done.stdout.split(b"\n")) == 901
        with pytest.raises(SpawnFailed, match="too long"):
            agent.spawn(Spawn(argv=["env"], env={"A": "x" * (2 << 20)}, uid=UID, gid=GID))
        await agent.ping()


@scenario
async def test_channels_are_bounded() -> None:
    async with running_agent() as agent:
        with agent.pipeline():
            processes = [agent.spawn(shell("exec sleep 60")) for _ in range(260)]
        starts = [process.started() for process in processes]
        refused = [
            error
            for error in await asyncio.gather(*starts, return_exceptions=True)
            if isinstance(error, SpawnFailed)
        ]
        assert [error.errno for error in refused] == [errno.EMFILE] * 4
        for process in processes:
            process.close()
        assert (await agent.spawn(shell("echo free")).collect()).stdout == b"free\n"


@scenario
async def test_collecting_needs_a_limit() -> None:
    async with running_agent() as agent:
        process = agent.spawn(shell(":", output_limit=None))
        with pytest.raises(ValueError, match="limit"):
            await process.collect()


@scenario
async def test_a_ping_that_nobody_waits_for_any_more_costs_nothing() -> None:
    """The answer comes all the same, and whoever has the agent by then is not to suffer."""
    async with running_agent() as agent:
        given_up = asyncio.create_task(agent.ping())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        await agent.ping()
        await agent.ping()
    assert given_up.cancelled()
