"""The emulator's own latest log lines, for operators who read them over the API or follow them.

A line that has an `account` (`extra={"account": ...}`) is shown to that account alone. `untold` are
arguments in the place of the message's own, where these may be somebody's whom nobody knows.
"""

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Self

from emulator.clock import Clock
from emulator.errors import ConcurrencyLimited
from emulator.log import line, line_with

LINES_KEPT: Final = 10_000
LINE_CHARACTERS: Final = 1_000
"""Of one line; what is longer is cut."""

FOLLOWERS_MOST: Final = 16
"""Streams of one account at the same time."""

QUIET_SECONDS = 2.0
"""After which a follower hears that nothing came: with that alone un.c heeds an interrupt."""

_BATCH: Final = 256
_ROOT: Final = "emulator"
ALL: Final = "all"
API, PORTAL, POOL = "api", "portal", "pool/local"
SOURCES: Final = (API, PORTAL, POOL)
"""The cloud's parts, as far as they are here: requests; state and admin surface; sandboxes."""

_SOURCE_OF: Final = {
    _ROOT: PORTAL,
    "emulator.access": API,
    "emulator.api": API,
    "emulator.gateway": POOL,
    "emulator.jobs": POOL,
    "emulator.runs": POOL,
    "emulator.sandbox": POOL,
    "emulator.services": POOL,
    "emulator.sessions": POOL,
}
"""By the beginnings of loggers' names; the longest that fits counts."""


class Entry(NamedTuple):
    """A line; `number` counts all of them, `at` is in seconds since 1970."""

    number: int
    at: float
    level: int
    source: str
    account: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines an account wants: younger than `since`, with `grep` in them, from `level` on."""

    account: str
    source: str = ALL
    since: float | None = None
    grep: str = ""
    level: int = logging.DEBUG

    def fits(self, entry: Entry) -> bool:
        return (
            entry.account in (None, self.account)
            and self.source in (ALL, entry.source)
            and (self.since is None or entry.at >= self.since)
            and entry.level >= self.level
            and self.grep in entry.text
        )


class LogBook(logging.Handler):
    """Keeps the newest lines of the emulator's loggers; a log line may come from any thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=LINES_KEPT)
        self._next = 0
        self._guard = threading.Lock()
        self._followers: set[Follower] = set()
        self._over = False

    @contextmanager
    def attached(self) -> Iterator[Self]:
        """Hear what is logged during the block."""
        root = logging.getLogger(_ROOT)
        root.addHandler(self)
        try:
            yield self
        finally:
            root.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        source, account = _source(record.name), getattr(record, "account", None)
        text = _text(record)
        with self._guard:
            entry = Entry(self._next, self._clock.time(), record.levelno, source, account, text)
            self._next += 1
            self._entries.append(entry)
            followers = tuple(self._followers)
        for follower in followers:
            follower.wake()

    def tail(self, wanted: Wanted, lines: int) -> list[Entry]:
        """The newest of each source, at most `lines`, the oldest first."""
        with self._guard:
            entries = tuple(self._entries)
        counts: Counter[str] = Counter()
        chosen: list[Entry] = []
        for entry in reversed(entries):
            if wanted.fits(entry) and counts[entry.source] < lines:
                counts[entry.source] += 1
                chosen.append(entry)
        return chosen[::-1]

    def after(self, number: int) -> list[Entry]:
        """All that is kept from `number` on."""
        entries: list[Entry] = []
        with self._guard:
            for entry in reversed(self._entries):
                if entry.number < number:
                    break
                entries.append(entry)
        return entries[::-1]

    def follow(self, wanted: Wanted) -> "Follower":
        """Lines from now on, or from `wanted.since` on; to be closed.

        Raises:
            ConcurrencyLimited: the account follows as often as it may already.
        """
        with self._guard:
            held = sum(it.wanted.account == wanted.account for it in self._followers)
            if held >= FOLLOWERS_MOST:
                raise ConcurrencyLimited(f"{held} streams of this key are open; end one of them")
            first = self._next if wanted.since is None else 0
            follower = Follower(self, wanted, first)
            if self._over:
                follower.closed = True
            else:
                self._followers.add(follower)
        return follower

    def leave(self, follower: "Follower") -> None:
        with self._guard:
            self._followers.discard(follower)

    def end_streams(self) -> None:
        """The emulator ends: so do those who follow, and nobody follows from now on."""
        self._over = True
        for follower in tuple(self._followers):
            follower.close()


class Follower:
    """An iterator over new lines: some at a time, none when nothing came for a while."""

    def __init__(self, book: LogBook, wanted: Wanted, first: int) -> None:
        self.wanted = wanted
        self.closed = False
        self._book = book
        self._next = first
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Entry]:
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                while not self.closed:
                    self._news.clear()
                    entries = self._new()
                    if entries:
                        return entries
                    await self._news.wait()
        except TimeoutError:
            return ()
        raise StopAsyncIteration

    def wake(self) -> None:
        """Something may have come; from any thread."""
        self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        self.closed = True
        self._book.leave(self)
        self._news.set()

    def _new(self) -> list[Entry]:
        entries = self._book.after(self._next)
        missed = bool(entries) and entries[0].number > self._next > 0
        chosen = [entry for entry in entries if self.wanted.fits(entry)][:_BATCH]
        if len(chosen) == _BATCH:
            self._next = chosen[-1].number + 1
        elif entries:
            self._next = entries[-1].number + 1
        if missed:
            gap = "lines are missing here: they came faster than they were read"
            chosen.insert(0, entries[0]._replace(text=gap))
        return chosen


@lru_cache(maxsize=256)
def _source(logger: str) -> str:
    while logger not in _SOURCE_OF:
        logger = logger.rpartition(".")[0]
    return _SOURCE_OF[logger]


def _text(record: logging.LogRecord) -> str:
    """The line as it is printed, without the traces of errors, which may show what was sent."""
    untold = getattr(record, "untold", None)
    text = line(record) if untold is None else line_with(record, record.msg % untold)
    return text if len(text) <= LINE_CHARACTERS else text[: LINE_CHARACTERS - 3] + "..."
