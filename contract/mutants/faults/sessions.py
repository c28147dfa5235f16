"""Servers that mistake sessions."""

import base64
import gzip
from collections.abc import Callable, Mapping
from typing import Any

from contract.mutants.faults.resources import (
    another_id,
    common,
    fault,
    pretending,
)
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    document,
    listing,
    on_request,
    on_response,
    refusing,
    request_document,
    status,
)
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed, compact

__all__ = ["SESSIONS", "claimed"]

Document = dict[str, Any]
_FROZEN, _RUNNING = {"status": "frozen"}, {"status": "running"}
_THAWED = {**_RUNNING, "unfreeze_time_ms": 40}


def claimed(*members: str) -> Build:
    """What a session is asked for in these members is not done, and shown as if it were."""

    def build() -> Mutator:
        shown = dict[str, Document]()

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            asked = call.document or {}
            wanted = {name: asked[name] for name in members if name in asked}
            if wanted:
                rest = {name: it for name, it in asked.items() if name not in wanted}
                call = call.edited(body=compact(rest))
            answer = await proceed(call)
            if answer.succeeded and wanted:
                shown[answer.document["session_id"]] = wanted
            _show(answer, shown)
            return answer

        return mutator

    return build


def _show(answer: Answer, shown: Mapping[str, Document]) -> None:
    """Put something into the document of a session."""
    found = answer.document
    if answer.succeeded and isinstance(found, dict) and found.get("session_id") in shown:
        answer.document = {**found, **shown[found["session_id"]]}


def _lying(told: Mapping[str, Callable[[Call], Document]]) -> Build:
    """These operations do nothing; from then on the session is shown with what they say."""

    def build() -> Mutator:
        shown = dict[str, Document]()

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            says = told.get(call.operation.id) if call.operation else None
            if says is not None:
                name = call.segments[1]
                shown[name] = shown.get(name, {}) | says(call)
                call = call.edited(method="GET", target=f"/sessions/{name}", body=b"")
            answer = await proceed(call)
            _show(answer, shown)
            return answer

        return mutator

    return build


def _outliving_locked() -> Mutator:
    """What was locked once is shown as it was then, whatever has become of it."""
    kept = dict[str, Answer]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        name, answer = call.segments[1], await proceed(call)
        if call.operation is not None and call.operation.id == "lockSession":
            kept[name] = answer
        elif name in kept and "message" in (answer.document or {}):
            return Answer.of(kept[name].document)
        return answer

    return mutator


def _listing_the_ended() -> Mutator:
    """Whatever was made and not deleted is listed, if it lives or not."""
    made = dict[str, Document]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        name = call.operation.id if call.operation else ""
        if answer.succeeded and name == "createSession":
            made[answer.document["session_id"]] = answer.document
        elif answer.succeeded and name == "deleteSession":
            made.pop(call.segments[1], None)
        elif name == "listSessions":

            async def given(_call: Call) -> Answer:
                return answer

            return await listing("sessions", lambda own: [*own, *_missing(made, own)])()(
                call, given
            )
        return answer

    return mutator


def _missing(made: Mapping[str, Document], listed: list[Any]) -> list[Document]:
    there = {item["session_id"] for item in listed}
    return [item for name, item in made.items() if name not in there]


def _granted(**members: object) -> Build:
    """What is refused for the state that a session is in is answered as if it were done."""

    def edit(call: Call, answer: Answer) -> None:
        answer.status = 200
        answer.document = {"session_id": call.segments[1], **members}

    return on_response(edit, status(400, 409))


def _audited(asked: bool) -> Build:
    """Sessions are recorded, or not, whatever is asked for."""
    return on_request(lambda call: {"target": f"{call.path}?audit={int(asked)}"})


