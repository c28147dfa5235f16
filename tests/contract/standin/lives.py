"""The life that sessions, services, snapshots and images share: read, list, lock, freeze, end."""

from functools import partial
from typing import Any

from tests.contract.standin.world import Call, Refused, Thing, World

Document = dict[str, Any]
ENDED: dict[str, Document] = {
    "session": {"status": "terminated"},
    "service": {"status": "destroyed", "state": "destroyed", "success": True},
    "snapshot": {"status": "deleted", "success": True},
    "image": {"status": "deleted", "success": True},
}


def _own(world: World, call: Call, kind: str) -> Thing:
    return world.find(kind, call.id, call.account)


def read(world: World, call: Call, kind: str) -> Document:
    find = usable_image if kind == "image" else partial(_own, kind=kind)
    thing = find(world, call)
    secret = {"message": repr(thing.vault)} if world.has("secret echoed") and thing.vault else {}
    return thing.shown | secret


def listed(world: World, call: Call, kind: str) -> Document:
    items = [thing.shown for thing in world.of(kind, call.account)]
    return {f"{kind}s": items, "count": len(items)}


def deleted(world: World, call: Call, kind: str) -> Document:
    thing = _own(world, call, kind)
    if thing.shown["locked"] and not world.has("lock ignored"):
        raise Refused(409, "LOCKED", f"Unlock the {kind} first")
    world.delete(thing)
    return {"id": thing.id, f"{kind}_id": thing.id, **ENDED[kind]}


def locked(world: World, call: Call, kind: str) -> Document:
    thing = _own(world, call, kind)
    thing.shown["locked"] = True
    return thing.shown


def unlocked(world: World, call: Call, kind: str) -> Document:
    thing = _own(world, call, kind)
    thing.shown["locked"] = False
    return thing.shown


def frozen(world: World, call: Call, kind: str) -> Document:
    thing = _own(world, call, kind)
    if kind == "session" and "multiplexer" not in thing.shown:
        raise Refused(400, "INVALID_REQUEST", "Only a session with a multiplexer can be frozen")
    return _in_state(thing, "frozen")


def unfrozen(world: World, call: Call, kind: str) -> Document:
    thing = _own(world, call, kind)
    thing.machine.variables = dict(thing.vault)
    return _in_state(thing, "running") | {"unfreeze_time_ms": 1}


def _in_state(thing: Thing, state: str) -> Document:
    names = ("status", "state") if thing.kind == "service" else ("status",)
    thing.shown.update(dict.fromkeys(names, state))
    return thing.shown


def running(world: World, call: Call, kind: str) -> Thing:
    """The thing, when it can be used; raises Refused with 409 otherwise."""
    thing = _own(world, call, kind)
    if thing.shown["status"] == "frozen" and not world.has("freeze ignored"):
        raise Refused(409, "CONFLICT", f"The {kind} is frozen")
    return thing


ALL = {
    "get": read,
    "list": listed,
    "delete": deleted,
    "lock": locked,
    "unlock": unlocked,
}
LIVE = {"freeze": frozen, "unfreeze": unfrozen}
"""What is done with all kinds, and with sessions and services, by how the operation's id begins."""


def may_read(world: World, image: Thing, account: str) -> bool:
    visibility, trusted = image.shown["visibility"], image.shown["trusted_keys"]
    return (
        account == image.owner
        or visibility == "public"
        or (visibility == "unlisted" and account in trusted)
        or world.has("visibility ignored")
    )


def usable_image(world: World, call: Call) -> Thing:
    """The image that is read, spawned or cloned; raises Refused with 404 when it may not be."""
    image = world.find("image", call.id, None)
    if not may_read(world, image, call.account):
        raise Refused(404, "NOT_FOUND", "Nothing of this account has this id")
    return image
