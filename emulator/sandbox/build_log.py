"""What a build prints, in a file."""

import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

TAIL_LINES = 30

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class BuildCancelled(Exception):
    """Nobody waits for this build any more."""


class BuildLog:
    """Takes text in pieces of any size; a context manager that closes the file."""

    def __init__(self, path: Path, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.file = path.open("w", encoding="utf-8", buffering=1)
        self.is_cancelled = is_cancelled

    def write(self, text: str) -> None:
        """Keep `text`, its terminal control sequences left out."""
        self.file.write(_CONTROL.sub("", text))

    def check(self) -> None:
        """Raise BuildCancelled if the build was told to stop."""
        if self.is_cancelled():
            raise BuildCancelled

    def tail(self) -> list[str]:
        """The last lines, also of what other processes wrote to the file."""
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if line.strip()][-TAIL_LINES:]

    def __enter__(self) -> "BuildLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.file.close()
