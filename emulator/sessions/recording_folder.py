"""A session's recording on disk: a folder, and in it a file for each segment.

A file is a row of entries: when (a double, seconds since the epoch), how many bytes (32 bits), the
bytes. It is appended to and never changed, so that a kill or a full disk cuts the last entry at
most, of which the bytes that are there count.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
"""Of one session's recording, on disk."""
SEGMENT_COST = 4096
"""What a segment counts for beside its entries: the block that its file takes at least."""

Entry = tuple[float, bytes]
"""When, and what the terminal showed then."""

_HEAD = struct.Struct("<dI")
_SEGMENTS = "*.segment"


class End(StrEnum):
    """Why a recording ends before its session does."""

    FULL = "full"
    UNWRITABLE = "unwritable"
    BEHIND = "behind"
    UNREADABLE = "unreadable"


class RecordingFolder:
    """Writes one recording, as the only one that does; `ended` is for good.

    Raises:
        OSError: (all methods but `end`) the disk cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ended: End | None = None
        self._opened = False
        self._used = 0
        self._last = 0

    def open(self) -> bool:
        """Make it, or go on where an earlier emulator stopped; whether there is more to record."""
        if not self._opened and self.ended is None:
            for folder in (self.path.parent, self.path):
                folder.mkdir(mode=0o700, exist_ok=True)
            there = _segments(self.path)
            self._used = sum(SEGMENT_COST + path.stat().st_size for path in there)
            self._last = int(there[-1].stem) if there else 0
            self.ended = marked(self.path)
            self._opened = True
        return self.ended is None

    def add(self) -> Path:
        """A new segment, after all others."""
        self._last += 1
        self._used += SEGMENT_COST
        path = self.path / f"{self._last:06d}.segment"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return path

    def append(self, segment: Path, entries: Iterable[Entry]) -> None:
        """Write as much as the recording has room for, which ends it where that is not all."""
        _append(segment, b"".join(self._fitting(entries)))

    def end(self, how: End) -> None:
        """Mark it as broken off; a disk that refuses even this leaves it to `ended` alone."""
        self.ended = how
        with suppress(OSError):
            (self.path / f"{how}.ended").touch(mode=0o600)

    def _fitting(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        for at, data in entries:
            room = MAX_BYTES - self._used - _HEAD.size
            kept = data[: max(room, 0)]
            self._used += _HEAD.size + len(kept)
            yield _HEAD.pack(at, len(kept))
            yield kept
            if room < len(data):
                self.end(End.FULL)
                return


def recorded(path: Path) -> Iterator[Iterator[Entry]]:
    """The segments that a folder holds, in order; none when there is no folder."""
    for segment in _segments(path):
        yield _entries(segment.read_bytes())


def marked(path: Path) -> End | None:
    """How the recording in a folder was broken off; None when it was not."""
    return next((how for how in End if (path / f"{how}.ended").exists()), None)


def _segments(path: Path) -> list[Path]:
    return sorted(path.glob(_SEGMENTS), key=lambda segment: int(segment.stem))


def _entries(content: bytes) -> Iterator[Entry]:
    at = 0
    while at + _HEAD.size <= len(content):
        when, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        yield when, content[at : at + length]
        at += length


def _append(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(handle, left) :]
    finally:
        os.close(handle)
