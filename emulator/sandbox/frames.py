"""The frames between emulator and agent: a pure codec, without input or output.

A frame is a header of 20 bytes, little-endian, and a payload of at most 65,536 bytes: magic `UB`,
type, flags, channel, epoch, payload length, and a CRC-32 of the header before it and the payload.
Payloads are fields: tag, length, bytes. `docs/agent.md` is the reference for both sides.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

VERSION: Final = 1
PAYLOAD_MAX: Final = 65_536
WINDOW: Final = 256 * 1024
OPEN_MAX: Final = 2 * 1024 * 1024
OWN_CHANNELS: Final = 0x8000_0000
MORE: Final = 1

_MAGIC: Final = b"UB"
_HEADER = struct.Struct("<2sBBIII")
_CHECKSUM = struct.Struct("<I")
_FIELD = struct.Struct("<BI")
HEADER_SIZE: Final = _HEADER.size + _CHECKSUM.size
FRAME_MAX: Final = HEADER_SIZE + PAYLOAD_MAX

PADDING: Final = bytes(FRAME_MAX)
"""Zeros that complete any frame a reader was left with half of; skipped between frames."""


class Type(IntEnum):
    """What a frame is."""

    HELLO = 1
    OPEN = 2
    OPENED = 3
    DATA = 4
    EOF = 5
    CREDIT = 6
    SIGNAL = 7
    RESIZE = 8
    EXIT = 9
    ERROR = 10
    CLOSE = 11
    ADOPT = 12
    CLEAN = 13
    REPORT = 14
    PING = 15
    PONG = 16


class StreamId(IntEnum):
    """Which stream of a channel DATA and EOF are of; stands in the flags."""

    IN = 0
    OUT = 1
    ERR = 2


class Kind(IntEnum):
    """What an OPEN opens."""

    EXEC = 1
    WRITE = 2
    MKDIR = 3
    SYMLINK = 4
    READ = 5
    CONNECT = 6
    LISTEN = 7
    ACCEPTED = 8
    DATAGRAMS = 9


class Tag(IntEnum):
    """The fields of payloads, in one numbering for all types of frame."""

    VERSION = 1
    WINDOW = 2
    BOOT_ID = 3
    KEY = 4
    KIND = 5
    ARG = 6
    ENV = 7
    CWD = 8
    UID = 9
    GID = 10
    STDIN = 11
    PTY = 12
    RLIMIT = 13
    OUTPUT_LIMIT = 14
    ALONE = 15
    UMASK = 16
    ROOT = 17
    PATH = 18
    MODE = 19
    SIZE = 20
    TARGET = 21
    MAX_FILES = 22
    MAX_BYTES = 23
    MAX_DEPTH = 24
    ADDRESS = 25
    PORT = 26
    LISTENER = 27
    PID = 28
    ERRNO = 29
    TEXT = 30
    MOUNT = 31
    CODE = 32
    SIGNAL = 33
    USER_US = 34
    SYSTEM_US = 35
    MAX_RSS_KIB = 36
    WALL_US = 37
    STDOUT_SEEN = 38
    STDOUT_DROPPED = 39
    STDERR_SEEN = 40
    STDERR_DROPPED = 41
    OOM_KILLS = 42
    PROCESSES = 43
    FILES = 44
    BYTES = 45
    SKIPPED = 46
    IPC = 47
    SOCKETS = 48
    ELAPSED_US = 49


class FrameError(Exception):
    """Bytes that are no frames, or a payload that is no fields."""


class Frame(NamedTuple):
    """One frame. `type` stays a plain number: an unknown one is for the receiver to judge."""

    type: int
    flags: int
    channel: int
    epoch: int
    payload: bytes


def header(type_: int, channel: int, epoch: int, payload: bytes | memoryview, flags: int) -> bytes:
    """The 20 bytes before a payload of at most `PAYLOAD_MAX` bytes."""
    head = _HEADER.pack(_MAGIC, type_, flags, channel, epoch, len(payload))
    return head + _CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head)))


def encode(type_: int, channel: int, epoch: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """A whole frame."""
    return header(type_, channel, epoch, payload, flags) + payload


class Decoder:
    """Cuts a stream of bytes into frames, and finds its feet again after anything else.

    `garbage_max` bounds the bytes skipped and `mismatches_max` the wrong checksums, because each
    costs a look at 64 KiB. Both hold since the last `forgive()`; beyond them `feed` raises
    `FrameError`. Zeros between frames are padding and not counted.
    """

    def __init__(self, *, garbage_max: int = 1 << 20, mismatches_max: int = 256) -> None:
        self.garbage_max = garbage_max
        self.mismatches_max = mismatches_max
        self.garbage = 0
        self.mismatches = 0
        self._buffer = bytearray()

    def forgive(self) -> None:
        """Starts the counts of garbage anew."""
        self.garbage = self.mismatches = 0

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """The frames completed by these bytes, in order; never keeps more than one frame's."""
        self._buffer += data
        frames: list[Frame] = []
        at = 0
        with memoryview(self._buffer) as view:
            while True:
                frame, at = self._next(view, at)
                if frame is None:
                    break
                frames.append(frame)
        del self._buffer[:at]
        return frames

    def _next(self, view: memoryview, at: int) -> tuple[Frame | None, int]:
        """The first whole frame at or after `at`, and where the rest begins."""
        while True:
            at = self._seek(at)
            if len(view) - at < HEADER_SIZE:
                return None, at
            magic, type_, flags, channel, epoch, length = _HEADER.unpack_from(view, at)
            if magic == _MAGIC and length <= PAYLOAD_MAX:
                end = at + HEADER_SIZE + length
                if len(view) < end:
                    return None, at
                payload = bytes(view[at + HEADER_SIZE : end])
                if self._intact(view, at, payload):
                    return Frame(type_, flags, channel, epoch, payload), end
                self._count(mismatches=1)
            self._count(garbage=1)
            at += 1

    def _seek(self, at: int) -> int:
        """Where the next frame may begin; what is passed over, zeros apart, is garbage."""
        buffer = self._buffer
        if buffer[at : at + 2] == _MAGIC:
            return at
        found = buffer.find(_MAGIC, at)
        if found < 0:
            found = len(buffer) - (buffer[-1:] == _MAGIC[:1] and len(buffer) > at)
        self._count(garbage=found - at - buffer.count(0, at, found))
        return found

    def _intact(self, view: memoryview, at: int, payload: bytes) -> bool:
        end = at + _HEADER.size
        (expected,) = _CHECKSUM.unpack_from(view, end)
        return bool(zlib.crc32(payload, zlib.crc32(view[at:end])) == expected)

    def _count(self, *, garbage: int = 0, mismatches: int = 0) -> None:
        self.garbage += garbage
        self.mismatches += mismatches
        if self.garbage > self.garbage_max or self.mismatches > self.mismatches_max:
            raise FrameError("too much garbage between frames")


