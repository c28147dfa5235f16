"""`/services`: containers that go on, reachable by their host names."""

from collections.abc import Mapping
from typing import Any

from emulator.api.call import HUNG_UP, Call, Json, Reply
from emulator.api.programs import check_features, input_files
from emulator.api.urls import service_url
from emulator.emulator import Emulator
from emulator.errors import BadRequest, SandboxFailed
from emulator.jobs import JobStatus
from emulator.results import printed, shown
from emulator.sandbox.limits import MEMORY_PER_VCPU, MIB
from emulator.sandbox.program import Ending
from emulator.services.changes import Changes
from emulator.services.service import Service
from emulator.services.services import Wanted
from emulator.stop import Stop, Stopped

DEFAULT_TIMEOUT_MS = 30_000
TAIL_LINES = 9000


async def create_service(emulator: Emulator, call: Call) -> Reply:
    """Start a container, and the bootstrap script in it."""
    wanted = _wanted(emulator, call)
    emulator.readiness.require()
    stop = Stop()
    async with call.when_sender_hangs_up(lambda: stop.request(HUNG_UP)):
        try:
            service = await emulator.services.create(call.account, wanted, stop)
        except Stopped:
            raise SandboxFailed(HUNG_UP) from None  # which nobody is left to read
    return Reply(_document(emulator, call, service))


def _wanted(emulator: Emulator, call: Call) -> Wanted:
    fields: Mapping[str, Any] = call.fields
    network_mode = fields.get("network_mode", emulator.settings.service_network)
    check_features(network_mode, call.account)
    return Wanted(
        name=fields["name"],
        ports=tuple(int(port) for port in fields.get("ports", ())),
        script=script_of(fields),
        network_mode=network_mode,
        service_type=fields.get("service_type", "web"),
        custom_domains=tuple(fields.get("custom_domains", ())),
        vcpu=int(fields.get("vcpu", 1)),
        unfreeze_on_demand=fields.get("unfreeze_on_demand", True),
        input_files=input_files(fields.get("input_files", ())),
        variables=fields.get("env", {}),
    )


def script_of(fields: Mapping[str, Any]) -> str | None:
    """The bootstrap script: its text, a command line, or a URL that it is fetched from."""
    text = fields.get("bootstrap_content") or fields.get("bootstrap")
    if not text:
        return None
    if "\0" in text:
        raise BadRequest("bootstrap: must not contain NUL")
    if text.startswith(("http://", "https://")) and not any(mark in text for mark in " \n\t'\"\\"):
        return (
            f"set -e\ncurl -fsSL -o /tmp/bootstrap.fetched '{text}'\nbash /tmp/bootstrap.fetched\n"
        )
    return str(text)


async def list_services(emulator: Emulator, call: Call) -> Reply:
    emulator.readiness.require()
    found = emulator.services.of(call.account.public_key)
    items = [_summary(emulator, call, service) for service in found]
    return Reply({"services": items, "count": len(items)})


async def get_service(emulator: Emulator, call: Call) -> Reply:
    return Reply(_document(emulator, call, find_service(emulator, call)))


async def update_service(emulator: Emulator, call: Call) -> Reply:
    """Change what is named, all of it or nothing."""
    service = find_service(emulator, call)
    fields: Mapping[str, Any] = call.fields
    changes = Changes(
        name=fields.get("name"),
        custom_domains=fields.get("custom_domains"),
        vcpu=int(fields["vcpu"]) if "vcpu" in fields else None,
        ports=[int(port) for port in fields["ports"]] if "ports" in fields else None,
        unfreeze_on_demand=fields.get("unfreeze_on_demand"),
        show_freeze_page=fields.get("show_freeze_page"),
    )
    await emulator.service_changes.update(service, changes, call.account)
    return Reply(_document(emulator, call, service))


async def set_domains(emulator: Emulator, call: Call) -> Reply:
    """Replace, add or remove custom domains."""
    service = find_service(emulator, call)
    fields: Mapping[str, Any] = call.fields
    await emulator.service_changes.set_domains(
        service,
        fields.get("custom_domains"),
        added=fields.get("add", ()),
        removed=fields.get("remove", ()),
    )
    return Reply(_document(emulator, call, service))


async def check_destroyable(emulator: Emulator, call: Call) -> None:
    """Raise NotFound, or Locked, before anybody looks for a one-time code."""
    emulator.services.check_unlocked(find_service(emulator, call))


async def check_there(emulator: Emulator, call: Call) -> None:
    """Raise NotFound before anybody looks for a one-time code."""
    find_service(emulator, call)


async def delete_service(emulator: Emulator, call: Call) -> Reply:
    service = find_service(emulator, call)
    await emulator.services.destroy(service)
    told = {"id": service.id, "service_id": service.id, "success": True}
    return Reply({**told, "status": "destroyed", "state": "destroyed"})


