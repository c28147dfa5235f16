"""The shapes that faults have: small parts that the table puts together.

A part makes a `Build`: called once a run, so that what a fault remembers starts empty.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from contract.mutants.traffic import Answer, Build, Call, Frames, Mutator, Proceed, compact

__all__ = [
    "admitting",
    "always",
    "answering",
    "chained",
    "delayed",
    "document",
    "failed",
    "for_operations",
    "frames",
    "listing",
    "on_request",
    "on_response",
    "refusing",
    "request_document",
    "status",
    "stream",
    "succeeded",
    "using",
]

Edit = Callable[[Call, Answer], object]
When = Callable[[Answer], bool]


def succeeded(answer: Answer) -> bool:
    return answer.succeeded


def failed(answer: Answer) -> bool:
    return answer.status >= 400


def always(_answer: Answer) -> bool:
    return True


def status(*statuses: int) -> When:
    return lambda answer: answer.status in statuses


def using(mutator: Mutator) -> Build:
    """A fault that remembers nothing."""
    return lambda: mutator


def for_operations(build: Build, operations: frozenset[str]) -> Build:
    """The fault for calls of these operations alone; of all calls when there are none."""
    if not operations:
        return build

    def made() -> Mutator:
        inner = build()

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            concerned = call.operation is not None and call.operation.id in operations
            return await (inner(call, proceed) if concerned else proceed(call))

        return mutator

    return made


def chained(*builds: Build) -> Build:
    """Several faults as one; the first meets the call first."""

    def made() -> Mutator:
        mutators = [build() for build in builds]

        def proceeding(position: int, last: Proceed) -> Proceed:
            if position == len(mutators):
                return last
            return lambda call: mutators[position](call, proceeding(position + 1, last))

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            return await proceeding(0, proceed)(call)

        return mutator

    return made


def on_response(edit: Edit, when: When = succeeded) -> Build:
    """Edits answers in place."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        if when(answer):
            edit(call, answer)
        return answer

    return using(mutator)


def document(edit: Callable[[Any], object], when: When = succeeded) -> Build:
    """Edits the JSON object of answers in place."""

    def edited(_call: Call, answer: Answer) -> None:
        found = answer.document
        if isinstance(found, dict):
            edit(found)
            answer.document = found

    return on_response(edited, when)


def listing(member: str, edit: Callable[[list[Any]], list[Any]]) -> Build:
    """Another list in place of the one that answers have, bare or as a member with its count."""

    def edited(_call: Call, answer: Answer) -> None:
        found = answer.document
        if isinstance(found, list):
            answer.document = edit(found)
        elif isinstance(found, dict):
            found[member] = edit(found.get(member, []))
            if "count" in found:
                found["count"] = len(found[member])
            answer.document = found

    return on_response(edited)


def on_request(edit: Callable[[Call], Mapping[str, Any]]) -> Build:
    """Changes fields of calls (`method`, `target`, `headers`, `body`); they are signed again."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        return await proceed(call.edited(**edit(call)))

    return using(mutator)


def request_document(edit: Callable[[Any], object]) -> Build:
    """Edits the JSON object that calls bring, in place."""

    def body(call: Call) -> Mapping[str, Any]:
        found = call.document
        if not isinstance(found, dict):
            return {}
        edit(found)
        return {"body": compact(found)}

    return on_request(body)


def admitting(accepts: Callable[[Call], bool]) -> Build:
    """Takes calls that it should refuse as if their sender had signed them rightly, and now."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        credentials = call.credentials
        if credentials is None or (call.authentic and call.timely) or not accepts(call):
            return await proceed(call)
        return await proceed(call.signed_by(credentials))

    return using(mutator)


def refusing(refuses: Callable[[Call], bool], answer: Callable[[], Answer]) -> Build:
    """Answers for itself where the fault says so."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        return answer() if refuses(call) else await proceed(call)

    return using(mutator)


def answering(answer: Callable[[], Answer]) -> Build:
    """One answer to everything."""
    return refusing(lambda _call: True, answer)


def delayed(seconds: float) -> Build:
    async def mutator(call: Call, proceed: Proceed) -> Answer:
        await asyncio.sleep(seconds)
        return await proceed(call)

    return using(mutator)


def stream(edit: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]) -> Build:
    """Edits streams of events, a chunk at a time."""

    def edited(_call: Call, answer: Answer) -> None:
        if answer.chunks is not None:
            answer.chunks = edit(answer.chunks)

    return on_response(edited)


def frames(edit: Callable[[], Frames]) -> Build:
    """Edits the messages of WebSockets; `edit` is called for each connection."""

    def edited(_call: Call, answer: Answer) -> None:
        answer.frames.append(edit())

    return on_response(edited, status(101))