def _recording(edit: Callable[[bytes], bytes], of: str) -> Build:
    """Another content in the place of what was recorded; `of` begins the names of its files."""

    def edited(body: Document) -> None:
        for file in body.get("artifacts", []):
            if file["filename"].startswith(of):
                content = edit(gzip.decompress(base64.b64decode(file["data"])))
                packed = base64.b64encode(gzip.compress(content)).decode()
                file.update(data=packed, content_base64=packed)

    return document(edited)


def _resized(vcpu: int) -> Document:
    return {"vcpu": vcpu, "memory_mb": vcpu * 2048, "boosted": vcpu > 1}


def _of_ttl(name: str, sentence: str, operations: tuple[str, ...], build: Build) -> Mutant:
    """Seen by the check that waits for the end of a ttl."""
    return Mutant(
        name,
        sentence,
        Kind.TIME,
        "lifecycle",
        operations,
        build,
        check="ttl_that_is_over",
        thorough=True,
        seen_at=("getSession",),
    )


def _of_freezer(name: str, sentence: str, operations: tuple[str, ...], build: Build) -> Mutant:
    """Seen by the check that waits while a session is frozen."""
    return Mutant(
        name,
        sentence,
        Kind.TIME,
        "lifecycle",
        operations,
        build,
        check="stands_still",
        thorough=True,
        seen_at=("getSession",),
    )


