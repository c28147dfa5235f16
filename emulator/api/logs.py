"""`/paas/logs`, `/logs`: the emulator's own log, for operators, in the dialects of clients."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from emulator.api.call import Call, Json, Reply, Streamed
from emulator.emulator import Emulator
from emulator.errors import Forbidden, NotFound
from emulator.logbook import ALL, POOL, SOURCES, Entry, Follower, Wanted

DEFAULT_LINES = 100
KEEPALIVE = ":keepalive"
"""Data of an event that says nothing; the vendor's client knows it."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO + 5,
    "warning": logging.WARNING,
    "err": logging.ERROR,
    "error": logging.ERROR,
    "crit": logging.CRITICAL,
}
"""The severities of the system log, of which Python has some."""

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Filters = Mapping[str, object]


async def get_logs(emulator: Emulator, call: Call) -> Reply:
    return _read(emulator, call, call.query)


async def query_logs(emulator: Emulator, call: Call) -> Reply:
    return _read(emulator, call, call.fields)


async def get_source_logs(emulator: Emulator, call: Call) -> Reply:
    return _read(emulator, call, _of_path(call))


async def stream_logs(emulator: Emulator, call: Call) -> Streamed:
    return _follow(emulator, call, call.query)


async def stream_source_logs(emulator: Emulator, call: Call) -> Streamed:
    return _follow(emulator, call, _of_path(call))


def _of_path(call: Call) -> Filters:
    """What is asked for, with the source of the path; raises NotFound where there is none."""
    source = call.path["source"]
    _require_operator(call)
    if _meant(source) not in (ALL, *SOURCES):
        raise NotFound(f"There is no such source; there are {ALL}, {', '.join(SOURCES)}")
    return {**call.query, "source": source}


def _read(emulator: Emulator, call: Call, given: Filters) -> Reply:
    """The lines of one source as text, those of all with their sources.

    The vendor's client prints all that stands behind `lines`, and takes `sources` for a sign that
    all were asked for.
    """
    wanted = _wanted(emulator, call, given)
    lines = given.get("lines", DEFAULT_LINES)
    assert isinstance(lines, int | float)  # noqa: S101 - the validator saw to it
    found = emulator.logs.tail(wanted, int(lines))
    entries = [_shown(entry) for entry in found]
    document: Json = {"count": len(found), "logs": entries}
    if wanted.source == ALL:
        return Reply({"sources": list(SOURCES), **document, "lines": entries})
    return Reply({**document, "lines": [entry.text for entry in found]})


def _follow(emulator: Emulator, call: Call, given: Filters) -> Streamed:
    follower = emulator.logs.follow(_wanted(emulator, call, given))
    return Streamed(_events(emulator, follower), follower.close)


async def _events(emulator: Emulator, follower: Follower) -> AsyncIterator[Sequence[str]]:
    """A first sign of life, then lines, and another sign where none came for a while."""
    yield [KEEPALIVE]
    async for entries in follower:
        account = emulator.accounts.get(follower.wanted.account)
        if account is None or not account.operator:  # its key was revoked meanwhile
            return
        yield [msgspec.json.encode(_shown(entry)).decode() for entry in entries] or [KEEPALIVE]


def _shown(entry: Entry) -> dict[str, str]:
    return {"source": entry.source, "line": entry.text}


def _wanted(emulator: Emulator, call: Call, given: Filters) -> Wanted:
    _require_operator(call)
    since = given.get("since")
    return Wanted(
        account=call.account.public_key,
        source=_meant(str(given.get("source", ALL))),
        since=None if since is None else emulator.clock.time() - _seconds(str(since)),
        grep=str(given.get("grep", "")),
        level=_LEVELS[str(given.get("level", "debug"))],
    )


def _require_operator(call: Call) -> None:
    if not call.account.operator:
        raise Forbidden(
            "The log is for operators: the default key, or accounts of the seed file that have "
            "operator = true"
        )


def _meant(source: str) -> str:
    """There is one pool here, so the name of any pool means it."""
    return POOL if source.partition("/")[0] == "pool" else source


def _seconds(since: str) -> int:
    return int(since[:-1]) * _UNIT_SECONDS[since[-1]]
