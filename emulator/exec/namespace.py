"""A private mount namespace: nobody else sees what is mounted in it; it ends with its processes.

`os.unshare` is there from Python 3.12 on, and nothing mounts, so the C library is called.
"""

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.settings import SettingError

_CLONE_NEWNS = 0x00020000  # linux/sched.h
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18  # linux/mount.h
_MNT_DETACH = 2


def enter() -> None:
    """Move this process, and those it starts from now on, into a namespace of their own.

    Raises:
        SettingError: the kernel does not let it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS):
        reason = os.strerror(ctypes.get_errno())
        raise SettingError(f"exec needs the capability SYS_ADMIN to make mounts ({reason})")
    _mount("none", Path("/"), None, _MS_REC | _MS_PRIVATE)


def mount_empty(directory: Path, mode: int) -> None:
    """Cover `directory` by an empty file system in memory."""
    _mount("tmpfs", directory, "tmpfs", 0, f"mode={mode:o}")


def uncover(directory: Path) -> None:
    """Take away what `directory` is covered by; files in use live on."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.umount2(os.fsencode(directory), _MNT_DETACH), directory)


class Covers:
    """Puts contents in the place of files and directories; made by `covers`."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._count = 0

    def file(self, path: Path, content: bytes) -> None:
        """`path`, which exists, now holds `content`, whoever reads it."""
        staged = self._next()
        staged.write_bytes(content)
        staged.chmod(0o644)
        _mount(str(staged), path, None, _MS_BIND)

    def directory(self, path: Path) -> None:
        """`path`, which exists, is now a copy of itself that can be written to."""
        staged = self._next()
        shutil.copytree(path, staged, symlinks=True)
        _mount(str(staged), path, None, _MS_BIND)

    def _next(self) -> Path:
        self._count += 1
        return self._staging / str(self._count)


@contextmanager
def covers(staging: Path) -> Iterator[Covers]:
    """Make covers; `staging` is any directory, itself covered for the block.

    What they show lies in memory alone, so that nothing is left when the namespace ends.

    Raises:
        SettingError: a file cannot be read, or a mount cannot be made.
    """
    staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    mount_empty(staging, 0o755)
    try:
        yield Covers(staging)
    except OSError as error:
        raise SettingError(f"exec cannot make its view of this machine: {error}") from None
    uncover(staging)


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    encoded = None if kind is None else kind.encode()
    arguments = (os.fsencode(source), os.fsencode(target), encoded)
    _check(libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()), target)


def _check(result: int, target: Path) -> None:
    if result:
        raise SettingError(f"cannot mount on {target}: {os.strerror(ctypes.get_errno())}")
