"""Recordings, replayed by the real scriptreplay(1): what was shown, byte for byte."""

import asyncio
import gzip
import logging
import os
import random
import resource
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from emulator.clock import Clock
from emulator.paths import ROOT
from emulator.sandbox.program import Artifact
from emulator.sessions import recording, recording_folder
from emulator.sessions.recording import Recordings
from emulator.sessions.recording_folder import MAX_BYTES, SEGMENT_COST
from emulator.sessions.typescript import MAX_PAUSE_SECONDS
from tests.sandbox.agent_process import scenario

SESSION = f"sess_{'0123456789abcdef' * 2}"
OTHER = f"sess_{'f' * 32}"
SECRET = b"hunter2-shown-on-a-terminal"
MIB = 1 << 20
CHANCE = random.Random(7)  # noqa: S311 - bytes that are the same in each run
PLAY = "scriptreplay --divisor 1000000000 --timing <(gzip -dc {}) <(gzip -dc {})"


@asynccontextmanager
async def recordings(tmp_path: Path, clock: Clock | None = None) -> AsyncIterator[Recordings]:
    made = Recordings(tmp_path / "audit", clock or Clock())
    yield made
    await made.close()


def replay(artifacts: list[Artifact], tmp_path: Path) -> bytes:
    """What the player shows, without the line feed that it ends with."""
    assert [one.filename for one in artifacts] == ["session.log.gz", "session.timing.gz"]
    log, timing = (tmp_path / one.filename for one in artifacts)
    for artifact in artifacts:
        (tmp_path / artifact.filename).write_bytes(artifact.content)
    played = subprocess.run(
        ["bash", "-c", PLAY.format(timing, log)], capture_output=True, check=True, timeout=60
    )
    assert played.stderr == b""
    return played.stdout.removesuffix(b"\n")


def waits(artifacts: list[Artifact]) -> list[float]:
    lines = gzip.decompress(artifacts[1].content).splitlines()
    return [float(line.split()[0]) for line in lines]


def last_line(artifacts: list[Artifact]) -> bytes:
    return gzip.decompress(artifacts[0].content).splitlines()[-1]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def record(made: Recordings, *pieces: bytes, session: str = SESSION) -> bytes:
    """A segment of its own; what it showed."""
    segment = made.begin(session)
    for piece in pieces:
        segment.write(piece)
    segment.close()
    return b"".join(pieces)


PIECES = {
    "text": [b"$ ls\r\n", b"a  b\r\n", b"$ "],
    "a character that is cut": [b"caf\xc3", b"\xa9 \xe2", b"\x82\xac"],
    "escape sequences that are cut": [b"\x1b[2", b"J\x1b[1;1H", b"\x1b]0;title\x07", b"\x1b[0m"],
    "bytes of every value": [bytes(range(256)), b"\0\0\0", b"\n\n\r\r"],
    "no bytes": [b"", b"", b"x", b""],
    "what looks like a timing": [b"0.5 10\n", b"Script done\n"],
    "large": [CHANCE.randbytes(3 * MIB), b"end"],
}