async def freeze_service(emulator: Emulator, call: Call) -> Reply:
    service = find_service(emulator, call)
    await emulator.services.freeze(service)
    return Reply(_document(emulator, call, service))


async def unfreeze_service(emulator: Emulator, call: Call) -> Reply:
    service = find_service(emulator, call)
    seconds = await emulator.services.unfreeze(service, call.account)
    told = {"unfreeze_time_ms": round(seconds * 1000)}
    return Reply(_document(emulator, call, service) | told)


async def lock_service(emulator: Emulator, call: Call) -> Reply:
    return await _set_lock(emulator, call, locked=True)


async def unlock_service(emulator: Emulator, call: Call) -> Reply:
    return await _set_lock(emulator, call, locked=False)


async def _set_lock(emulator: Emulator, call: Call, *, locked: bool) -> Reply:
    service = find_service(emulator, call)
    service.record.locked = locked
    await emulator.services.saved(service)
    return Reply(_document(emulator, call, service))


async def redeploy_service(emulator: Emulator, call: Call) -> Reply:
    """Run the bootstrap script again, or another one."""
    service = find_service(emulator, call)
    fields: Mapping[str, Any] = call.fields
    files = input_files(fields.get("input_files", ()))
    await emulator.services.redeploy(service, script_of(fields), files)
    told = {"status": "redeploying", "state": "redeploying"}
    return Reply(_document(emulator, call, service) | told)


async def execute_service(emulator: Emulator, call: Call) -> Reply:
    """Run a command line to its end; 202 for who sent a time limit, as its clients poll then."""
    service = find_service(emulator, call)
    fields: Mapping[str, Any] = call.fields
    files = input_files(fields.get("input_files", ()))
    limit = int(fields.get("timeout", fields.get("timeout_ms", DEFAULT_TIMEOUT_MS)))
    line, seconds = str(fields["command"]), limit / 1000 if limit else None
    facts: dict[str, object] = {
        "language": emulator.catalogue.shells.usual,
        "network_mode": service.record.network_mode,
    }
    job = emulator.jobs.begin(call.account, facts, len(line))
    call.exchange.job_id = job.id
    emulator.jobs.start(job)
    try:
        async with call.when_sender_hangs_up(lambda: job.stop.request(HUNG_UP)):
            outcome = await emulator.services.execute(service, line, files, seconds, job.stop)
    except BaseException:
        emulator.jobs.finish(job, JobStatus.FAILED, {"success": False})
        raise
    document = printed(outcome)
    if outcome.ending is Ending.TIMED_OUT:
        document["error"] = f"The command was stopped after {limit} ms"
    emulator.jobs.finish(job, _STATUS.get(outcome.ending, JobStatus.COMPLETED), document)
    return Reply(shown(emulator.jobs.document(job.record)), 202 if "timeout" in fields else 200)


_STATUS = {Ending.TIMED_OUT: JobStatus.TIMEOUT, Ending.CANCELLED: JobStatus.CANCELLED}


async def get_service_logs(emulator: Emulator, call: Call) -> Reply:
    """The last lines of what the bootstrap script and its children printed."""
    service = find_service(emulator, call)
    lines = None if call.query.get("all", False) else int(str(call.query.get("lines", TAIL_LINES)))
    text = await emulator.services.logs.read(service.id, lines)
    return Reply({"log": text, "logs": text, "service_id": service.id})


def find_service(emulator: Emulator, call: Call) -> Service:
    """The sender's service by id or name; raises NotFound."""
    emulator.readiness.require()
    return emulator.services.find(call.path["id"], call.account.public_key)


def _document(emulator: Emulator, call: Call, service: Service) -> Json:
    message = {} if service.message is None else {"message": service.message}
    times = {"created_at": emulator.clock.isoformat(service.record.created_at)}
    return {**_summary(emulator, call, service), **times, **message}


def _summary(emulator: Emulator, call: Call, service: Service) -> Json:
    record = service.record
    return {
        "id": service.id,
        "service_id": service.id,
        "name": record.name,
        "url": service_url(emulator, call, record.label),
        "status": service.status,
        "state": service.status,
        "ports": list(record.ports),
        "container_name": record.container_name,
        "network_mode": record.network_mode,
        "domains": list(record.custom_domains),
        "custom_domains": list(record.custom_domains),
        "service_type": record.service_type,
        "vcpu": record.vcpu,
        "memory_mb": record.vcpu * MEMORY_PER_VCPU // MIB,
        "locked": record.locked,
        "unfreeze_on_demand": record.unfreeze_on_demand,
        "show_freeze_page": record.show_freeze_page,
        "host_ports": dict(record.host_ports),
    }
