"""Servers that mistake the shells of sessions."""

import json
from collections.abc import Callable
from dataclasses import replace

from contract.mutants.faults.admission import served_as_main
from contract.mutants.faults.resources import fault, pretending
from contract.mutants.faults.sessions import claimed
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    admitting,
    frames,
    on_response,
    refusing,
    status,
    using,
)
from contract.mutants.traffic import Answer, Build, Call, Frames, Mutator, Proceed, compact
from contract.signing import AUTHORIZATION
from contract.target import MAIN

__all__ = ["SHELL"]

_IN, _OUT = "in", "out"
_PASTED, _FLOOD = 200, 1000
"""Messages of so many bytes are no single keys, and no prompts."""


def _pieces(way: str, least: int, edit: Callable[[bytes, bytes], list[str | bytes]]) -> Build:
    """Edits the halves of long messages one way; both are sent when nothing is wrong."""

    def edited(direction: str, message: str | bytes) -> list[str | bytes]:
        if direction != way or isinstance(message, str) or len(message) < least:
            return [message]
        half = len(message) // 2
        return edit(message[:half], message[half:])

    return frames(lambda: edited)


def _without_text(direction: str) -> Callable[[], Frames]:
    def edit(way: str, message: str | bytes) -> list[str | bytes]:
        return [] if way == direction and isinstance(message, str) else [message]

    return lambda: edit


def _telling(instead: dict[str, str]) -> Callable[[], Frames]:
    """Other events in the place of those that come."""

    def edit(way: str, message: str | bytes) -> list[str | bytes]:
        if way == _IN or isinstance(message, bytes):
            return [message]
        event = json.loads(message)
        event["type"] = instead.get(event["type"], event["type"])
        return [compact(event).decode()]

    return lambda: edit


def _as_text(way: str, message: str | bytes) -> list[str | bytes]:
    return [
        message.decode("utf-8", "replace")
        if way == _OUT and isinstance(message, bytes)
        else message
    ]


def _ascii(way: str, message: str | bytes) -> list[str | bytes]:
    if way == _IN or isinstance(message, str):
        return [message]
    return [bytes(byte if byte < 0x80 else ord("?") for byte in message)]


def _uninterrupted(way: str, message: str | bytes) -> list[str | bytes]:
    return [] if way == _IN and message == b"\x03" else [message]


def _resized(way: str, message: str | bytes) -> list[str | bytes]:
    """Columns and rows are exchanged."""
    if way == _OUT or isinstance(message, bytes):
        return [message]
    try:
        event = json.loads(message)
    except ValueError:
        return [message]
    if isinstance(event, dict) and event.get("type") == "resize":
        event["cols"], event["rows"] = event.get("rows"), event.get("cols")
    return [json.dumps(event)]


def _blind() -> Frames:
    """Who has typed nothing sees nothing."""
    typed = False

    def edit(way: str, message: str | bytes) -> list[str | bytes]:
        nonlocal typed
        typed = typed or (way == _IN and isinstance(message, bytes))
        return [message] if typed or way == _IN or isinstance(message, str) else []

    return edit


def _seen_by_all() -> Mutator:
    """What a shell shows is shown at the others, too, with what they show next."""
    ways = list[list[bytes]]()

    def connected() -> Frames:
        others = list[bytes]()
        ways.append(others)

        def edit(way: str, message: str | bytes) -> list[str | bytes]:
            if way == _IN or isinstance(message, str):
                return [message]
            for waiting in ways:
                if waiting is not others:
                    waiting.append(message)
            shown: list[str | bytes] = [*others, message]
            others.clear()
            return shown

        return edit

    return frames(connected)()


def _closing(code: int) -> Build:
    def edit(_call: Call, answer: Answer) -> None:
        answer.close_code = code

    return on_response(edit, status(101))


def _plain_request(_call: Call, answer: Answer) -> None:
    answer.status = 400


@using
async def _guessed(call: Call, proceed: Proceed) -> Answer:
    """Who sends no key is taken for the first account, so that the container's name will do."""
    if call.header(AUTHORIZATION) is None and call.header("Upgrade"):
        return await proceed(call.signed_by(call.accounts[MAIN]))
    return await proceed(call)


@using
async def _kept_always(call: Call, proceed: Proceed) -> Answer:
    """Sessions without a multiplexer have one that is not told."""
    asked = call.document or {}
    if "multiplexer" in asked:
        return await proceed(call)
    answer = await proceed(call.edited(body=compact({**asked, "multiplexer": "tmux"})))
    shown = answer.document
    shown.pop("multiplexer", None)
    answer.document = shown
    return answer


@using
async def _forgetful(call: Call, proceed: Proceed) -> Answer:
    """The shell is another one after it was frozen."""
    answer = await proceed(call)
    if answer.succeeded and call.credentials is not None:
        command = compact({"command": "tmux respawn-pane -k -t main"})
        target = f"/sessions/{call.segments[1]}/execute"
        headers = [*call.headers, ("Content-Type", "application/json")]
        other = replace(call, target=target, headers=headers, body=command)
        await proceed(other.signed_by(call.credentials))
    return answer


def _shell(name: str, sentence: str, build: Build, kind: Kind = Kind.STREAMS) -> Mutant:
    return fault(name, sentence, ("openSessionShell",), build, kind, "shell")


