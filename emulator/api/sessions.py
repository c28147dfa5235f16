"""`/sessions`: interactive shells in containers of their own."""

from emulator.api.call import HUNG_UP, Call, Json, Reply
from emulator.api.programs import check_features, input_files
from emulator.api.urls import websocket_url
from emulator.emulator import Emulator
from emulator.errors import SandboxFailed
from emulator.results import artifact, printed, shown
from emulator.sandbox.limits import MEMORY_PER_VCPU, MIB
from emulator.sandbox.network import ZEROTRUST
from emulator.sandbox.program import Ending
from emulator.sessions.command import COMMAND_SECONDS
from emulator.sessions.session import Session
from emulator.sessions.sessions import Wanted
from emulator.stop import Stop, Stopped
from emulator.store.sessions import SessionRecord

DEFAULT_TTL = 3600
BOOST_VCPU = 2


async def create_session(emulator: Emulator, call: Call) -> Reply:
    """Start a container; its shell starts with its first client, or in its multiplexer now."""
    wanted = _wanted(emulator, call)
    emulator.readiness.require()
    stop = Stop()
    async with call.when_sender_hangs_up(lambda: stop.request(HUNG_UP)):
        try:
            session = await emulator.sessions.create(call.account, wanted, stop)
        except Stopped:
            raise SandboxFailed(HUNG_UP) from None  # which nobody is left to read
    return Reply(_document(emulator, call, session))


def _wanted(emulator: Emulator, call: Call) -> Wanted:
    fields = call.fields
    network_mode = str(fields.get("network_mode", ZEROTRUST))
    check_features(network_mode, call.account)
    multiplexer = fields.get("multiplexer")
    return Wanted(
        shell=str(fields.get("shell", emulator.catalogue.shells.usual)),
        network_mode=network_mode,
        multiplexer=None if multiplexer is None else str(multiplexer),
        ttl=_whole(fields.get("ttl", DEFAULT_TTL)),
        vcpu=_whole(fields.get("vcpu", 1)),
        audited=bool(call.query.get("audit", False)),
        input_files=input_files(fields.get("input_files", ())),  # type: ignore[arg-type]
    )


async def list_sessions(emulator: Emulator, call: Call) -> Reply:
    """Those that live, the oldest first; their items are flat, and without times."""
    emulator.readiness.require()
    items = [
        _summary(emulator, call, session)
        for session in emulator.sessions.lives.of(call.account.public_key)
    ]
    return Reply({"sessions": items, "count": len(items)})


async def get_session(emulator: Emulator, call: Call) -> Reply:
    """One session, for a while also one that has ended by itself."""
    emulator.readiness.require()
    lives, owner = emulator.sessions.lives, call.account.public_key
    ended = lives.ended(call.path["id"], owner)
    if ended is not None:
        return Reply(_ended(emulator, ended.record, ended.reason))
    return Reply(_document(emulator, call, lives.find(call.path["id"], owner)))


async def check_deletable(emulator: Emulator, call: Call) -> None:
    """Raise NotFound, or Locked, before anybody looks for a one-time code."""
    emulator.readiness.require()
    lives, owner = emulator.sessions.lives, call.account.public_key
    if lives.ended(call.path["id"], owner) is None:
        emulator.sessions.check_unlocked(lives.find(call.path["id"], owner))


async def delete_session(emulator: Emulator, call: Call) -> Reply:
    """End a session; with `audit`, what was recorded of it comes along."""
    emulator.readiness.require()
    sessions, owner = emulator.sessions, call.account.public_key
    ended = sessions.lives.ended(call.path["id"], owner)
    if ended is None:
        session = sessions.lives.find(call.path["id"], owner)
        await sessions.delete(session)
        record = session.record
    else:
        record = ended.record
        sessions.lives.forget(record.session_id)
    document: Json = {
        "id": record.session_id,
        "session_id": record.session_id,
        "status": "terminated",
    }
    if call.query.get("audit", False):
        files = await sessions.recorded(record)
        document["artifacts"] = [artifact(file) for file in files]
    await sessions.recordings.remove(record.session_id)
    return Reply(shown(document) | {"id": record.session_id})


