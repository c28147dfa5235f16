"""Sessions and services: what they are made of, and what runs in them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tests.contract.standin import commands
from tests.contract.standin.lives import running
from tests.contract.standin.world import Call, Refused, Thing, World, moment

Document = dict[str, Any]
SCRIPT = "/tmp/bootstrap.sh"


def create_session(world: World, call: Call) -> Document:
    return new_session(world, call.account, call.given, commands.Machine()).shown


def new_session(
    world: World, owner: str, given: Mapping[str, Any], machine: commands.Machine
) -> Thing:
    multiplexer = given.get("multiplexer")
    thing = world.new(
        "session",
        owner,
        {
            "status": "running",
            "shell": given.get("shell", "bash"),
            **({"multiplexer": multiplexer} if multiplexer else {}),
            "network_mode": given.get("network_mode", "zerotrust"),
            "boosted": False,
            "ttl": given.get("ttl", 3600),
            "remaining_ttl": given.get("ttl", 3600),
            **world.container(given.get("vcpu", 1)),
        },
        machine=machine,
    )
    thing.shown["websocket_url"] = f"ws://127.0.0.1/sessions/{thing.id}/shell"
    return thing


def execute_session(world: World, call: Call) -> Document:
    return _ran(running(world, call, "session"), call)


def execute_service(world: World, call: Call) -> Document:
    ran = _ran(running(world, call, "service"), call)
    return world.new("job", call.account, ran | {"completed_at": moment()}).shown


def _ran(thing: Thing, call: Call) -> Document:
    ran = commands.run(thing.machine, call.given["command"])
    stdout = ran.stdout.decode("utf-8", "replace")
    return {
        "status": "completed",
        "success": ran.code == 0,
        "stdout": stdout,
        "output": stdout,
        "stderr": ran.stderr.decode("utf-8", "replace"),
        "exit_code": ran.code,
    }


def create_service(world: World, call: Call) -> Document:
    given = call.given
    script = given.get("bootstrap_content") or given.get("bootstrap", "")
    return new_service(world, call.account, given, commands.Machine(), script).shown


def new_service(
    world: World,
    owner: str,
    given: Mapping[str, Any],
    machine: commands.Machine,
    script: str = "",
    **more: object,
) -> Thing:
    name = given.get("name") or f"service-{len(world.things)}"
    taken = any(it.kind == "service" and it.shown["name"] == name for it in world.things)
    if taken and not world.has("name taken twice"):
        raise Refused(409, "CONFLICT", "Choose another name")
    domains = given.get("custom_domains", [])
    thing = world.new(
        "service",
        owner,
        {
            "name": name,
            "url": f"http://{name}.on.localhost",
            "status": "running",
            "state": "running",
            "ports": given.get("ports", []),
            "network_mode": given.get("network_mode", "semitrusted"),
            "domains": domains,
            "custom_domains": domains,
            "service_type": given.get("service_type", "web"),
            "unfreeze_on_demand": given.get("unfreeze_on_demand", False),
            "show_freeze_page": True,
            **world.container(given.get("vcpu", 1)),
            **more,
        },
        machine=machine,
    )
    _boot(world, thing, script)
    return thing


def _boot(world: World, thing: Thing, script: str) -> None:
    thing.script = script
    thing.machine.files[SCRIPT] = script.encode()
    thing.machine.variables = dict(thing.vault)
    lines = commands.run(thing.machine, script).stdout.decode().splitlines()
    everywhere = world.has("foreign lines")
    for service in world.things:
        if service is thing or (everywhere and service.kind == "service"):
            service.log += lines


def redeploy(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    script = call.given.get("bootstrap_content") or call.given.get("bootstrap")
    if world.has("redeploy ignored"):
        script = None
    if not (script or thing.script):
        raise Refused(400, "INVALID_REQUEST", "There is no bootstrap script")
    _boot(world, thing, script or thing.script)
    return thing.shown | {"status": "redeploying", "state": "redeploying"}


def update(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    changes = {name: value for name, value in call.given.items() if name in _CHANGEABLE}
    if "vcpu" in changes:
        changes["memory_mb"] = changes["vcpu"] * 2048
    thing.shown.update(changes)
    return thing.shown


_CHANGEABLE = (
    "name",
    "vcpu",
    "ports",
    "custom_domains",
    "unfreeze_on_demand",
    "show_freeze_page",
)


def set_domains(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    now, given = thing.shown["custom_domains"], call.given
    kept = [it for it in now if it not in given.get("remove", ())]
    wanted = given.get("custom_domains", [*kept, *given.get("add", ())])
    changed = {"custom_domains": wanted, "domains": wanted}
    if world.has("domains ignored"):
        return thing.shown | changed
    thing.shown.update(changed)
    return thing.shown


def service_logs(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    lines = thing.log
    if call.given.get("all") != "true" and not world.has("lines ignored"):
        lines = lines[-int(call.given.get("lines", 9000)) :]
    text = "".join(f"{line}\n" for line in lines)
    return {"log": text, "logs": text, "service_id": thing.id}


def vault_status(world: World, call: Call) -> Document:
    if call.given.get("format") == "export":
        return vault(world, call)
    count = len(world.find("service", call.id, call.account).vault)
    return _counted(count)


def _counted(count: int) -> Document:
    updated = {"updated_at": moment()} if count else {}
    has = count > 0
    return {
        "exists": has,
        "has_vault": has,
        "variable_count": count,
        "count": count,
        "env": {},
    } | updated


def vault(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    text = "\n".join(f"{name}={value}" for name, value in thing.vault.items())
    return {"env": text, "content": text}


def fill_vault(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    given = call.given.get("env")
    if not isinstance(given, dict):
        lines = call.body.decode().splitlines()
        pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
        given = {name: value for name, _, value in pairs}
    if world.has("vault cut"):
        given = {name: value.split("=")[0] for name, value in given.items()}
    thing.vault = given
    counted = _counted(len(given))
    del counted["env"]
    return counted | {"status": "updated", "success": True, "message": "Set"}


def empty_vault(world: World, call: Call) -> Document:
    thing = world.find("service", call.id, call.account)
    keys = call.given.get("keys") or list(thing.vault)
    gone = [name for name in keys if thing.vault.pop(name, None) is not None]
    return {"status": "deleted", "success": True, "deleted": gone}


def copied(machine: commands.Machine) -> commands.Machine:
    """A machine with files of its own."""
    return dataclasses.replace(machine, files=dict(machine.files))
