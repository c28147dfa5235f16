"""200 MB out of and into a sandbox through its agent, against the same without an agent."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop

from emulator.clock import Clock
from emulator.sandbox.agent import Spawn
from emulator.sandbox.kinds import Process
from emulator.sandbox.limits import Limits, machine_memory
from emulator.sandbox.network import ZEROTRUST, Zerotrust
from emulator.sandbox.runtimes import Runtime
from emulator.sandbox.starting import Starter
from emulator.sandbox.users import FIRST_UID
from scripts.bench.bench import Bench
from scripts.bench.plain import Streams, plain_container
from scripts.bench.report import RATIO, Row, Sample

MB = 1_000_000
BYTES = 200 * MB
PIECE = bytes(MB)
TURNS = 3
OUT = f"read -r; head -c {BYTES} /dev/zero"
IN = f"head -c {BYTES} >/dev/null; echo"


def stream_out(bench: Bench) -> list[Row]:
    """What a program prints, from the line that sets it off to the last byte."""
    return _compared(bench, "stream-out", "200 MB from a sandbox", OUT, _take, _agent_take)


def stream_in(bench: Bench) -> list[Row]:
    """What a program reads, from the first byte to the line that says it had all."""
    return _compared(bench, "stream-in", "200 MB into a sandbox", IN, _give, _agent_give)


def _compared(
    bench: Bench,
    name: str,
    figure: str,
    script: str,
    plain: Callable[[Streams], None],
    ours: Callable[[Process], Awaitable[None]],
) -> list[Row]:
    runtime = bench.catalogue.usual()[0]
    command = ["bash", "-c", script]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        plain_seconds, seconds = [], []
        for _ in range(TURNS):
            plain_seconds.append(_through_plain(bench, runtime, command, plain))
            seconds.append(runner.run(_through_agent(bench, runtime, command, ours)))
    through, without = _speed("agent", seconds), _speed("plain attach", plain_seconds)
    ratio = without.p50 / through.p50
    return [Row(name, f"{figure}: time with agent / without", ratio, RATIO, (through, without))]


def _speed(name: str, seconds: list[float]) -> Sample:
    return Sample(name, "MB/s", [BYTES / MB / statistics.median(seconds)])


def _through_plain(
    bench: Bench, runtime: Runtime, command: list[str], move: Callable[[Streams], None]
) -> float:
    with plain_container(bench, runtime, command) as streams:
        began = time.perf_counter()
        move(streams)
        return time.perf_counter() - began


async def _through_agent(
    bench: Bench, runtime: Runtime, command: list[str], move: Callable[[Process], Awaitable[None]]
) -> float:
    async with _process(bench, runtime, command) as process:
        began = time.perf_counter()
        await move(process)
        return time.perf_counter() - began


@asynccontextmanager
async def _process(bench: Bench, runtime: Runtime, command: list[str]) -> AsyncIterator[Process]:
    """`command` in a sandbox as runs have it, started."""
    limits = Limits.for_vcpu(1, machine_memory())
    networks = {ZEROTRUST: Zerotrust()}
    starter = Starter(bench.engine, bench.images, limits, Clock(), networks)
    sandbox = await starter.start(runtime, ZEROTRUST)
    try:
        process = sandbox.agent.spawn(
            Spawn(argv=command, env=runtime.environment, uid=FIRST_UID, gid=FIRST_UID, stdin=True)
        )
        await process.started()
        yield process
    finally:
        await starter.remove(sandbox)


def _take(streams: Streams) -> None:
    streams.send(b"\n")
    streams.skip(BYTES)


async def _agent_take(process: Process) -> None:
    await process.write(b"\n")
    left = BYTES
    async for _, data in process.output():
        left -= len(data)
        if left == 0:
            return
    raise RuntimeError(f"{left} bytes did not come through the agent")


def _give(streams: Streams) -> None:
    for _ in range(BYTES // len(PIECE)):
        streams.send(PIECE)
    streams.line()


async def _agent_give(process: Process) -> None:
    for _ in range(BYTES // len(PIECE)):
        await process.write(PIECE)
    await anext(process.output())
