"""Keys in files that their owner alone may read, made whole or not at all."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.settings import SettingError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make `directory` where it is missing, and keep other emulators from it for the block.

    Raises:
        SettingError: it cannot be made or opened, or a file in it cannot be read or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
    except OSError as error:
        raise SettingError(f"{error.filename or directory}: {error.strerror}") from None


def read(path: Path) -> bytes | None:
    """What a file holds, None when there is none; raises SettingError when others may read it."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SettingError(f"{path} can be read by others; run: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` in the place of whatever `path` was, in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
