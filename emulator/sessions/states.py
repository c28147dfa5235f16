"""What changes a session that lives: frozen or not, its size, its lock."""

import asyncio

from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import BadRequest, Conflict, SandboxFailed
from emulator.sandbox.agent import AgentError
from emulator.sandbox.engine import EngineError
from emulator.sandbox.machine import Machines
from emulator.sandbox.origin import Origin
from emulator.sessions import multiplexed
from emulator.sessions.doors import detach, require_running
from emulator.sessions.ending import forced
from emulator.sessions.failures import failures
from emulator.sessions.lives import GONE, LOST, Lives
from emulator.sessions.promises import Promises
from emulator.sessions.session import Session
from emulator.sessions.sizing import Sizing
from emulator.stop import Stop
from emulator.store.sessions import SessionRecord, SessionStore

_TOO_SMALL = (
    "The session uses {used} MiB of memory, and would have {limit} MiB; "
    "end some of its programs first"
)


class States:
    """Each change is whole or does not happen, and is on disk when it is told."""

    def __init__(
        self,
        lives: Lives,
        machines: Machines,
        store: SessionStore,
        promises: Promises,
        clock: Clock,
    ) -> None:
        self._lives = lives
        self._machines = machines
        self._store = store
        self._sizing = Sizing(machines, promises, _TOO_SMALL)
        self._clock = clock

    async def freeze(self, session: Session) -> None:
        """Stop its processes where they are; its connections end, it takes no slot.

        Raises:
            BadRequest: it has no multiplexer, and so would end with its clients.
            NotFound: it has ended meanwhile.
            SandboxFailed: the engine does not do it.
        """
        if session.record.multiplexer is None:
            raise BadRequest(
                "A session without a multiplexer ends with its client, so it cannot be frozen; "
                "create it with `multiplexer` tmux or screen"
            )
        async with self._lives.held(session):
            if session.record.frozen:
                return
            await detach(session)
            with failures():
                await self._machines.pause(session.machine)
            session.machine.disconnect()
            session.slots.give_back(session.record.slots)
            session.record.frozen = True
            await self._saved(session)

    async def stop_for_disk(self, session: Session, reason: str) -> None:
        """Let it write no more: freeze it, or end one that cannot be frozen; its owner is told."""
        if session.record.multiplexer is None:
            await self._lives.end(session, reason, forced("exit", reason))
        else:
            await self.freeze(session)
            session.note = reason

    async def unfreeze(self, session: Session, account: Account) -> float:
        """Let it go on; returns the seconds that this took.

        Raises:
            ConcurrencyLimited: no slot is free; it stays frozen.
            NotFound: it has ended meanwhile.
            SandboxFailed: its container is gone.
        """
        async with self._lives.held(session):
            if not session.record.frozen:
                return 0.0
            began, count = self._clock.monotonic(), 1 + session.record.added_vcpu
            session.slots.take(account, count)
            try:
                await self._go_on(session)
            except (AgentError, EngineError) as error:
                await self._lives.end(session, GONE, LOST)
                raise SandboxFailed(GONE) from error
            session.record.frozen, session.note = False, None
            seconds = self._clock.monotonic() - began
            await self._saved(session)
            return seconds

    async def _go_on(self, session: Session) -> None:
        known = session.machine.attached
        await self._machines.resume(session.machine)
        if session.over:
            return
        if known:
            session.machine.connects_for(origin_of(session.record))
        else:
            take_up(session)
            self._lives.watch(session)

    async def resize(self, session: Session, vcpu: int, account: Account, stop: Stop) -> None:
        """Give it another number of vCPUs, with 2 GiB each; what it is made with is the least.

        Raises:
            Conflict: that is less than it was made with, it is frozen, or it uses more memory than
                it would have.
            ConcurrencyLimited: each vCPU that is added takes a slot, and too few are free.
            NoCapacity: there was no memory for it in time.
            NotFound: it has ended meanwhile.
            SandboxFailed: the engine does not do it.
        """
        least = session.record.base_vcpu
        if vcpu < least:
            raise Conflict(f"vcpu: the session was made with {least}; not fewer")
        async with self._lives.held(session):
            require_running(session)
            await self._sizing.change(session, vcpu, account, stop)
            await self._saved(session)

    async def lock(self, session: Session, *, locked: bool) -> None:
        """Protect it from deletion, or do not any more."""
        session.record.locked = locked
        await self._saved(session)

    async def _saved(self, session: Session) -> None:
        if not session.over:
            await asyncio.wrap_future(self._store.save(session.record))


def take_up(session: Session) -> None:
    """Go on with a machine that was just attached to, and the multiplexer in it."""
    session.machine.connects_for(origin_of(session.record))
    if session.record.multiplexer is not None:
        session.server = multiplexed.adopt(session.machine)


def origin_of(record: SessionRecord) -> Origin:
    """Whom the session's connections belong to."""
    return Origin(record.session_id, record.owner, "session_id")
