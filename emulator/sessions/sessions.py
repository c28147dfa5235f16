"""Sessions from their start to their end, and over restarts of the emulator."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from emulator import ids
from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import Locked
from emulator.limits import Holding, Slots
from emulator.sandbox.agent import AgentError
from emulator.sandbox.builder import Builder, built
from emulator.sandbox.engine import EngineError
from emulator.sandbox.inputs import Inputs
from emulator.sandbox.machine import ROOT_USER, Machine, Machines
from emulator.sandbox.program import Artifact, InputFile, Outcome
from emulator.sandbox.shells import Shells
from emulator.sessions import multiplexed
from emulator.sessions.command import Commands
from emulator.sessions.disk import OnDisk
from emulator.sessions.doors import Doors, detach, require_running
from emulator.sessions.ending import forced
from emulator.sessions.failures import failures
from emulator.sessions.lives import GONE, Lives
from emulator.sessions.promises import Promises
from emulator.sessions.recording import Recordings
from emulator.sessions.session import Session
from emulator.sessions.states import States, origin_of, take_up
from emulator.stop import Stop
from emulator.store.sessions import SessionRecord, SessionStore

logger = logging.getLogger(__name__)

DELETED = "The session was deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A session as asked for, every part checked; `shell` is the name of one."""

    shell: str
    network_mode: str
    multiplexer: str | None
    ttl: int
    vcpu: int
    audited: bool
    input_files: tuple[InputFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Sessions:
    """All that can be done with sessions; `lives`, `states` and `doors` say what to one."""

    lives: Lives
    states: States
    doors: Doors
    recordings: Recordings
    machines: Machines
    builder: Builder
    commands: Commands
    shells: Shells
    store: SessionStore
    slots: Slots
    promises: Promises
    clock: Clock
    queue_seconds: int

    # --- starting and ending ---------------------------------------------------------------

    async def create(self, account: Account, wanted: Wanted, stop: Stop) -> Session:
        """Start a session; `stop` ends the wait for it.

        Raises:
            ConcurrencyLimited: no slot is free.
            NoCapacity: there was no memory for it in time, or no image.
            RuntimeUnavailable: its image cannot be built.
            SandboxFailed: its container did not start.
            Stopped: `stop` was requested.
        """
        image = self.shells.named(wanted.shell).image
        if wanted.audited:
            await self.tidy()
        slots = Holding(self.slots, account.public_key)
        slots.take(account)
        async with AsyncExitStack() as undo:
            undo.callback(slots.end)
            await built(self.builder, image, self.clock, self.queue_seconds, stop=stop)
            memory = await self.promises.make(wanted.vcpu, account.public_key, stop)
            undo.push_async_callback(memory.aclose)
            with failures():
                machine = await self.machines.take(
                    image, wanted.network_mode, wanted.vcpu, account.public_key, stop
                )
                undo.push_async_callback(self._remove, machine)
                record = _record(account, wanted, machine, self.clock.time())
                session = Session(record, machine, slots, memory)
                await self._furnish(session, wanted)
            await asyncio.wrap_future(self.store.save(record))
            undo.callback(self.store.remove, session.id)
            stop.check()
            undo.pop_all()
        self.lives.begin(session)
        return session

    async def _furnish(self, session: Session, wanted: Wanted) -> None:
        machine, multiplexer = session.machine, wanted.multiplexer
        machine.connects_for(origin_of(session.record))
        await Inputs(machine.agent, wanted.input_files, ROOT_USER).written()
        if multiplexer is not None:
            words = self.shells.named(wanted.shell).command
            session.server = await multiplexed.serve(machine, multiplexer, words)

    async def _remove(self, machine: Machine) -> None:
        try:
            await asyncio.shield(self.machines.remove(machine))
        except EngineError as error:
            logger.warning("a session's container is not removed yet: %s", error)

    async def delete(self, session: Session) -> None:
        """End it, so that nothing but its recording is left; raises Locked."""
        self.check_unlocked(session)
        await self.lives.end(session, DELETED, forced("exit", DELETED))
        self.lives.forget(session.id)

    def check_unlocked(self, session: Session) -> None:
        """Raise Locked where it must not be deleted."""
        if session.record.locked:
            raise Locked("This session is locked; unlock it first: POST /sessions/{id}/unlock")

    async def recorded(self, record: SessionRecord) -> list[Artifact]:
        """What was recorded of a session, which may have ended; nothing if it was not audited."""
        if not record.audited:
            return []
        return await self.recordings.artifacts(record.session_id)

    async def tidy(self) -> None:
        """Nothing is left of those that ended long ago."""
        for session_id in self.lives.forget_old():
            await self.recordings.remove(session_id)

    async def execute(self, session: Session, line: str, stop: Stop) -> Outcome:
        """Run a command line beside its shell, to the end.

        Raises:
            ConcurrencyLimited: the account has as many running as it may.
            Conflict: it is frozen.
            SandboxFailed: its container does not answer.
        """
        require_running(session)
        with failures():
            words = (*self.shells.runs_lines, line)
            return await self.commands.run(session.machine, session.record.owner, words, stop)

    def on_disk(self) -> list[OnDisk]:
        """Those that run, as what writes to the engine's disk."""
        stop = self.states.stop_for_disk
        running = (it for it in self.lives.all() if not it.record.frozen)
        return [OnDisk(it.machine, partial(stop, it)) for it in running]

    # --- restarts --------------------------------------------------------------------------

    def containers(self) -> set[str]:
        """The containers of what an earlier emulator left, which are to be kept."""
        return {record.container_id for record in self.store.all()}

    async def restore(self, states: Mapping[str, str]) -> int:
        """Take up what an earlier emulator left; how many sessions there are then.

        `states` are those of its containers, by id.
        """
        records = sorted(self.store.all(), key=lambda record: record.created_at)
        for session in await asyncio.gather(
            *(self._restored(record, states.get(record.container_id)) for record in records)
        ):
            if session is not None:
                self.lives.begin(session)
        await self.recordings.keep_only([record.session_id for record in records])
        return len(self.lives.all())

    async def _restored(self, record: SessionRecord, state: str | None) -> Session | None:
        """A session that goes on; None when it has ended meanwhile."""
        place = (record.container_id, record.container_name, record.image, record.network_mode)
        record.frozen = state == "paused"  # whatever was killed between a change and its record
        slots = Holding(self.slots, record.owner)
        slots.resume(record.slots)
        memory = await self.promises.keep(record.base_vcpu, record.owner)
        boost = await self.promises.keep(record.added_vcpu, record.owner)
        session = Session(record, self.machines.paused(*place), slots, memory, boost)
        if record.opened and record.multiplexer is None:
            await self.lives.end(session, "Its client left when the emulator ended")
        elif state not in ("paused", "running"):
            await self.lives.end(session, GONE)
        elif not record.frozen:
            try:
                session.machine = await self.machines.again(*place)
                take_up(session)
            except (AgentError, EngineError) as error:
                logger.warning("session %s is lost: %s", session.id, error)
                await self.lives.end(session, GONE)
        return None if session.over else session

    async def close(self) -> None:
        """Leave those that can be taken up again, and end the others."""
        await asyncio.gather(*map(self._leave, self.lives.all()))

    async def _leave(self, session: Session) -> None:
        if session.record.opened and session.record.multiplexer is None:
            await self.lives.end(session, "The emulator ended")
            return
        self.lives.unwatch(session)
        await detach(session)
        session.machine.leave()


def _record(account: Account, wanted: Wanted, machine: Machine, now: float) -> SessionRecord:
    return SessionRecord(
        session_id=ids.session_id(),
        owner=account.public_key,
        container_id=machine.container_id,
        container_name=machine.name,
        image=machine.image,
        shell=wanted.shell,
        network_mode=wanted.network_mode,
        multiplexer=wanted.multiplexer,
        ttl=wanted.ttl,
        created_at=now,
        base_vcpu=wanted.vcpu,
        vcpu=wanted.vcpu,
        audited=wanted.audited,
    )