def _seen(
    check: str, name: str, sentence: str, build: Build, *operations: str, kind: Kind = Kind.STREAMS
) -> Mutant:
    """Seen by a check of that name; the operations are those that the fault is in."""
    shell = ("openSessionShell",)
    where = operations or shell
    return Mutant(name, sentence, kind, "shell", where, build, check=check, seen_at=shell)


_LARGE_OUTPUT, _LARGE_INPUT, _END = "large_output", "large_input", "the_end_of_the_shell"

SHELL = (
    _seen(
        _LARGE_INPUT,
        "shell-input-lost",
        "Half of what is pasted into a shell is lost.",
        _pieces(_IN, _PASTED, lambda _one, two: [two]),
        kind=Kind.DATA_LOSS,
    ),
    _seen(
        _LARGE_INPUT,
        "shell-input-reordered",
        "What is pasted into a shell arrives in another order.",
        _pieces(_IN, _PASTED, lambda one, two: [two, one]),
    ),
    _seen(
        _LARGE_OUTPUT,
        "shell-output-lost",
        "Half of what a program floods a shell with is lost.",
        _pieces(_OUT, _FLOOD, lambda _one, two: [two]),
        kind=Kind.DATA_LOSS,
    ),
    _seen(
        _LARGE_OUTPUT,
        "shell-output-reordered",
        "What a program floods a shell with comes in another order.",
        _pieces(_OUT, _FLOOD, lambda one, two: [two, one]),
    ),
    _seen(
        _LARGE_OUTPUT,
        "shell-output-doubled",
        "What a program floods a shell with comes twice.",
        _pieces(_OUT, _FLOOD, lambda one, two: [one + two, one + two]),
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
    _seen(
        "interrupt",
        "shell-interrupt-lost",
        "A key that should interrupt a program is lost.",
        frames(lambda: _uninterrupted),
    ),
    _seen(
        "size",
        "shell-resize-ignored",
        "The terminal keeps its size.",
        frames(_without_text(_IN)),
    ),
    _seen(
        "size",
        "shell-resize-swapped",
        "Columns are taken for rows.",
        frames(lambda: _resized),
    ),
    _seen(
        "asked_for",
        "shell-pretended",
        "Every session runs bash, whatever shell it shows.",
        claimed("shell"),
        "createSession",
        kind=Kind.STATE,
    ),
    _seen(
        "all_clients",
        "shell-viewers-blind",
        "A client that has typed nothing sees nothing.",
        frames(_blind),
    ),
    _seen(
        "another_session",
        "shell-seen-by-all",
        "What a shell shows is shown in the shells of other sessions.",
        _seen_by_all,
        kind=Kind.TENANCY,
    ),
    _seen(
        _END,
        "shell-end-untold",
        "Nothing tells that a shell has ended.",
        frames(_without_text(_OUT)),
    ),
    _seen(
        "detaches",
        "shell-detached-as-exit",
        "Who detaches is told that the shell has ended.",
        frames(_telling({"detached": "exit"})),
    ),
    _seen(
        _END,
        "shell-exit-as-detached",
        "Whose shell has ended is told that it lives on.",
        frames(_telling({"exit": "detached"})),
    ),
    _seen(
        _END,
        "shell-closed-as-fault",
        "A shell that ends closes with 1011.",
        _closing(1011),
        kind=Kind.STATUS,
    ),
    _seen(
        "deleted",
        "shell-outlives-its-session",
        "Who is at a session that is deleted is not told.",
        pretending({"status": "terminated"}, "id", "session_id"),
        "deleteSession",
    ),
    _seen(
        "frozen",
        "shell-goes-on-frozen",
        "Who is at a session that is frozen is not told.",
        pretending({"status": "frozen"}),
        "freezeSession",
    ),
    _seen(
        "frozen",
        "shell-forgets",
        "What a shell knew is lost when its session is frozen.",
        _forgetful,
        "unfreezeSession",
        kind=Kind.DATA_LOSS,
    ),
    _seen(
        "ends_with_its_client",
        "shell-kept-unasked",
        "A session without a multiplexer outlives its client.",
        _kept_always,
        "createSession",
        kind=Kind.STATE,
    ),
    _seen(
        "outlives_its_client",
        "shell-not-kept",
        "A session ends with its client, whatever its multiplexer.",
        claimed("multiplexer"),
        "createSession",
        kind=Kind.DATA_LOSS,
    ),
    _shell(
        "shell-any-signature",
        "Signatures of a WebSocket are not verified.",
        admitting(lambda _call: True),
        Kind.AUTH,
    ),
    _shell(
        "shell-by-guessing",
        "The name of a container opens its shell, without a key.",
        _guessed,
        Kind.AUTH,
    ),
    _shell(
        "shell-of-others",
        "Who knows a session's id opens its shell, signed by whatever account.",
        served_as_main("second"),
        Kind.TENANCY,
    ),
    _shell(
        "shell-nameless",
        "A shell is not found by the name of its container.",
        refusing(
            lambda call: call.segments[1].startswith("unsb-vm-"),
            lambda: Answer.error(404, "Not found", "NOT_FOUND"),
        ),
        Kind.STATUS,
    ),
    _shell(
        "shell-plain-as-bad",
        "A request without upgrade is answered 400.",
        on_response(_plain_request, status(426)),
        Kind.STATUS,
    ),
)
