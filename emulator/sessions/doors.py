"""Clients at the shells of sessions: how they come in, and what happens when they go."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from emulator.errors import Conflict
from emulator.sandbox.agent import AgentError, AgentLost, Process
from emulator.sandbox.shells import Shells
from emulator.sessions import multiplexed
from emulator.sessions.ending import Ending
from emulator.sessions.failures import failures
from emulator.sessions.lives import Lives
from emulator.sessions.multiplexers import COLUMNS, ROWS
from emulator.sessions.recording import Recordings, Segment
from emulator.sessions.session import Client, Session
from emulator.sessions.terminal import Terminal
from emulator.store.sessions import SessionStore

CLIENTS_MOST = 32
"""At one session's shell, at once."""

START_SECONDS = 15.0
"""How long a client's program may take to start; a container that is out of order never says."""

END_SECONDS = 2.0
"""How long a multiplexer that has no shell any more may take to end."""

HANG_UP_SECONDS = 1.0
"""How long a client's program may take to let go of its terminal before it is killed."""

_EXIT = Ending("exit")


class Doors:
    """Opens shells. The clients of a plain session share one; a multiplexer shows each its own."""

    def __init__(
        self, lives: Lives, shells: Shells, store: SessionStore, recordings: Recordings
    ) -> None:
        self._lives = lives
        self._shells = shells
        self._store = store
        self._recordings = recordings
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def opened(self, session: Session) -> AsyncIterator[Client]:
        """A client of a session's shell for the block; without it a plain session may end.

        Raises:
            Conflict: the session is frozen, or has as many clients as there may be.
            NotFound: it has ended meanwhile.
            SandboxFailed: the shell does not start.
        """
        with _place(session):
            async with self._lives.held(session):
                require_running(session)
                with failures():
                    terminal = await self._terminal(session)
                ending = asyncio.get_running_loop().create_future()
                client = Client(terminal.join(), ending, terminal)
                session.clients.add(client)
            try:
                yield client
            finally:
                session.clients.discard(client)
                client.viewer.leave()
                await self._after(session, terminal)

    async def _terminal(self, session: Session) -> Terminal:
        if session.terminal is not None:
            return session.terminal
        record, machine = session.record, session.machine
        if record.multiplexer is not None:
            process = multiplexed.attach(machine, record.multiplexer)
        else:
            command = self._shells.named(record.shell).command
            process = machine.spawn(command, pty=(COLUMNS, ROWS))
        await _started(process)
        segment = self._recordings.begin(session.id) if record.audited else None
        terminal = Terminal(process, record=segment.write if segment is not None else None)
        if record.multiplexer is None:
            session.terminal = terminal
        if not record.opened:
            record.opened = True
            self._store.save(record)
        self._watch(session, terminal, segment)
        return terminal

    def _watch(self, session: Session, terminal: Terminal, segment: Segment | None) -> None:
        task = asyncio.get_running_loop().create_task(self._to_its_end(session, terminal, segment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _to_its_end(
        self, session: Session, terminal: Terminal, segment: Segment | None
    ) -> None:
        """Tell the clients of a terminal whose program ended; a lost agent ends the session."""
        with suppress(AgentError):
            await terminal.ended
            exited = await self._has_exited(session)
            for client in session.clients:
                if client.terminal is terminal:
                    client.finish(_EXIT if exited else Ending("detached"))
            if exited:
                await self._lives.end(session, "Its shell has exited", _EXIT)
        if segment is not None:
            segment.close()

    async def _has_exited(self, session: Session) -> bool:
        """The multiplexer's own end is the proof: what asks it may fail for other reasons."""
        name = session.record.multiplexer
        if name is None:
            return True
        if session.server is None or await multiplexed.lives(session.machine, name):
            return False
        await asyncio.wait((session.server.outcome(),), timeout=END_SECONDS)
        return session.server.ended.done()

    async def _after(self, session: Session, terminal: Terminal) -> None:
        """A plain session ends with its last client, a multiplexer's program with its only one."""
        if session.over or terminal.viewers:
            return
        if session.record.multiplexer is None:
            await self._lives.end(session, "Its last client left", _EXIT)
        else:
            await hang_up(terminal)


@contextmanager
def _place(session: Session) -> Iterator[None]:
    """One of the session's places for clients, also for who waits to come in."""
    if session.visitors == CLIENTS_MOST:
        raise Conflict(f"{CLIENTS_MOST} clients are at this shell; close one of them first")
    session.visitors += 1
    try:
        yield
    finally:
        session.visitors -= 1


async def _started(process: Process) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            await process.started()
    except TimeoutError:
        process.close()
        raise AgentLost(f"no shell started within {START_SECONDS:.0f} seconds") from None


def require_running(session: Session) -> None:
    """Raise Conflict where a session is frozen."""
    if session.record.frozen:
        note = f" ({session.note})" if session.note else ""
        raise Conflict(
            f"The session is frozen{note}; unfreeze it first: POST /sessions/{{id}}/unfreeze"
        )


async def detach(session: Session) -> None:
    """End the clients of a multiplexer, whose programs tidy up their terminals before they go."""
    await asyncio.gather(*(hang_up(client.terminal) for client in session.clients))
    endings = [client.ending for client in session.clients]
    if endings:
        await asyncio.wait(endings, timeout=HANG_UP_SECONDS)
    session.end_clients(Ending("detached"))


async def hang_up(terminal: Terminal) -> None:
    """End a client's program as the loss of its terminal would: screen has to hear of it."""
    with suppress(AgentError):
        terminal.process.signal(signal.SIGHUP)
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_SECONDS):
                await terminal.ended
        terminal.close()
