"""Servers that mistake sessions and their shells."""

import json
from collections.abc import Callable
from itertools import count

from contract.mutants.faults.resources import (
    another_id,
    common,
    fault,
    pretending,
)
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    admitting,
    document,
    frames,
    on_response,
    request_document,
    status,
)
from contract.mutants.traffic import Answer, Build, Call, Frames

_FROZEN, _RUNNING = {"status": "frozen"}, {"status": "running"}

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
)


def _every_other(direction: str) -> Callable[[], Frames]:
    """Every second message of terminal bytes is lost, the first one not."""

    def build() -> Frames:
        number = count()

        def edit(way: str, message: str | bytes) -> list[str | bytes]:
            lost = way == direction and isinstance(message, bytes) and next(number) % 2 == 1
            return [] if lost else [message]

        return edit

    return build


def _without_text(direction: str) -> Callable[[], Frames]:
    def edit(way: str, message: str | bytes) -> list[str | bytes]:
        return [] if way == direction and isinstance(message, str) else [message]

    return lambda: edit


def _as_text(way: str, message: str | bytes) -> list[str | bytes]:
    return [
        message.decode("utf-8", "replace")
        if way == "out" and isinstance(message, bytes)
        else message
    ]


def _ascii(way: str, message: str | bytes) -> list[str | bytes]:
    if way == "in" or isinstance(message, str):
        return [message]
    return [bytes(byte if byte < 0x80 else ord("?") for byte in message)]


def _resized(way: str, message: str | bytes) -> list[str | bytes]:
    """Columns and rows are exchanged."""
    if way == "out" or isinstance(message, bytes):
        return [message]
    try:
        event = json.loads(message)
    except ValueError:
        return [message]
    if isinstance(event, dict) and event.get("type") == "resize":
        event["cols"], event["rows"] = event.get("rows"), event.get("cols")
    return [json.dumps(event)]


def _closing(code: int) -> Build:
    def edit(_call: Call, answer: Answer) -> None:
        answer.close_code = code

    return on_response(edit, status(101))


def _plain_request(_call: Call, answer: Answer) -> None:
    answer.status = 400


def _shell(name: str, sentence: str, build: Build, kind: Kind = Kind.STREAMS) -> Mutant:
    return fault(name, sentence, ("openSessionShell",), build, kind, "shell")


SHELL = (
    _shell(
        "shell-input-lost",
        "Every second message to a shell is lost.",
        frames(_every_other("in")),
        Kind.DATA_LOSS,
    ),
    _shell(
        "shell-output-lost",
        "Every second message of a shell is lost.",
        frames(_every_other("out")),
        Kind.DATA_LOSS,
    ),
    _shell(
        "shell-output-as-text",
        "A shell's output comes as text frames.",
        frames(lambda: _as_text),
        Kind.SCHEMA,
    ),
    _shell(
        "shell-output-ascii",
        "Letters beyond ASCII are lost on the way from a shell.",
        frames(lambda: _ascii),
        Kind.DATA_LOSS,
    ),
    _shell("shell-resize-ignored", "The terminal keeps its size.", frames(_without_text("in"))),
    _shell("shell-resize-swapped", "Columns are taken for rows.", frames(lambda: _resized)),
    _shell(
        "shell-end-untold", "Nothing tells that a shell has ended.", frames(_without_text("out"))
    ),
    _shell(
        "shell-closed-as-fault", "A shell that ends closes with 1011.", _closing(1011), Kind.STATUS
    ),
    _shell(
        "shell-any-signature",
        "Signatures of a WebSocket are not verified.",
        admitting(lambda _call: True),
        Kind.AUTH,
    ),
    _shell(
        "shell-plain-as-bad",
        "A request without upgrade is answered 400.",
        on_response(_plain_request, status(426)),
        Kind.STATUS,
    ),
)
