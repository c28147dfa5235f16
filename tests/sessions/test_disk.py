"""Real containers that write to their roots, watched through the real engine."""

import asyncio
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from emulator.clock import Clock
from emulator.errors import SandboxFailed
from emulator.paths import RUNTIMES
from emulator.sandbox.engine import Engine, EngineError
from emulator.sandbox.images import Images, build, plan
from emulator.sandbox.limits import MIB
from emulator.sandbox.runtimes import Catalogue
from emulator.sessions import disk as disk_module
from emulator.sessions.disk import MEASURE_SECONDS, DiskWatch
from emulator.sessions.disk_space import BYTES_PER_INODE, Floor, Verdict, free_space
from tests.sandbox.agent_container import running_container
from tests.sandbox.agent_process import scenario
from tests.sandbox.session_container import OPTIONS

BUDGET = 32 * MIB
FLOOR = 2048 * MIB
PLENTY = 1 << 40
DEEP = """
import os
os.mkdir("/written")
os.chdir("/written")
for _ in range(20):
    os.mkdir("x" * 250)
    os.chdir("x" * 250)
"""


class Writer:
    """A container that is paused when its disk's watch says so."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self.container_id = container_id
        self.reasons: list[str] = []
        self.fails = False

    @property
    def paused(self) -> bool:
        return bool(self._container.status == "paused")

    @property
    def _container(self) -> Any:  # noqa: ANN401 - docker's own
        return self._engine.client.containers.get(self.container_id)

    async def stop_for_disk(self, reason: str) -> None:
        self.reasons.append(reason)
        if self.fails:
            raise SandboxFailed("it is asked to fail")
        await self._engine.pause(self.container_id)

    async def resume(self) -> None:
        await self._engine.unpause(self.container_id)

    def begin_anew(self) -> None:
        if self.paused:
            self._container.unpause()
        self.run("rm -rf /written")
        self.reasons.clear()
        self.fails = False

    def run(self, script: str) -> None:
        ended = self._container.exec_run(["sh", "-ec", script], user="0")
        assert ended.exit_code == 0, ended.output

    def take(self, mebibytes: int) -> None:
        """Take space, in no time: a command that is paused would not come back."""
        self.run(f"mkdir -p /written; fallocate -l {mebibytes}MiB $(mktemp -u /written/XXXXXX)")

    def write(self, mebibytes: int) -> None:
        """Begin to write."""
        argv = ["sh", "-c", f"head -c {mebibytes * MIB} /dev/zero >/written"]
        self._container.exec_run(argv, user="0", detach=True)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "LOOK_SECONDS", 0.1)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(docker.from_env(), "disk-test", workers=4)
    yield made
    made.close()


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    wanted = Images(engine.client, Catalogue.load(RUNTIMES)).image("python")
    build(engine.client, plan(engine.client, [wanted]), tmp_path_factory.mktemp("logs"), print)
    return wanted.reference


@pytest.fixture(scope="module")
def writers(engine: Engine, image: str) -> Iterator[tuple[Writer, Writer]]:
    with (
        running_container(engine.client, image, **OPTIONS) as first,
        running_container(engine.client, image, **OPTIONS) as second,
    ):
        yield Writer(engine, first.id), Writer(engine, second.id)


@pytest.fixture
def big(writers: tuple[Writer, Writer]) -> Writer:
    writers[0].begin_anew()
    return writers[0]


@pytest.fixture
def small(writers: tuple[Writer, Writer]) -> Writer:
    writers[1].begin_anew()
    return writers[1]


class Disk:
    """What a reading of it finds."""

    def __init__(self) -> None:
        self.free = PLENTY

    def __call__(self) -> int:
        return self.free


def watch_of(
    engine: Engine,
    *writers: Writer,
    clock: Clock | None = None,
    disk: Callable[[], int] | None = None,
    budget: int = BUDGET,
) -> DiskWatch:
    def running() -> list[Writer]:
        return [one for one in writers if not one.paused]

    return DiskWatch(engine, clock or Clock(), budget, FLOOR, running, disk)


@asynccontextmanager
async def watching(watch: DiskWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the engine tells nobody
        await asyncio.sleep(0.05)


async def looked(watch: DiskWatch, times: int = 1) -> None:
    """Look, and let what follows from it begin."""
    for _ in range(times):
        await watch.look()
        await asyncio.sleep(0.02)


async def measured(engine: Engine, clock: Clock, *writers: Writer) -> None:
    """Return when all have been measured, and what follows from it was done."""
    told: set[str] = set()
    written = engine.written

    async def seen(container_id: str) -> int:
        size = await written(container_id)
        told.add(container_id)
        return size

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "written", seen)
        while not {one.container_id for one in writers} <= told:
            clock.advance(MEASURE_SECONDS)
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)


# --- the budget -----------------------------------------------------------------------------


@scenario
async def test_what_writes_more_than_its_budget_is_stopped_and_nobody_else(
    engine: Engine, big: Writer, small: Writer
) -> None:
    clock = Clock()
    async with watching(watch_of(engine, big, small, clock=clock)):
        small.write(8)
        big.write(64)
        await until(lambda: big.paused)
        await measured(engine, clock, small)
    assert await engine.written(small.container_id) == 8 * MIB
    (reason,) = big.reasons
    assert re.fullmatch(r"It wrote \d+ MiB to its disk; it may write 32 MiB", reason)
    assert (small.paused, small.reasons) == (False, [])


@scenario
async def test_what_cannot_be_measured_is_stopped(
    engine: Engine, big: Writer, small: Writer
) -> None:
    """The engine gives up where a path is longer than the system takes."""
    clock = Clock()
    async with watching(watch_of(engine, big, small, clock=clock)):
        small.take(16)
        big.run(f"python3 -c '{DEEP}'")
        await until(lambda: big.paused)
        await measured(engine, clock, small)
    (reason,) = big.reasons
    assert "cannot be measured" in reason
    assert (small.paused, small.reasons) == (False, [])


@scenario
async def test_it_is_noticed_by_the_space_that_goes(engine: Engine, big: Writer) -> None:
    """Without that, nothing is measured for half a minute, which here never passes."""
    disk, clock = Disk(), Clock()
    watch = watch_of(engine, big, clock=clock, disk=disk)
    async with watching(watch):
        await measured(engine, clock, big)
        big.take(64)
        disk.free += 100 * MIB
        await watch.look()
        disk.free -= 64 * MIB
        await until(lambda: big.paused)


@scenario
async def test_who_goes_on_has_room_to_clean_up_but_not_for_more(
    engine: Engine, big: Writer
) -> None:
    clock = Clock()
    async with watching(watch_of(engine, big, clock=clock)):
        big.take(64)
        await until(lambda: big.paused)
        await big.resume()
        await measured(engine, clock, big)
        assert not big.paused
        big.take(16)
        await until(lambda: big.paused)
        await big.resume()
        big.run("rm -r /written")
        await measured(engine, clock, big)
        big.take(40)
        await until(lambda: big.paused)
    assert [reason.split(" to ")[0] for reason in big.reasons] == [
        "It wrote 64 MiB",
        "It wrote 80 MiB",
        "It wrote 40 MiB",
    ]


@scenario
async def test_what_could_not_be_stopped_is_tried_again(
    engine: Engine, big: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with watching(watch_of(engine, big, clock=clock)):
        big.fails = True
        big.take(64)
        await until(lambda: bool(big.reasons))
        big.fails = False
        await measured(engine, clock, big)
        await until(lambda: big.paused)
    assert "is not stopped: it is asked to fail" in caplog.text


@scenario
async def test_a_container_that_is_gone_hides_nobody(engine: Engine, big: Writer) -> None:
    gone = Writer(engine, "0" * 64)
    watch = DiskWatch(engine, Clock(), BUDGET, FLOOR, lambda: [gone, big], Disk())
    big.take(64)
    async with watching(watch):
        await until(lambda: big.paused)
    assert gone.reasons == []


# --- the floor ------------------------------------------------------------------------------


@scenario
async def test_below_the_floor_who_wrote_most_is_stopped_first(
    engine: Engine, big: Writer, small: Writer
) -> None:
    big.take(20)
    small.take(4)
    disk = Disk()
    watch = watch_of(engine, small, big, disk=disk, budget=PLENTY)
    await looked(watch, 2)
    assert big.reasons == small.reasons == []
    disk.free = FLOOR - 1
    await looked(watch)
    await until(lambda: big.paused)
    disk.free -= 20 * MIB  # it wrote on until then
    await looked(watch, 3)
    assert small.reasons == []
    disk.free -= 20 * MIB
    await looked(watch)
    await until(lambda: small.paused)
    reason = "The host's disk is nearly full: 2048 MiB of it are to stay free"
    assert big.reasons == small.reasons == [reason]


@scenario
async def test_below_the_floor_who_writes_now_counts_more_than_who_did(
    engine: Engine, big: Writer, small: Writer
) -> None:
    disk, clock = Disk(), Clock()
    big.take(20)
    watch = watch_of(engine, big, small, clock=clock, disk=disk, budget=PLENTY)
    async with watching(watch):
        await measured(engine, clock, big, small)
        small.take(8)
        disk.free = FLOOR - 1
        await until(lambda: small.paused)
    assert not big.paused


@scenario
async def test_each_time_that_the_floor_is_reached_counts(
    engine: Engine, big: Writer, small: Writer
) -> None:
    disk = Disk()
    watch = watch_of(engine, big, small, disk=disk, budget=PLENTY)
    for free, stopped in (
        (FLOOR - 1, 1),
        (FLOOR + 1, 1),
        (FLOOR - 2, 1),
        (PLENTY, 1),
        (FLOOR - 1, 2),
    ):
        disk.free = free
        await looked(watch, 3)
        assert len(big.reasons + small.reasons) == stopped
        await until(lambda: big.paused + small.paused == len(big.reasons + small.reasons))


@scenario
async def test_far_below_the_floor_nothing_goes_on(
    engine: Engine, big: Writer, small: Writer
) -> None:
    disk = Disk()
    disk.free = FLOOR // 2 - 1
    await watch_of(engine, big, small, disk=disk).look()
    await until(lambda: big.paused and small.paused)


@scenario
async def test_what_the_engine_does_not_count_is_stopped_by_the_floor(
    engine: Engine, big: Writer
) -> None:
    big.run("mkdir /written; cd /written; seq 1 2000 | xargs touch")
    assert await engine.written(big.container_id) < MIB
    big.run("truncate -s 1G /written/sparse")
    assert await engine.written(big.container_id) >= 1024 * MIB
    big.run("rm /written/sparse; head -c 64000000 /dev/zero >/dev/shm/x; rm /dev/shm/x")
    held = "exec 3>/written/held; rm /written/held; head -c 64000000 /dev/zero >&3"
    big.run(
        f"({held}; : >/written/done; sleep 60) >/dev/null 2>&1 & until ls /written/done; do :; done"
    )
    assert await engine.written(big.container_id) < MIB
    disk = Disk()
    watch = watch_of(engine, big, disk=disk)
    disk.free = FLOOR - 1
    await watch.look()
    await until(lambda: big.paused)


def test_what_is_written_until_the_stop_is_done_stops_nobody_else() -> None:
    floor = Floor(FLOOR)
    looks = [(1, False), (100, True), (200, True), (300, False), (310, False), (320, False)]
    verdicts = [floor.verdict(FLOOR - less * MIB, stopping=stopping) for less, stopping in looks]
    nobody = [Verdict.NOBODY] * 4
    assert verdicts == [Verdict.WORST, *nobody, Verdict.WORST]


# --- the disk -------------------------------------------------------------------------------


@scenario
async def test_an_engine_elsewhere_is_told_once_and_budgets_hold_all_the_same(
    engine: Engine,
    big: Writer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert await engine.data_root() is None
    clock = Clock()
    async with watching(watch_of(engine, big, clock=clock)):
        big.take(64)
        await measured(engine, clock, big)
        await until(lambda: big.paused)
    told = [record for record in caplog.records if "is not watched" in record.message]
    assert [record.levelno for record in told] == [logging.WARNING]


@scenario
async def test_the_size_of_no_container_is_an_error_of_the_engine(engine: Engine) -> None:
    with pytest.raises(EngineError, match="there is no container 000"):
        await engine.written("0" * 64)


def test_free_space_is_of_bytes_or_inodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < free_space(tmp_path)() <= shutil.disk_usage(tmp_path).free
    few = list(os.statvfs(tmp_path))
    few[7] = 10
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(few))
    assert free_space(tmp_path)() == 10 * BYTES_PER_INODE
