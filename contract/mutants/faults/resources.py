"""What servers get wrong about anything that is made, changed and ended; parts for the tables."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import listing, using
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed

__all__ = [
    "Members",
    "another_id",
    "despite_lock",
    "fault",
    "forgetting",
    "pretending",
    "without_newest",
]

Members = Mapping[str, object] | Callable[[Any, Call], Mapping[str, object]]
_IDS = ("session_id", "service_id", "snapshot_id", "image_id", "job_id", "id")


def fault(
    name: str,
    sentence: str,
    operations: tuple[str, ...],
    build: Build,
    kind: Kind = Kind.STATE,
    family: str = "lifecycle",
    *,
    check: str = "",
    thorough: bool = False,
) -> Mutant:
    """A mutant of this kind of table."""
    return Mutant(name, sentence, kind, family, operations, build, check=check, thorough=thorough)


def common(kind: str, article: str, create: str, end: str, gone: Members) -> tuple[Mutant, ...]:
    """What goes wrong with every kind of thing, by its name: `session`, with `a` before it.

    `create` and `end` are the operations that make one and end one, `gone` what the latter answers.
    """
    title, plural = kind.capitalize(), f"{kind}s"
    it = f"{article} {kind}"
    ids = (f"{kind}_id", "id")
    read, listed = f"get{title}", f"list{title}s"
    lock, unlock = f"lock{title}", f"unlock{title}"
    lost = Kind.DATA_LOSS
    return (
        fault(
            f"{kind}-forgotten",
            f"Every second {kind} is not found.",
            (create, read),
            forgetting(create),
            lost,
        ),
        fault(
            f"{kind}-id-stale",
            f"A new {kind} is answered with the id of the one before.",
            (create,),
            another_id(*ids),
        ),
        fault(
            f"{kind}-unlisted",
            f"The newest {kind} is not listed.",
            (listed,),
            without_newest(plural),
            lost,
        ),
        fault(
            f"{kind}-not-ended",
            f"{it.capitalize()} that is ended is still there.",
            (end,),
            pretending(gone, *ids),
        ),
        fault(
            f"{kind}-ended-though-locked",
            f"A locked {kind} can be ended.",
            (end, lock),
            despite_lock(plural, end),
        ),
        fault(
            f"{kind}-lock-pretended",
            f"{it.capitalize()} is not locked when it says so.",
            (lock,),
            pretending({"locked": True}),
        ),
        fault(
            f"{kind}-unlock-pretended",
            f"{it.capitalize()} stays locked when it says otherwise.",
            (unlock,),
            pretending({"locked": False}),
        ),
    )


def without_newest(plural: str) -> Build:
    """Whatever the order of a list, what was made last is at one of its ends."""
    return listing(plural, lambda found: found[1:-1])


def pretending(members: Members, *only: str) -> Build:
    """Changes nothing and answers as if: what the resource is, with these members.

    With `only`, the answer has no other members than these and the given ones.
    """

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        resource = "/" + "/".join(call.segments[:2])
        found = await proceed(call.edited(method="GET", target=resource, body=b""))
        if not found.succeeded:
            return found
        body = found.document
        given = members(body, call) if callable(members) else members
        kept = {name: body[name] for name in only if name in body} if only else body
        found.document = {**kept, **given}
        return found

    return using(mutator)


def another_id(*names: str) -> Build:
    """What is made is answered with the id of what was made before."""

    def build() -> Mutator:
        last = deque[dict[str, str]](maxlen=1)

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            answer = await proceed(call)
            body = answer.document
            if not answer.succeeded or not isinstance(body, dict):
                return answer
            made = {name: body[name] for name in names if name in body}
            if last:
                answer.document = {**body, **{k: v for k, v in last[0].items() if k in body}}
            last.append(made)
            return answer

        return mutator

    return build


def forgetting(*creates: str) -> Build:
    """Every second of what is made (by `creates`) is not found afterwards."""

    def build() -> Mutator:
        gone, count = set[str](), [0]

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            if gone & set(call.segments):
                return Answer.error(404, "Not found", "NOT_FOUND")
            answer = await proceed(call)
            if call.operation is not None and call.operation.id in creates and answer.succeeded:
                body = answer.document
                count[0] += 1
                if count[0] % 2 == 0:
                    gone.update(body[name] for name in _IDS if name in body)
            return answer

        return mutator

    return build


def despite_lock(resource: str, end: str) -> Build:
    """What is locked is ended all the same: it is unlocked first."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        credentials = call.credentials
        ends = call.operation is not None and call.operation.id == end
        if credentials is not None and ends and call.authentic and call.timely:
            path = f"/{resource}/{call.segments[1]}/unlock"
            unlock = replace(call, method="POST", target=path, body=b"")
            await proceed(unlock.signed_by(credentials))
        return await proceed(call)

    return using(mutator)
