"""Recordings as script(1) of util-linux writes them and scriptreplay(1) plays them.

The log is a line that the player skips, then all bytes. A line of the timing is how many seconds to
wait and how many bytes to show then: neither 0 nor more than there are, or the player gives up.
"""

from collections.abc import Iterable
from math import inf

from emulator.sessions.recording_folder import MAX_BYTES, End, Entry

MAX_PAUSE_SECONDS = 2.0
"""Longest wait between two segments: a night without a client would stop a replay for the night."""

REASONS = {
    End.FULL: f"it has reached its limit of {MAX_BYTES >> 20} MiB",
    End.UNWRITABLE: "it could not be written to disk",
    End.BEHIND: "the disk was too slow for it",
    End.UNREADABLE: "the rest could not be read from disk",
}


class Typescript:
    """What segments showed, one after the other; `started` is when the first began."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.timing = bytearray()
        self._shown = bytearray()
        self._last = 0.0

    def add(self, segment: Iterable[Entry]) -> None:
        """Waits are as they were, from the segment's second output on."""
        longest = inf if self.started is None else MAX_PAUSE_SECONDS
        for at, data in segment:
            if self.started is None:
                self.started = self._last = at
            if data:
                self._show(min(max(at - self._last, 0.0), longest), data)
                self._last = at
                longest = inf

    def end(self, how: End) -> None:
        """Say in a last line that there was more."""
        self._show(0.0, f"\r\n[The recording ends here: {REASONS[how]}.]\r\n".encode())

    def log(self, first_line: str) -> bytes:
        return first_line.encode() + b"\n" + self._shown

    def _show(self, delay: float, data: bytes) -> None:
        self._shown += data
        self.timing += f"{delay:.6f} {len(data)}\n".encode()
