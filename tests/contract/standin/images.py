"""Snapshots and images: copies of a machine's files, and who may use them."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from tests.contract.standin.commands import Machine
from tests.contract.standin.lives import may_read, usable_image
from tests.contract.standin.sessions import copied, new_service, new_session
from tests.contract.standin.world import Call, Refused, Thing, World

Document = dict[str, Any]


def snapshot_session(world: World, call: Call) -> Document:
    return _snapshot(world, call, "session", call.id)


def snapshot_service(world: World, call: Call) -> Document:
    return _snapshot(world, call, "service", call.id)


def create_snapshot(world: World, call: Call) -> Document:
    return _snapshot(world, call, call.given["source_type"], call.given["source_id"])


def _snapshot(world: World, call: Call, kind: str, name: str) -> Document:
    source = world.find(kind, name, call.account)
    machine = source.machine if world.has("snapshot follows") else copied(source.machine)
    size = sum(map(len, machine.files.values()))
    shown = {
        "name": call.given.get("name") or f"snapshot-{len(world.things)}",
        "source_type": kind,
        "type": kind,
        "source_id": source.id,
        "container_name": source.shown["container_name"],
        "status": "ready",
        "size_bytes": size,
        "size": size,
        "hot": call.given.get("hot", False),
        "ttl": call.given.get("ttl", 0),
    }
    return world.new("snapshot", call.account, shown, machine=machine).shown


def restore_snapshot(world: World, call: Call) -> Document:
    return _restored(world, call, world.find("snapshot", call.id, call.account))


def restore_session(world: World, call: Call) -> Document:
    """The path names the session and the body its snapshot, or the path the snapshot itself."""
    name = call.given.get("snapshot_id")
    snapshot = world.find("snapshot", name or call.id, call.account)
    if name and world.find("session", call.id, call.account).id != snapshot.shown["source_id"]:
        raise Refused(409, "CONFLICT", "The snapshot is another session's")
    return _restored(world, call, snapshot)


def _restored(world: World, call: Call, snapshot: Thing) -> Document:
    kind = snapshot.shown["source_type"]
    try:
        source = world.find(kind, snapshot.shown["source_id"], call.account)
    except Refused:
        raise Refused(409, "CONFLICT", "The source does not exist any more") from None
    if not world.has("restore does nothing"):
        source.machine.files = dict(snapshot.machine.files)
    return {
        "status": "restored",
        "id": source.id,
        f"{kind}_id": source.id,
        "snapshot_id": snapshot.id,
        "type": kind,
    }


def clone_snapshot(world: World, call: Call) -> Document:
    snapshot = world.find("snapshot", call.id, call.account)
    kind = call.given.get("type", "session")
    machine = _of(world, snapshot)
    if world.has("clone shares state"):
        machine = world.find(
            snapshot.shown["source_type"], snapshot.shown["source_id"], call.account
        ).machine
    make = new_session if kind == "session" else new_service
    made = make(world, call.account, call.given, machine).shown
    names = ("id", f"{kind}_id", "name", "status", "state", "url", "websocket_url", "ports")
    return {name: made[name] for name in names if name in made} | {
        "snapshot_id": snapshot.id,
        "type": kind,
    }


def _of(world: World, thing: Thing) -> Machine:
    return thing.machine if world.has("clone shares state") else copied(thing.machine)


def publish(world: World, call: Call) -> Document:
    source = world.find(call.given["source_type"], call.given["source_id"], call.account)
    return _image(world, call, source, call.given)


def clone_image(world: World, call: Call) -> Document:
    image = usable_image(world, call)
    return _image(world, call, image, {**image.shown, **call.given})


def _image(world: World, call: Call, source: Thing, given: Mapping[str, Any]) -> Document:
    machine = _of(world, source)
    shown = {
        "name": given.get("name") or f"image-{len(world.things)}",
        "description": given.get("description", ""),
        "source_type": given["source_type"],
        "source_id": given["source_id"],
        "fingerprint": hashlib.sha256(repr(machine.files).encode()).hexdigest(),
        "node": "standin",
        "size_bytes": sum(map(len, machine.files.values())),
        "visibility": "private",
        "status": "ready",
        "owner_api_key": call.account,
        "owner_key": call.account,
        "trusted_keys": [],
    }
    return world.new("image", call.account, shown, machine=machine).shown


def spawn(world: World, call: Call) -> Document:
    image = usable_image(world, call)
    script = call.given.get("bootstrap", "")
    machine = _of(world, image)
    return new_service(
        world, call.account, call.given, machine, script, source_image=image.id
    ).shown


def set_visibility(world: World, call: Call) -> Document:
    image = world.find("image", call.id, call.account)
    image.shown["visibility"] = call.given["visibility"]
    return image.shown


def grant(world: World, call: Call) -> Document:
    image = world.find("image", call.id, call.account)
    if call.given["api_key"] not in image.shown["trusted_keys"]:
        image.shown["trusted_keys"].append(call.given["api_key"])
    return image.shown


def revoke(world: World, call: Call) -> Document:
    image = world.find("image", call.id, call.account)
    key = call.given.get("api_key") or call.given["key"]
    if key in image.shown["trusted_keys"] and not world.has("revoke ignored"):
        image.shown["trusted_keys"].remove(key)
    return image.shown


def trusted(world: World, call: Call) -> Document:
    keys = world.find("image", call.id, call.account).shown["trusted_keys"]
    return {"trusted_keys": keys, "trusted": keys, "count": len(keys)}


def transfer(world: World, call: Call) -> Document:
    image = world.find("image", call.id, call.account)
    if not world.has("transfer keeps owner"):
        image.owner = call.given["to_api_key"]
        image.shown.update(owner_api_key=image.owner, owner_key=image.owner)
    return image.shown


def images(world: World, call: Call) -> Document:
    """All that may be used and is listed, or those of one filter."""
    chosen = _FILTER_OF.get(call.operation.id) or call.given.get("filter", "")
    mine = call.account
    filters: dict[str, Callable[[Thing], bool]] = {
        "": lambda it: it.owner == mine or may_read(world, it, mine),
        "owned": lambda it: it.owner == mine,
        "shared": lambda it: it.owner != mine and mine in it.shown["trusted_keys"],
        "public": lambda it: it.shown["visibility"] == "public",
    }
    found = [it for it in world.things if it.kind == "image" and filters[chosen](it)]
    if world.has("listed nowhere"):
        found = found[:-1]
    items = [
        {name: value for name, value in it.shown.items() if name != "trusted_keys"} for it in found
    ]
    return {"images": items, "count": len(items)}


_FILTER_OF = {
    "listOwnedImages": "owned",
    "listSharedImages": "shared",
    "listPublicImages": "public",
}