def field(tag: int, value: bytes) -> bytes:
    """One field with its tag and length."""
    return _FIELD.pack(tag, len(value)) + value


def text(tag: int, value: str) -> bytes:
    """A text field; lone surrogates stand for bytes that were no UTF-8, as in file names."""
    return field(tag, value.encode("utf-8", "surrogateescape"))


def number(tag: int, value: int, size: int = 4) -> bytes:
    """A number of `size` bytes, 4 or 8; raises OverflowError when it does not fit."""
    return field(tag, value.to_bytes(size, "little"))


def fields(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a payload in order; raises FrameError when the last one is cut short."""
    at = 0
    while at < len(payload):
        if len(payload) - at < _FIELD.size:
            raise FrameError("a field is cut short")
        tag, length = _FIELD.unpack_from(payload, at)
        at += _FIELD.size
        if len(payload) - at < length:
            raise FrameError("a field is cut short")
        yield tag, payload[at : at + length]
        at += length


class Fields:
    """The fields of a payload by tag, read as what they should be; FrameError otherwise."""

    def __init__(self, payload: bytes) -> None:
        self._values: dict[int, list[bytes]] = {}
        for tag, value in fields(payload):
            self._values.setdefault(tag, []).append(value)

    def all(self, tag: Tag) -> list[bytes]:
        return self._values.get(tag, [])

    def one(self, tag: Tag) -> bytes:
        found = self._values.get(tag, ())
        if len(found) != 1:
            raise FrameError(f"{tag.name} came {len(found)} times")
        return found[0]

    def number(self, tag: Tag) -> int:
        """A number of 4 or 8 bytes, 0 when absent."""
        if tag not in self._values:
            return 0
        value = self.one(tag)
        if len(value) not in (4, 8):
            raise FrameError(f"{tag.name} is no number")
        return int.from_bytes(value, "little")

    def text(self, tag: Tag) -> str:
        """A text, empty when absent; bytes that are no UTF-8 become U+FFFD."""
        return self.one(tag).decode("utf-8", "replace") if self.all(tag) else ""


class Demultiplexer:
    """Takes Docker's framing off an attached stream: stdout to one callback, the rest to another.

    Docker puts 8 bytes before each piece: the stream's number, three zeros, and a big-endian
    length. Pieces are passed on as they come; nothing but an incomplete header is kept. What
    cannot be such a header raises FrameError: one wrong length would swallow all that follows.
    """

    _PREFIX = struct.Struct(">B3sI")
    _STREAMS = 3
    _PIECE_MAX = 16 << 20

    def __init__(
        self, stdout: Callable[[memoryview], None], other: Callable[[memoryview], None]
    ) -> None:
        self._sinks = {1: stdout}
        self._other = other
        self._prefix = bytearray()
        self._sink = other
        self._left = 0

    def feed(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = self._pass_on(view) if self._left else self._take_prefix(view)

    def _take_prefix(self, view: memoryview) -> memoryview:
        missing = self._PREFIX.size - len(self._prefix)
        self._prefix += view[:missing]
        if len(self._prefix) == self._PREFIX.size:
            stream, zeros, self._left = self._PREFIX.unpack(self._prefix)
            if stream >= self._STREAMS or any(zeros) or self._left > self._PIECE_MAX:
                raise FrameError("the engine's framing is out of step")
            self._sink = self._sinks.get(stream, self._other)
            self._prefix.clear()
        return view[missing:]

    def _pass_on(self, view: memoryview) -> memoryview:
        piece = view[: self._left]
        self._left -= len(piece)
        self._sink(piece)
        return view[len(piece) :]