@scenario
@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
async def test_a_replay_shows_what_was_shown(pieces: list[bytes], tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        shown = await record(made, *pieces)
        assert replay(await made.artifacts(SESSION), tmp_path) == shown


@scenario
async def test_many_terminals_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        segments = [made.begin(SESSION) for _ in range(4)]
        shown = [bytearray() for _ in segments]
        for step in range(8000):
            at = CHANCE.randrange(len(segments))
            piece = CHANCE.randbytes(CHANCE.choice((1, 3, 80, 1000)))
            segments[at].write(piece)
            shown[at] += piece
            if step % 50 == 0:
                await asyncio.sleep(0.001)
        assert replay(await made.artifacts(SESSION), tmp_path) == b"".join(shown)


@scenario
async def test_a_recording_can_be_had_while_the_session_goes_on(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        segment = made.begin(SESSION)
        segment.write(b"one")
        assert replay(await made.artifacts(SESSION), tmp_path) == b"one"
        segment.write(b" two")
        assert replay(await made.artifacts(SESSION), tmp_path) == b"one two"


@scenario
async def test_a_session_that_showed_nothing_has_an_empty_recording(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        assert replay(await made.artifacts(SESSION), tmp_path) == b""
        made.begin(SESSION)
        assert replay(await made.artifacts(SESSION), tmp_path) == b""


@scenario
async def test_waits_are_as_they_were_and_short_where_nobody_was_there(tmp_path: Path) -> None:
    clock = Clock()
    async with recordings(tmp_path, clock) as made:
        first = made.begin(SESSION)
        for seconds in (30, 3600):
            clock.advance(seconds)
            first.write(b"x")
        first.close()
        clock.advance(86_400)
        second = made.begin(SESSION)
        second.write(b"y")
        clock.advance(90)
        second.write(b"z")
        found = waits(await made.artifacts(SESSION))
    assert found[2] == MAX_PAUSE_SECONDS
    assert [int(wait) // 10 * 10 for wait in found] == [30, 3600, 0, 90]


@scenario
async def test_terminals_that_overlap_keep_the_waits_of_each(tmp_path: Path) -> None:
    clock = Clock()
    async with recordings(tmp_path, clock) as made:
        first, second = made.begin(SESSION), made.begin(SESSION)
        for _ in range(2):
            clock.advance(100)
            first.write(b"x")
            second.write(b"y")
        found = waits(await made.artifacts(SESSION))
    assert [int(wait) // 10 * 10 for wait in found] == [100, 100, 0, 100]


@scenario
async def test_sessions_are_recorded_apart(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        ours = await record(made, b"ours")
        theirs = await record(made, b"theirs", session=OTHER)
        assert replay(await made.artifacts(SESSION), tmp_path) == ours
        assert replay(await made.artifacts(OTHER), tmp_path) == theirs


# --- an emulator that ends ------------------------------------------------------------------

CHILD = """
import asyncio, sys
from itertools import count
from pathlib import Path
from emulator.clock import Clock
from emulator.sessions.recording import Recordings

async def main():
    made = Recordings(Path(sys.argv[1]), Clock())
    segment = made.begin(sys.argv[2])
    for number in count():
        segment.write(b"%08d" % number)
        if number % 100 == 0:
            await made.flush()
            print(number, flush=True)

asyncio.run(main())
"""


def killed_while_it_records(tmp_path: Path) -> int:
    """A number that was on disk by then."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "audit", SESSION],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        seen = [int(child.stdout.readline()) for _ in range(20)]
        child.kill()
    return seen[-1]


@scenario
async def test_what_a_killed_emulator_recorded_is_there_and_goes_on(tmp_path: Path) -> None:
    seen = killed_while_it_records(tmp_path)
    async with recordings(tmp_path) as made:
        before = replay(await made.artifacts(SESSION), tmp_path)
        whole = b"".join(b"%08d" % number for number in range(len(before) // 8 + 1))
        assert whole.startswith(before)
        assert len(before) > seen * 8
        after = await record(made, b"again")
        assert replay(await made.artifacts(SESSION), tmp_path) == before + after


@scenario
async def test_of_a_torn_file_all_bytes_that_are_there_are_shown(tmp_path: Path) -> None:
    pieces = (b"first ", b"second ", b"third")
    async with recordings(tmp_path) as made:
        shown = await record(made, *pieces)
        assert replay(await made.artifacts(SESSION), tmp_path) == shown
        (file,) = (tmp_path / "audit" / SESSION).iterdir()
        found = []
        for size in range(file.stat().st_size, -1, -1):
            os.truncate(file, size)
            log, timing = (gzip.decompress(it.content) for it in await made.artifacts(SESSION))
            body = log.partition(b"\n")[2]
            assert sum(int(line.split()[1]) for line in timing.splitlines()) == len(body)
            found.append(body)
            if size in (63, 55):  # in the bytes of the last entry, and in what stands before them
                assert replay(await made.artifacts(SESSION), tmp_path) == body
    assert all(shown.startswith(body) for body in found)
    assert set(found) == {shown[:length] for length in range(len(shown) + 1)}


@scenario
async def test_a_file_that_ends_in_zeros_after_a_power_cut_is_shown(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        shown = await record(made, b"before the cut")
        await made.flush()
        (file,) = (tmp_path / "audit" / SESSION).iterdir()
        with file.open("ab") as end:
            end.write(bytes(4096))
        more = await record(made, b" after it")
        artifacts = await made.artifacts(SESSION)
    assert replay(artifacts, tmp_path) == shown + more
    assert max(waits(artifacts)) <= MAX_PAUSE_SECONDS


# --- bounds ---------------------------------------------------------------------------------


@scenario
async def test_a_recording_ends_at_its_limit_and_says_so(tmp_path: Path) -> None:
    piece = bytes(range(256)) * 256
    async with recordings(tmp_path) as made:
        segment = made.begin(SESSION)
        for _ in range(MAX_BYTES // len(piece) + 8):
            segment.write(piece)
        artifacts = await made.artifacts(SESSION)
        segment.write(b"more")
        await record(made, b"and more")
        assert await made.artifacts(SESSION) == artifacts
    log = gzip.decompress(artifacts[0].content)
    assert len(log) < MAX_BYTES + 1000
    assert last_line(artifacts) == b"[The recording ends here: it has reached its limit of 16 MiB.]"
    shown, notice = (log.partition(b"\n")[2].rpartition(b"\r\n[")[at] for at in (0, 2))
    assert (piece * (MAX_BYTES // len(piece))).startswith(shown)
    assert len(shown) > MAX_BYTES - MIB
    assert replay(artifacts, tmp_path) == shown + b"\r\n[" + notice
    assert on_disk(tmp_path) <= MAX_BYTES + 100
    async with recordings(tmp_path) as restarted:
        await record(restarted, b"after a restart")
        assert await restarted.artifacts(SESSION) == artifacts


def on_disk(tmp_path: Path) -> int:
    return sum(path.stat().st_size for path in (tmp_path / "audit" / SESSION).iterdir())


@scenario
async def test_the_limit_counts_what_an_earlier_emulator_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_folder, "MAX_BYTES", 2 * SEGMENT_COST + 200)
    shown = b""
    for _ in range(2):
        async with recordings(tmp_path) as made:
            shown += await record(made, b"x" * 100)
            artifacts = await made.artifacts(SESSION)
    played = replay(artifacts, tmp_path)
    assert played.startswith(b"x" * 120)
    assert not played.startswith(shown)
    assert b"limit" in last_line(artifacts)


@scenario
async def test_single_bytes_and_idle_connections_do_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs more than it shows, so that is what counts."""
    monkeypatch.setattr(recording_folder, "MAX_BYTES", 20 * SEGMENT_COST)
    async with recordings(tmp_path) as made:
        for _ in range(100):
            made.begin(SESSION)
        segment = made.begin(OTHER)
        for _ in range(20_000):
            segment.write(b"x")
        await made.flush()
        assert len(names(tmp_path / "audit" / SESSION)) <= 21
        sizes = [path.stat().st_size for path in (tmp_path / "audit" / OTHER).iterdir()]
    assert sum(sizes) <= 20 * SEGMENT_COST + 100


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write on, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@scenario
async def test_a_full_disk_ends_the_recording_and_not_the_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    piece = SECRET * 1000
    async with recordings(tmp_path) as made:
        segment = made.begin(SESSION)
        with files_of_at_most(4 * MIB):
            for _ in range(6 * MIB // len(piece)):
                segment.write(piece)
            await made.flush()
        segment.write(b"after it")
        segment.close()
        artifacts = await made.artifacts(SESSION)
    async with recordings(tmp_path) as restarted:
        assert await restarted.artifacts(SESSION) == artifacts
    shown = replay(artifacts, tmp_path).rpartition(b"\r\n[")[0]
    assert (piece * 1000).startswith(shown)
    assert len(shown) > 4 * MIB - 100_000
    assert last_line(artifacts) == b"[The recording ends here: it could not be written to disk.]"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert SESSION in caplog.text
    assert SECRET.decode() not in caplog.text


@scenario
async def test_a_folder_that_cannot_be_made_ends_the_recording_and_not_the_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_bytes(b"a file")
    async with recordings(tmp_path) as made:
        for _ in range(2):
            await record(made, SECRET)
            await made.flush()
        artifacts = await made.artifacts(SESSION)
        await made.remove(SESSION)
    assert replay(artifacts, tmp_path).endswith(b"it could not be written to disk.]\r\n")
    assert len(caplog.records) == 1
    assert SECRET.decode() not in caplog.text


@contextmanager
def stuck_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is written before the end of the block."""
    write, goes_on = recording_folder._append, threading.Event()

    def wait(path: Path, content: bytes) -> None:
        goes_on.wait()
        write(path, content)

    monkeypatch.setattr(recording_folder, "_append", wait)
    try:
        yield
    finally:
        goes_on.set()


@scenario
async def test_a_disk_that_hangs_costs_bounded_memory_and_no_session_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "MAX_PENDING", 4 * MIB)
    piece = bytes(range(256)) * 256
    async with recordings(tmp_path) as made:
        with stuck_disk(monkeypatch):
            segment = made.begin(SESSION)
            for _ in range(8 * MIB // len(piece)):
                segment.write(piece)
                await asyncio.sleep(0)
            other = await record(made, b"little", session=OTHER)
        artifacts = await made.artifacts(SESSION)
        assert replay(await made.artifacts(OTHER), tmp_path) == other
    shown = replay(artifacts, tmp_path).rpartition(b"\r\n[")[0]
    assert (piece * 1000).startswith(shown)
    assert 3 * MIB < len(shown) <= 4 * MIB + len(piece)
    assert last_line(artifacts) == b"[The recording ends here: the disk was too slow for it.]"
    assert SESSION in caplog.text


@scenario
async def test_what_waits_for_the_disk_is_bounded_over_all_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_PENDING_TOGETHER", MIB)
    ids = [f"sess_{number:032x}" for number in range(64)]
    async with recordings(tmp_path) as made:
        with stuck_disk(monkeypatch):
            for session in ids:
                await record(made, bytes(MIB // 32), session=session)
        logs = [gzip.decompress((await made.artifacts(one))[0].content) for one in ids]
    assert MIB // 2 < sum(len(log) for log in logs) < 2 * MIB


# --- whose it is ----------------------------------------------------------------------------


@scenario
async def test_recordings_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with recordings(tmp_path) as made:
            await record(made, b"x")
            await made.artifacts(SESSION)
    finally:
        os.umask(before)
    audit = tmp_path / "audit"
    modes = {path.stat().st_mode & 0o777 for path in [audit, *audit.iterdir()]}
    assert modes == {0o700}
    assert {path.stat().st_mode & 0o777 for path in audit.glob("*/*")} == {0o600}


BAD_IDS = ("", "..", "sess_", f"{SESSION}/..", f"../{SESSION}", SESSION.upper(), f"{SESSION}\n")


@scenario
@pytest.mark.parametrize("bad", BAD_IDS)
async def test_what_is_no_session_id_becomes_no_path(bad: str, tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        with pytest.raises(ValueError, match="no session has the id"):
            made.begin(bad)
        for refused in (made.artifacts(bad), made.remove(bad)):
            with pytest.raises(ValueError, match="no session has the id"):
                await refused
    assert names(tmp_path) == set()


@scenario
async def test_a_removed_recording_is_gone_though_its_terminal_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with recordings(tmp_path) as made:
        segment = made.begin(SESSION)
        segment.write(b"before")
        other = await record(made, b"other", session=OTHER)
        await made.remove(SESSION)
        segment.write(b"after")
        assert replay(await made.artifacts(SESSION), tmp_path) == b""
        assert replay(await made.artifacts(OTHER), tmp_path) == other
        await made.remove(SESSION)
    assert names(tmp_path / "audit") == {OTHER}
    assert caplog.records == []


@scenario
async def test_recordings_of_sessions_that_are_no_more_go_at_the_start(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        await made.keep_only([SESSION])
        for session in (SESSION, OTHER):
            await record(made, b"x", session=session)
    (tmp_path / "audit" / "sess_notes").mkdir()
    async with recordings(tmp_path) as restarted:
        await restarted.keep_only([SESSION])
    assert names(tmp_path / "audit") == {SESSION, "sess_notes"}


@scenario
async def test_a_closed_segment_takes_no_more(tmp_path: Path) -> None:
    async with recordings(tmp_path) as made:
        segment = made.begin(SESSION)
        segment.close()
        with pytest.raises(ValueError, match="closed"):
            segment.write(b"x")