async def freeze_session(emulator: Emulator, call: Call) -> Reply:
    session = _find(emulator, call)
    await emulator.sessions.states.freeze(session)
    return Reply(_document(emulator, call, session))


async def unfreeze_session(emulator: Emulator, call: Call) -> Reply:
    session = _find(emulator, call)
    seconds = await emulator.sessions.states.unfreeze(session, call.account)
    told = {"unfreeze_time_ms": round(seconds * 1000)}
    return Reply(_document(emulator, call, session) | told)


async def boost_session(emulator: Emulator, call: Call) -> Reply:
    """More processors and memory, until the boost is taken back."""
    session = _find(emulator, call)
    vcpu = _whole(call.fields.get("vcpu", BOOST_VCPU))
    await emulator.sessions.states.resize(session, vcpu, call.account, Stop())
    return Reply(_document(emulator, call, session))


async def unboost_session(emulator: Emulator, call: Call) -> Reply:
    session = _find(emulator, call)
    vcpu = session.record.base_vcpu
    await emulator.sessions.states.resize(session, vcpu, call.account, Stop())
    return Reply(_document(emulator, call, session))


async def lock_session(emulator: Emulator, call: Call) -> Reply:
    return await _set_lock(emulator, call, locked=True)


async def unlock_session(emulator: Emulator, call: Call) -> Reply:
    return await _set_lock(emulator, call, locked=False)


async def _set_lock(emulator: Emulator, call: Call, *, locked: bool) -> Reply:
    session = _find(emulator, call)
    await emulator.sessions.states.lock(session, locked=locked)
    return Reply(_document(emulator, call, session))


async def execute_session(emulator: Emulator, call: Call) -> Reply:
    """Run a command line beside the shell, to its end."""
    session, stop = _find(emulator, call), Stop()
    async with call.when_sender_hangs_up(lambda: stop.request(HUNG_UP)):
        outcome = await emulator.sessions.execute(session, str(call.fields["command"]), stop)
    if outcome.ending is Ending.CANCELLED:
        raise SandboxFailed(HUNG_UP)  # which nobody is left to read
    document = printed(outcome) | {"status": "completed"}
    if outcome.ending is Ending.TIMED_OUT:
        document["status"] = "timeout"
        document["error"] = f"The command was stopped after {COMMAND_SECONDS} seconds"
    return Reply(shown(document))


def _find(emulator: Emulator, call: Call) -> Session:
    emulator.readiness.require()
    return emulator.sessions.lives.find(call.path["id"], call.account.public_key)


def _whole(value: object) -> int:
    assert isinstance(value, int | float)  # noqa: S101 - the validator saw to it
    return int(value)


def _document(emulator: Emulator, call: Call, session: Session) -> Json:
    note = {} if session.note is None else {"message": session.note}
    return _summary(emulator, call, session) | _times(emulator, session.record) | note


def _summary(emulator: Emulator, call: Call, session: Session) -> Json:
    left = session.seconds_left(emulator.clock)
    return {
        **_facts(session.record, session.status),
        "websocket_url": websocket_url(emulator, call, f"/sessions/{session.id}/shell"),
        "remaining_ttl": 0 if left is None else round(left),
    }


def _ended(emulator: Emulator, record: SessionRecord, reason: str) -> Json:
    facts = _facts(record, "terminated")
    return {**facts, "remaining_ttl": 0, "message": reason, **_times(emulator, record)}


def _facts(record: SessionRecord, status: str) -> Json:
    multiplexer = {} if record.multiplexer is None else {"multiplexer": record.multiplexer}
    return {
        "id": record.session_id,
        "session_id": record.session_id,
        "container_name": record.container_name,
        "status": status,
        "shell": record.shell,
        "network_mode": record.network_mode,
        **multiplexer,
        "vcpu": record.vcpu,
        "memory_mb": record.vcpu * MEMORY_PER_VCPU // MIB,
        "boosted": record.boosted,
        "locked": record.locked,
        "ttl": record.ttl,
    }


def _times(emulator: Emulator, record: SessionRecord) -> Json:
    """Clients differ in how they read times in lists; in a session of its own they do not."""
    ends = record.expires_at
    expires = {} if ends is None else {"expires_at": emulator.clock.isoformat(ends)}
    return {"created_at": emulator.clock.isoformat(record.created_at), **expires}
