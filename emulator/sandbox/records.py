"""The stream of records in which an agent sends a tree of files."""

import struct
from dataclasses import dataclass

from emulator.sandbox.agent_errors import ProtocolViolation

_HEADER = struct.Struct("<IQH")
_PATH_MAX = 4096


@dataclass(frozen=True)
class File:
    """A regular file: its path below the root that was read, empty when it is that root.

    Bytes of a path that are no UTF-8 are U+FFFD. `changed` says that its size changed while it
    was read: zeros stand for what was missing.
    """

    path: str
    mode: int
    content: bytes
    changed: bool


class RecordReader:
    """Cuts the stream into files. Refuses more files or bytes than were asked for."""

    def __init__(self, max_files: int, max_bytes: int) -> None:
        self._files: list[File] = []
        self._files_left = max_files
        self._bytes_left = max_bytes
        self._buffer = bytearray()
        self._needed = _HEADER.size

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= self._needed and self._take():
            pass

    def finish(self) -> list[File]:
        """The files; the stream has ended."""
        if self._buffer:
            raise ProtocolViolation("a record is cut short")
        return self._files

    def _take(self) -> bool:
        """Takes the first record off the buffer when it is whole."""
        mode, size, path_length = _HEADER.unpack_from(self._buffer)
        if size > self._bytes_left or self._files_left == 0 or path_length > _PATH_MAX:
            raise ProtocolViolation("more files than asked for")
        content_at = _HEADER.size + path_length
        end = content_at + size + 1
        if len(self._buffer) < end:
            self._needed = end
            return False
        path = bytes(self._buffer[_HEADER.size : content_at])
        content = bytes(memoryview(self._buffer)[content_at : end - 1])
        self._files.append(File(_checked(path), mode & 0o7777, content, self._buffer[end - 1] != 0))
        self._files_left -= 1
        self._bytes_left -= size
        del self._buffer[:end]
        self._needed = _HEADER.size
        return True


def _checked(path: bytes) -> str:
    """A path that stays below its root whoever joins it to another."""
    parts = path.split(b"/") if path else []
    if any(part in (b"", b".", b"..") or b"\0" in part for part in parts):
        raise ProtocolViolation("a path that leaves its root")
    return path.decode("utf-8", "replace")