SESSIONS = (
    *common("session", "a", "createSession", "deleteSession", {"status": "terminated"}),
    fault(
        "session-shell-ignored",
        "Every session has the shell bash.",
        ("createSession",),
        request_document(lambda body: body.pop("shell", None)),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-always-running",
        "Every session runs.",
        ("getSession", "listSessions"),
        document(
            lambda body: (
                body.update(_RUNNING)
                if "status" in body
                else [it.update(_RUNNING) for it in body.get("sessions", [])]
            )
        ),
        check="loses_nothing",
    ),
    fault(
        "session-freeze-pretended",
        "A frozen session runs on.",
        ("freezeSession",),
        pretending(_FROZEN),
    ),
    fault(
        "session-unfreeze-pretended",
        "A session stays frozen when it says that it runs.",
        ("unfreezeSession",),
        pretending({**_RUNNING, "unfreeze_time_ms": 40}),
    ),
    fault(
        "session-boost-pretended",
        "A boosted session has as many CPUs as before.",
        ("boostSession",),
        pretending(
            lambda _body, call: {"vcpu": (call.document or {}).get("vcpu", 2), "boosted": True}
        ),
    ),
    fault(
        "session-unboost-pretended",
        "A session keeps its boost when it says that it lost it.",
        ("unboostSession",),
        pretending({"vcpu": 1, "boosted": False}),
    ),
    fault(
        "session-exit-code-0",
        "Every command in a session has the exit code 0.",
        ("executeSession",),
        document(lambda body: body.update(exit_code=0)),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-output-lost",
        "What a command in a session writes is lost.",
        ("executeSession",),
        document(lambda body: body.update(stdout="")),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-snapshot-stale",
        "A new snapshot of a session is answered with the id of the one before.",
        ("snapshotSession",),
        another_id("snapshot_id", "id"),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-not-restored",
        "A session keeps what it did since the snapshot.",
        ("restoreSession",),
        pretending({"status": "restored"}, "id", "session_id"),
        Kind.DATA_LOSS,
        thorough=True,
    ),
    fault(
        "session-multiplexer-ignored",
        "Every multiplexer is tmux.",
        ("createSession",),
        request_document(lambda body: "multiplexer" in body and body.update(multiplexer="tmux")),
    ),
    fault(
        "session-vcpu-ignored",
        "Every session has one vCPU.",
        ("createSession",),
        request_document(lambda body: body.pop("vcpu", None)),
    ),
    fault(
        "session-ttl-ignored",
        "Every session has the usual ttl.",
        ("createSession",),
        request_document(lambda body: body.pop("ttl", None)),
        Kind.TIME,
    ),
    fault(
        "session-input-files-lost",
        "A session has none of its input files.",
        ("createSession",),
        request_document(lambda body: body.pop("input_files", None)),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-commands-elsewhere",
        "Commands in a session begin in the root directory.",
        ("executeSession",),
        request_document(lambda body: body.update(command=f"cd /; {body['command']}")),
    ),
    fault(
        "session-alias-silent",
        "A command that is sent to the shell's path shows nothing.",
        ("executeSessionAlias",),
        document(lambda body: body.update(stdout="")),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-nameless",
        "A session is not found by the name of its container.",
        ("getSession", "executeSession", "lockSession", "unlockSession"),
        refusing(
            lambda call: call.segments[1].startswith("unsb-vm-"),
            lambda: Answer.error(404, "Not found", "NOT_FOUND"),
        ),
    ),
    fault(
        "session-listed-in-parts",
        "The items of a session list hold a list.",
        ("listSessions",),
        listing("sessions", lambda found: [{**item, "clients": []} for item in found]),
        Kind.SCHEMA,
    ),
    fault(
        "session-boost-without-memory",
        "A boosted session is shown larger, and is not.",
        ("boostSession", "unboostSession", "getSession"),
        _lying(
            {
                "boostSession": lambda call: _resized((call.document or {}).get("vcpu", 2)),
                "unboostSession": lambda _call: _resized(1),
            }
        ),
    ),
    fault(
        "session-shrunk",
        "A session can be made smaller than it was.",
        ("boostSession",),
        _granted(**_resized(1)),
    ),
    fault(
        "session-plain-frozen",
        "A session without a multiplexer can be frozen.",
        ("freezeSession",),
        _granted(**_FROZEN),
    ),
    fault(
        "session-sleep-pretended",
        "A session that sleeps runs on.",
        ("sleepSession",),
        pretending(_FROZEN),
    ),
    _of_freezer(
        "session-frozen-runs-on",
        "A frozen session is shown so, and runs on.",
        ("freezeSession", "unfreezeSession", "getSession"),
        _lying({"freezeSession": lambda _call: _FROZEN, "unfreezeSession": lambda _call: _THAWED}),
    ),
    _of_freezer(
        "session-ttl-frozen",
        "What is left of a ttl stands still while the session is frozen.",
        ("getSession",),
        document(
            lambda body: body.get("status") == "frozen" and body.update(remaining_ttl=body["ttl"])
        ),
    ),
    _of_ttl(
        "session-outlives-its-ttl",
        "A session goes on when its ttl is over.",
        ("createSession", "getSession"),
        claimed("ttl"),
    ),
    _of_ttl(
        "session-outlives-when-locked",
        "A locked session is there when its ttl is over.",
        ("lockSession", "getSession"),
        _outliving_locked,
    ),
    fault(
        "session-end-unexplained",
        "A session that has ended by itself does not say why.",
        ("getSession",),
        document(lambda body: body.pop("message", None)),
    ),
    fault(
        "session-listed-for-ever",
        "A session that has ended by itself is listed.",
        ("createSession", "listSessions", "deleteSession"),
        _listing_the_ended,
    ),
    fault(
        "session-recording-not-given",
        "A recording does not come with the end of a session.",
        ("deleteSession",),
        document(lambda body: body.update(artifacts=[])),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-recording-empty",
        "A recording holds its first line alone.",
        ("deleteSession",),
        _recording(lambda content: content.split(b"\n")[0] + b"\n", "session.log"),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-recording-mistimed",
        "The timing of a recording is that of another one.",
        ("deleteSession",),
        _recording(lambda content: content + b"0.1 1\n", "session.timing"),
    ),
    fault(
        "session-not-recorded",
        "A session that is to be recorded is not.",
        ("createSession",),
        _audited(asked=False),
        Kind.DATA_LOSS,
    ),
    fault(
        "session-recorded-unasked",
        "Every session is recorded.",
        ("createSession",),
        _audited(asked=True),
    ),
)
