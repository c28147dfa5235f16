"""Audit recordings: what the terminals of sessions showed, kept on disk until asked for.

Terminals hand their output over on the event loop; one thread writes it, in the same order. What is
shown is never logged, nor is a session held up by its recording: where the disk does not do its
part, the recording ends and says so.
"""

import asyncio
import gzip
import logging
import re
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from emulator.clock import Clock
from emulator.sandbox.program import Artifact
from emulator.sessions.recording_folder import (
    MAX_BYTES,
    End,
    Entry,
    RecordingFolder,
    marked,
    recorded,
)
from emulator.sessions.typescript import REASONS, Typescript

logger = logging.getLogger(__name__)

MAX_PENDING = MAX_BYTES
"""Bytes of one session that may wait for the disk: with more, its recording ends anyway."""
MAX_PENDING_TOGETHER = 4 * MAX_PENDING

_PIECE_COST = 128
"""What a piece takes in memory beside its bytes, about."""
_GATHER_SECONDS = 0.02
_SESSION_ID = re.compile(r"sess_[0-9a-f]{32}")

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Recording:
    """One session's. The loop asks `open`; everything else but `pending` is the thread's."""

    session_id: str
    folder: RecordingFolder
    open: bool = True
    pending: int = 0

    def store(self, segment: "Segment", entries: list[Entry]) -> None:
        folder = self.folder
        try:
            if folder.open():
                segment.path = segment.path or folder.add()
                folder.append(segment.path, entries)
        except OSError as error:
            self.end(End.UNWRITABLE, f": {error.strerror}")
        if folder.ended is not None:
            self.open = False

    def end(self, how: End, more: str = "") -> None:
        self.open = False
        if self.folder.ended is None:
            self.folder.end(how)
            logger.warning("the recording of %s ends: %s%s", self.session_id, REASONS[how], more)


@dataclass(slots=True, eq=False)
class Segment:
    """What one terminal shows, from the first byte to the last, apart from all others."""

    recording: _Recording
    _put: Callable[["Segment", bytes], None]
    _hurry: Callable[[], None]
    path: Path | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    def write(self, data: bytes) -> None:
        """Record `data` as shown now; returns at once and keeps nothing of a broken recording."""
        if self._closed:
            raise ValueError("the segment is closed")
        if data:
            self._put(self, data)

    def close(self) -> None:
        """There is no more; what was written goes to the disk now."""
        self._closed = True
        self._hurry()


class Recordings:
    """All of them, in `folder`. Everything is called on the event loop."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._epoch = clock.time() - clock.monotonic()
        self._thread = ThreadPoolExecutor(1, "recording")
        self._known: dict[str, _Recording] = {}
        self._pieces: list[tuple[Segment, float, bytes]] = []
        self._pending = self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, session_id: str) -> Segment:
        """A segment after those that have begun; raises ValueError when that is no session's id."""
        recording = self._known.get(session_id)
        if recording is None:
            recording = _Recording(session_id, RecordingFolder(self._path(session_id)))
            self._known[session_id] = recording
        segment = Segment(recording, self._put, self._write)
        self._put(segment, b"")
        return segment

    async def artifacts(self, session_id: str) -> list[Artifact]:
        """`session.log.gz` and `session.timing.gz`: all that was shown until now.

        Raises:
            ValueError: that is no session's id.
        """
        path, recording = self._path(session_id), self._known.get(session_id)
        await self.flush()
        ended = recording.folder.ended if recording is not None else None
        return await asyncio.to_thread(self._artifacts, session_id, path, ended)

    async def remove(self, session_id: str) -> None:
        """Forget a session; what its terminals show from now on is not recorded."""
        path, recording = self._path(session_id), self._known.pop(session_id, None)
        if recording is not None:
            recording.open = False
        self._write()
        await self._in_thread(lambda: _remove(path))

    async def keep_only(self, session_ids: Collection[str]) -> None:
        """Remove the recordings of all other sessions."""
        await self._in_thread(lambda: _remove_others(self._folder, session_ids))

    async def flush(self) -> None:
        """Wait until what was written before this is on disk."""
        self._write()
        await self._in_thread(lambda: None)

    async def close(self) -> None:
        await self.flush()
        self._thread.shutdown()

    def _path(self, session_id: str) -> Path:
        if _SESSION_ID.fullmatch(session_id) is None:
            raise ValueError(f"no session has the id {session_id!r}")
        return self._folder / session_id

    def _put(self, segment: Segment, data: bytes) -> None:
        recording, cost = segment.recording, len(data) + _PIECE_COST
        if not recording.open:
            return
        if recording.pending > MAX_PENDING or self._pending > MAX_PENDING_TOGETHER:
            self._break_off(recording)
            return
        self._count(recording, cost)
        self._pieces.append((segment, self._epoch + self._clock.monotonic(), data))
        self._write_soon()

    def _break_off(self, recording: _Recording) -> None:
        """What was taken until now is written still."""
        recording.open = False
        self._write()
        self._in_thread(lambda: recording.end(End.BEHIND))

    def _write_soon(self) -> None:
        """One batch at a time: a slow disk makes it larger, and the thread is woken less often."""
        if self._pieces and self._timer is None and not self._in_flight:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_GATHER_SECONDS, self._write)

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        self._in_flight += 1
        self._in_thread(lambda: _store(pieces)).add_done_callback(lambda _: self._written(pieces))

    def _written(self, pieces: list[tuple[Segment, float, bytes]]) -> None:
        self._in_flight -= 1
        for segment, _, data in pieces:
            self._count(segment.recording, -len(data) - _PIECE_COST)
        self._write_soon()

    def _count(self, recording: _Recording, cost: int) -> None:
        recording.pending += cost
        self._pending += cost

    def _in_thread(self, function: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _artifacts(self, session_id: str, path: Path, ended: End | None) -> list[Artifact]:
        script = Typescript()
        try:
            for segment in recorded(path):
                script.add(segment)
            ended = ended or marked(path)
        except OSError as error:
            logger.warning("the recording of %s cannot be read: %s", session_id, error.strerror)
            ended = End.UNREADABLE
        if ended is not None:
            script.end(ended)
        log = script.log(self._first_line(session_id, script.started))
        return [_packed("session.log.gz", log), _packed("session.timing.gz", script.timing)]

    def _first_line(self, session_id: str, started: float | None) -> str:
        if started is None:
            return f"Script of {session_id}, which showed nothing"
        return f"Script of {session_id}, started on {self._clock.isoformat(started)}"


def _packed(filename: str, content: bytes | bytearray) -> Artifact:
    return Artifact(filename, gzip.compress(content, compresslevel=6, mtime=0))


def _store(pieces: list[tuple[Segment, float, bytes]]) -> None:
    """Each segment's pieces together, in their order."""
    of_segments: dict[Segment, list[Entry]] = {}
    for segment, at, data in pieces:
        of_segments.setdefault(segment, []).append((at, data))
    for segment, entries in of_segments.items():
        segment.recording.store(segment, entries)


def _remove_others(folder: Path, session_ids: Collection[str]) -> None:
    for path in folder.glob("sess_*"):
        if path.name not in session_ids and _SESSION_ID.fullmatch(path.name):
            _remove(path)


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        logger.warning("the recording %s is not removed: %s", path, error.strerror)
