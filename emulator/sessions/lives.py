"""Which sessions there are, and how each one ends."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager

from emulator.clock import Clock
from emulator.errors import NotFound
from emulator.sandbox.agent import AgentError, AgentLost
from emulator.sandbox.engine import EngineError
from emulator.sandbox.machine import Machines
from emulator.sessions.ending import Ending, forced
from emulator.sessions.session import Ended, Session
from emulator.store.sessions import SessionStore

logger = logging.getLogger(__name__)

ENDED_SECONDS = 3600
"""How long the owner of a session that ended by itself can read why."""

ENDED_MOST = 1000
"""Of them, over all accounts: the oldest are forgotten before their time."""

RECORDED_MOST = 16
"""Of them that were recorded, of each account: their recordings lie on the disk."""

LAST_WORDS_SECONDS = 1.0
"""How long the programs of clients may take to end after their multiplexer."""

GONE = "The session's container went away: it was killed, or the engine was restarted"
LOST = forced("error", GONE, GONE)
_EXIT = Ending("exit")
Outcome = tuple[str, Ending]
"""Why a session ends, and what its clients are told."""


class Lives:
    """Sessions by id, each with a task that ends it in time; `end` is the one way out."""

    def __init__(self, machines: Machines, store: SessionStore, clock: Clock) -> None:
        self._machines = machines
        self._store = store
        self._clock = clock
        self._live: dict[str, Session] = {}
        self._ended: dict[str, Ended] = {}

    def all(self) -> list[Session]:
        """The oldest first."""
        return list(self._live.values())

    def of(self, owner: str) -> list[Session]:
        """Those of an account."""
        return [session for session in self.all() if session.record.owner == owner]

    def find(self, name: str, owner: str) -> Session:
        """An account's session by id or container name; NotFound says why one has ended."""
        for session in self.of(owner):
            if session.goes_by(name):
                return session
        ended = self.ended(name, owner)
        if ended is not None:
            raise NotFound(f"This session has ended. {ended.reason}")
        raise NotFound("No session of this key has this id; GET /sessions lists those that live")

    def find_by_id(self, session_id: str) -> Session:
        """Anybody's session, for who knows its whole id; raises NotFound."""
        session = self._live.get(session_id)
        if session is None:
            raise NotFound("There is no session of this id")
        return session

    def ended(self, name: str, owner: str) -> Ended | None:
        """An account's session that ended by itself a while ago."""
        oldest = self._clock.monotonic() - ENDED_SECONDS
        for ended in self._ended.values():
            if ended.record.owner == owner and ended.goes_by(name) and ended.at >= oldest:
                return ended
        return None

    def forget(self, session_id: str) -> None:
        """Nothing is left of one that has ended."""
        self._ended.pop(session_id, None)

    def forget_old(self) -> list[str]:
        """Forget those that ended long ago, and the oldest of too many; their ids."""
        oldest, kept = self._clock.monotonic() - ENDED_SECONDS, self._newest()
        forgotten = [
            session_id
            for session_id, ended in self._ended.items()
            if ended.at < oldest or session_id not in kept
        ]
        for session_id in forgotten:
            self.forget(session_id)
        return forgotten

    def _newest(self) -> set[str]:
        newest: set[str] = set()
        recorded: Counter[str] = Counter()
        for session_id, ended in reversed(self._ended.items()):
            owner = ended.record.owner
            recorded[owner] += ended.record.audited
            if recorded[owner] <= RECORDED_MOST or not ended.record.audited:
                newest.add(session_id)
            if len(newest) == ENDED_MOST:
                break
        return newest

    def begin(self, session: Session) -> None:
        """From now on it is found, and ends when its time is over."""
        self._live[session.id] = session
        self.watch(session)

    @asynccontextmanager
    async def held(self, session: Session) -> AsyncIterator[None]:
        """Nobody else changes a session during the block; NotFound when it has ended by its end."""
        async with session.changing:
            self._require(session)
            try:
                yield
            finally:
                self._require(session)

    def _require(self, session: Session) -> None:
        if session.over:
            self.find(session.id, session.record.owner)  # which says why it is not there

    def watch(self, session: Session) -> None:
        """End it when its time, its container or its multiplexer ends."""
        self.unwatch(session)
        session.life = asyncio.get_running_loop().create_task(self._live_out(session))

    def unwatch(self, session: Session) -> None:
        """Its agent or multiplexer is about to be another one, or nobody's."""
        if session.life is not None:
            session.life.cancel()
            session.life = None

    async def end(self, session: Session, reason: str, ending: Ending = _EXIT) -> None:
        """End it, whatever state it is in; of several reasons the first one counts."""
        if session.over:
            return
        session.over = True
        self._live.pop(session.id, None)
        self._ended[session.id] = Ended(session.record, reason, self._clock.monotonic())
        self._store.remove(session.id)
        session.end_clients(ending)
        session.slots.end()
        await session.boost.aclose()
        await session.memory.aclose()
        try:
            await asyncio.shield(self._machines.remove(session.machine))
        except EngineError as error:
            logger.warning("the container of session %s is not removed yet: %s", session.id, error)
        if session.life is not asyncio.current_task():
            self.unwatch(session)

    async def _live_out(self, session: Session) -> None:
        over = f"The session's ttl of {session.record.ttl} seconds was over"
        reason, ending = await _first(
            {
                self._expired(session): (over, forced("exit", over)),
                session.machine.lost(): (GONE, LOST),
                _exited(session): ("Its shell has exited", _EXIT),
            }
        )
        await self.end(session, reason, ending)

    async def _expired(self, session: Session) -> None:
        left = session.seconds_left(self._clock)
        if left is None:
            await _never()
        else:
            await self._clock.sleep(left)


async def _exited(session: Session) -> None:
    """Return when its multiplexer has ended, perhaps while no emulator was there to be told."""
    if session.server is None:
        await _never()
        return
    try:
        async for _ in session.server.output():
            pass
        await session.server.wait()
    except AgentLost:
        await _never()  # which is told elsewhere
    except AgentError as error:
        logger.info("the multiplexer of session %s has ended: %s", session.id, error)
    endings = [client.ending for client in session.clients]
    if endings:  # their own programs end now, with last words
        await asyncio.wait(endings, timeout=LAST_WORDS_SECONDS)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


async def _first(waits: Mapping[Coroutine[object, object, None], Outcome]) -> Outcome:
    """What belongs to the wait that ends first."""
    tasks = {asyncio.ensure_future(wait): outcome for wait, outcome in waits.items()}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return tasks[next(iter(done))]
