"""What is asked of an agent and what it answers, as values; encoded and decoded here alone."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final

from emulator.sandbox import frames
from emulator.sandbox.frames import Fields, FrameError, Kind, Tag

UNLIMITED: Final = 2**64 - 1
"""For `Spawn.rlimits`: no limit."""


class Scope(IntEnum):
    """Whom a signal reaches: the process group, all of the sandbox, a terminal's foreground."""

    GROUP = 0
    ALL = 1
    FOREGROUND = 2


@dataclass(frozen=True, kw_only=True)
class Spawn:
    """A program to run. `env` is the whole environment; `PATH` in it finds `argv[0]`.

    `stdin` gives it a pipe instead of /dev/null; `pty` (columns, rows) a terminal for all three
    streams. `rlimits` maps Linux resource numbers to (soft, hard). Of each output stream
    `output_limit` bytes are sent, the rest is read, counted and dropped in the sandbox. `alone`
    kills everything else in the container when the program ends; `key` lets it outlive the
    emulator, to be adopted later.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    uid: int
    gid: int
    stdin: bool = False
    pty: tuple[int, int] | None = None
    rlimits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    output_limit: int | None = None
    alone: bool = False
    key: str | None = None
    umask: int | None = None

    def encode(self) -> bytes:
        parts = [
            frames.number(Tag.KIND, Kind.EXEC),
            *(frames.text(Tag.ARG, word) for word in self.argv),
            *(frames.text(Tag.ENV, f"{name}={value}") for name, value in self.env.items()),
            frames.text(Tag.CWD, self.cwd),
            _owner(self.uid, self.gid),
            frames.number(Tag.STDIN, self.stdin),
            frames.number(Tag.ALONE, self.alone),
            *(
                frames.field(Tag.RLIMIT, _numbers((resource, 4), (soft, 8), (hard, 8)))
                for resource, (soft, hard) in self.rlimits.items()
            ),
        ]
        if self.pty is not None:
            parts.append(frames.field(Tag.PTY, size(*self.pty)))
        if self.output_limit is not None:
            parts.append(frames.number(Tag.OUTPUT_LIMIT, self.output_limit, 8))
        if self.key is not None:
            parts.append(frames.text(Tag.KEY, self.key))
        if self.umask is not None:
            parts.append(frames.number(Tag.UMASK, self.umask))
        return b"".join(parts)


@dataclass(frozen=True)
class Exit:
    """How a process ended. Times are microseconds; usage includes the orphans of a lone run."""

    code: int
    signal: int
    user_us: int
    system_us: int
    max_rss_kib: int
    wall_us: int
    stdout_seen: int
    stdout_dropped: int
    stderr_seen: int
    stderr_dropped: int
    oom_kills: int
    processes_left: int

    @property
    def status(self) -> int:
        """The exit code as a shell shows it: 128 + signal for a process that was killed."""
        return 128 + self.signal if self.signal else self.code

    @classmethod
    def decode(cls, payload: bytes) -> "Exit":
        found = Fields(payload)
        ended = cls(*(found.number(tag) for tag in _EXIT_TAGS))
        if ended.code > 255 or ended.signal >= signal.NSIG:
            raise FrameError("an impossible exit status")
        return ended


_EXIT_TAGS: Final = (
    Tag.CODE,
    Tag.SIGNAL,
    Tag.USER_US,
    Tag.SYSTEM_US,
    Tag.MAX_RSS_KIB,
    Tag.WALL_US,
    Tag.STDOUT_SEEN,
    Tag.STDOUT_DROPPED,
    Tag.STDERR_SEEN,
    Tag.STDERR_DROPPED,
    Tag.OOM_KILLS,
    Tag.PROCESSES,
)


@dataclass(frozen=True)
class Hello:
    """What an agent says of itself: the same boot id means the same agent, never restarted."""

    boot_id: bytes
    kept: tuple[str, ...]

    @classmethod
    def decode(cls, payload: bytes) -> "Hello":
        found = Fields(payload)
        version = found.number(Tag.VERSION)
        if version != frames.VERSION:
            raise FrameError(f"the agent speaks version {version}, not {frames.VERSION}")
        kept = tuple(key.decode("utf-8", "replace") for key in found.all(Tag.KEY))
        return cls(found.one(Tag.BOOT_ID), kept)


@dataclass(frozen=True)
class MountUse:
    """What a wiped mount still holds."""

    bytes: int
    inodes: int
    entries: int

    @property
    def empty(self) -> bool:
        """An empty tmpfs has one inode, its root; without entries others are open somewhere."""
        return self.bytes == 0 and self.inodes <= 1 and self.entries == 0


@dataclass(frozen=True)
class CleanReport:
    """What was left after cleaning."""

    processes: int
    ipc: int
    sockets: int
    mounts: tuple[MountUse, ...]
    elapsed_us: int

    @property
    def spotless(self) -> bool:
        """True when nothing was left anywhere."""
        left = (self.processes, self.ipc, self.sockets)
        return left == (0, 0, 0) and all(mount.empty for mount in self.mounts)

    @classmethod
    def decode(cls, payload: bytes) -> "CleanReport":
        found = Fields(payload)
        return cls(
            found.number(Tag.PROCESSES),
            found.number(Tag.IPC),
            found.number(Tag.SOCKETS),
            tuple(_mount_use(value) for value in found.all(Tag.MOUNT)),
            found.number(Tag.ELAPSED_US),
        )


def _mount_use(value: bytes) -> MountUse:
    if len(value) != 24:
        raise FrameError("a mount's use is not 24 bytes")
    return MountUse(*(int.from_bytes(value[at : at + 8], "little") for at in (0, 8, 16)))


def hello(window: int) -> bytes:
    return frames.number(Tag.VERSION, frames.VERSION) + frames.number(Tag.WINDOW, window)


def write(root: str, path: str, mode: int, uid: int, gid: int, length: int) -> bytes:
    return (
        _place(Kind.WRITE, root, path, uid, gid)
        + frames.number(Tag.MODE, mode)
        + frames.number(Tag.SIZE, length, 8)
    )


@lru_cache(maxsize=256)
def mkdir(root: str, path: str, mode: int, uid: int, gid: int) -> bytes:
    return _place(Kind.MKDIR, root, path, uid, gid) + frames.number(Tag.MODE, mode)


def symlink(root: str, path: str, target: str, uid: int, gid: int) -> bytes:
    return _place(Kind.SYMLINK, root, path, uid, gid) + frames.text(Tag.TARGET, target)


def read(root: str, uid: int, gid: int, max_files: int, max_bytes: int, max_depth: int) -> bytes:
    return (
        frames.number(Tag.KIND, Kind.READ)
        + frames.text(Tag.ROOT, root)
        + _owner(uid, gid)
        + frames.number(Tag.MAX_FILES, max_files)
        + frames.number(Tag.MAX_BYTES, max_bytes, 8)
        + frames.number(Tag.MAX_DEPTH, max_depth)
    )


def connect_tcp(address: str, port: int) -> bytes:
    return _to_port(Kind.CONNECT, address, port)


def datagrams(address: str, port: int) -> bytes:
    return _to_port(Kind.DATAGRAMS, address, port)


def connect_unix(path: str, uid: int, gid: int) -> bytes:
    kind = frames.number(Tag.KIND, Kind.CONNECT)
    return kind + frames.text(Tag.PATH, path) + _owner(uid, gid)


def listen(address: str, port: int) -> bytes:
    return _to_port(Kind.LISTEN, address, port)


def adopt(key: str) -> bytes:
    return frames.text(Tag.KEY, key)


def clean(mounts: Sequence[str]) -> bytes:
    return b"".join(frames.text(Tag.MOUNT, mount) for mount in mounts)


def size(columns: int, rows: int) -> bytes:
    return _numbers((columns, 2), (rows, 2))


def _to_port(kind: Kind, address: str, port: int) -> bytes:
    return (
        frames.number(Tag.KIND, kind)
        + frames.text(Tag.ADDRESS, address)
        + frames.number(Tag.PORT, port)
    )


def _place(kind: Kind, root: str, path: str, uid: int, gid: int) -> bytes:
    return (
        frames.number(Tag.KIND, kind)
        + frames.text(Tag.ROOT, root)
        + frames.text(Tag.PATH, path.removeprefix("/") if root == "/" else path)
        + _owner(uid, gid)
    )


def _owner(uid: int, gid: int) -> bytes:
    return frames.number(Tag.UID, uid) + frames.number(Tag.GID, gid)


def _numbers(*values: tuple[int, int]) -> bytes:
    return b"".join(value.to_bytes(length, "little") for value, length in values)
