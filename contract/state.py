"""What outlives a process of a run: files of each target, and numbers that are shared in one."""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from contract.target import Target, TargetError

__all__ = ["Meter", "caching", "directory", "prefix"]


def directory() -> Path:
    """The user's own directory (XDG state) for what outlives a run.

    Raises:
        TargetError: it cannot be made.
    """
    made = _below("XDG_STATE_HOME", ".local/state")
    try:
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise TargetError(
            f"what a run creates is kept track of in {made}, which cannot be made "
            f"({error.strerror}); set XDG_STATE_HOME to another directory"
        ) from None
    return made


def caching() -> dict[str, str]:
    """The environment in which pytest is started: what it keeps lies in the user's cache (XDG).

    Nothing is written beside the sources where Python was told not to, nor where a user works.
    """
    cache = _below("XDG_CACHE_HOME", ".cache")
    environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis")}
    # Without bytecode each family would compile its checks, and all that pytest rewrites, anew.
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment.setdefault("PYTHONPYCACHEPREFIX", str(cache / "bytecode"))
    return environment


def _below(variable: str, otherwise: str) -> Path:
    given = os.environ.get(variable, "")
    root = Path(given) if given.startswith("/") else Path.home() / otherwise
    return root / "unsandbox-contract"


def prefix(target: Target) -> str:
    """How the names of all files of one target begin."""
    name = re.sub(r"[^a-z0-9.]+", "-", urlsplit(target.url).netloc.lower())[:60]
    return f"{name}-{_digest(target.url)}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Meter:
    """A few numbers in a file, which several processes read and change in turn."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def turn(self) -> Iterator[dict[str, float]]:
        """The numbers, this process's alone until the block ends; kept if it ends well."""
        with self._path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            numbers = _read(file.read())
            yield numbers
            file.seek(0)
            file.truncate()
            file.write(json.dumps(numbers))


def _read(text: str) -> dict[str, float]:
    """A file that a crash left half written starts again from nothing."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(name): float(value) for name, value in found.items()}
