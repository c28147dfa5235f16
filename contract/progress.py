"""How far a run is, on one line of a terminal."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

__all__ = ["Progress"]

_EVERY_SECONDS = 1.0
_RESULT = b'"event": "result"'
_ERASE = "\r\x1b[K"


class Progress:
    """Counts results in the files of evidence as they grow; silent where there is no terminal."""

    def __init__(self, out: TextIO | None = None) -> None:
        out = out or sys.stderr
        self._out = out if out.isatty() else None
        self._read: dict[Path, tuple[int, int]] = {}
        self._shown = 0.0

    def show(self, running: Mapping[str, Path], waiting: int) -> None:
        """Say which families run, by their files, and how many checks of each have ended."""
        if self._out is None or time.monotonic() - self._shown < _EVERY_SECONDS:
            return
        self._shown = time.monotonic()
        told = ", ".join(f"{name} {self._results(file)}" for name, file in running.items())
        more = f"; {waiting} more to come" if waiting else ""
        self._out.write(f"{_ERASE}  running: {told}{more}"[:120])
        self._out.flush()

    def erase(self) -> None:
        """Leave the line free for something else."""
        if self._out is not None and self._shown:
            self._out.write(_ERASE)
            self._out.flush()

    def _results(self, file: Path) -> int:
        offset, count = self._read.get(file, (0, 0))
        if file.exists():
            with file.open("rb") as lines:
                lines.seek(offset)
                new = lines.read()
            offset, count = offset + len(new), count + new.count(_RESULT)
            self._read[file] = offset, count
        return count
