"""What services print, in files on the host: the newest bytes of each, within a bound."""

import asyncio
import os
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

HALF_BYTES = 4 * 1024 * 1024
"""Of a file; with more, what is older than the one before it is dropped."""

_PIECE = 65_536
"""Bytes that who follows a log is given at once."""

_SERVICE_ID = re.compile(r"unsb-service-[0-9a-f]{32}")


class ServiceLogs:
    """A file for each service, and the one before it, in a folder that is the owner's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    async def write(self, service_id: str, data: bytes) -> None:
        """Append what a service printed; returns when it is written, so that nothing piles up.

        Raises:
            OSError: the disk cannot be written to.
        """
        await asyncio.to_thread(self._write, self._path(service_id), data)
        for grown in self._followers.get(service_id, ()):
            grown.set()

    async def follow(self, service_id: str) -> AsyncGenerator[bytes, None]:
        """All that is kept, whole, then what is written from then on, piece by piece, for ever.

        Who is slow misses what was dropped meanwhile, and holds nobody up.

        Raises:
            OSError: the disk cannot be read.
        """
        path, grown = self._path(service_id), asyncio.Event()
        older, file = await asyncio.to_thread(self._opened, path)
        self._followers[service_id].add(grown)
        try:
            yield older + await asyncio.to_thread(file.read)
            while True:
                grown.clear()
                if piece := await asyncio.to_thread(file.read, _PIECE):
                    yield piece
                elif _is_over(file, path):
                    if rest := await asyncio.to_thread(file.read):
                        yield rest
                    file.close()
                    _, file = await asyncio.to_thread(self._opened, path)
                else:
                    await grown.wait()
        finally:
            file.close()
            self._followers[service_id].discard(grown)
            if not self._followers[service_id]:
                del self._followers[service_id]

    async def read(self, service_id: str, lines: int | None = None) -> str:
        """The last lines, or all that is kept."""
        return await asyncio.to_thread(self._read, self._path(service_id), lines)

    async def remove(self, service_id: str) -> None:
        await asyncio.to_thread(self._remove, self._path(service_id))

    async def keep_only(self, service_ids: Collection[str]) -> None:
        """Remove those of all other services."""
        await asyncio.to_thread(self._remove_others, service_ids)

    def _path(self, service_id: str) -> Path:
        if not _SERVICE_ID.fullmatch(service_id):
            raise ValueError("no service's id")
        return self._folder / f"{service_id}.log"

    def _write(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "ab", opener=_private) as file:
            file.write(data)
            size = file.tell()
        if size > HALF_BYTES:
            path.replace(_before(path))

    def _opened(self, path: Path) -> tuple[bytes, BinaryIO]:
        """What is in the file before this one, and this one, which is there from now on."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = _before(path)
        older = before.read_bytes() if before.exists() else b""
        return older, open(path, "rb", opener=_made)

    def _read(self, path: Path, lines: int | None) -> str:
        parts = []
        for one in (_before(path), path):
            with suppress(FileNotFoundError):
                parts.append(one.read_bytes())
        kept = b"".join(parts)
        return (kept if lines is None else last(kept, lines)).decode("utf-8", "replace")

    def _remove(self, path: Path) -> None:
        for one in (_before(path), path):
            one.unlink(missing_ok=True)

    def _remove_others(self, service_ids: Collection[str]) -> None:
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.partition(".")[0] not in service_ids:
                    path.unlink(missing_ok=True)


def _is_over(file: BinaryIO, path: Path) -> bool:
    """Whether another file takes its place: nothing more is written to this one."""
    try:
        return not os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True


def last(kept: bytes, lines: int) -> bytes:
    """The last lines, of which the last one may have no end yet.

    The whole is not taken to pieces, of which there may be millions.
    """
    if not lines:
        return b""
    at = len(kept) - kept.endswith(b"\n")
    for _ in range(lines):
        at = kept.rfind(b"\n", 0, at)
        if at < 0:
            return kept
    return kept[at + 1 :]


def _before(path: Path) -> Path:
    return path.with_suffix(".log.1")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _made(path: str, flags: int) -> int:
    return _private(path, flags | os.O_CREAT)
