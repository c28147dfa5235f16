"""A place to cover: `~/.unsandbox`, where clients keep accounts and caches."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

NAME = ".unsandbox"


@contextmanager
def mount_point(home: Path) -> Iterator[Path | None]:
    """`~/.unsandbox` is there for the block; None where it is not and cannot be made.

    One that was made here is removed again, unless it is used by then. Whoever covers it uncovers
    it before the end: what is mounted on cannot be removed.
    """
    path = (home / NAME).resolve()
    with ExitStack() as stack:
        try:
            parent = _opened(path.parent, stack)
            made, handle = _held(path, stack)
        except OSError:
            yield None
            return
        yield path
        if made:
            with suppress(OSError):  # another exec uses it, or something lies in it
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.rmdir(path.name, dir_fd=parent)


def _held(path: Path, stack: ExitStack) -> tuple[bool, int]:
    """Whether the directory had to be made, and a handle whose lock keeps it from being removed."""
    while True:
        made = not path.exists()
        path.mkdir(mode=0o700, exist_ok=True)
        handle = _opened(path, stack)
        fcntl.flock(handle, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(handle).st_ino:
                return made, handle


def _opened(directory: Path, stack: ExitStack) -> int:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    return handle
