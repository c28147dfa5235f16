"""Servers that mistake services."""

import shlex

from contract.mutants.faults.resources import (
    another_id,
    common,
    fault,
    pretending,
)
from contract.mutants.mutant import Kind
from contract.mutants.mutators import (
    document,
    on_request,
    on_response,
    refusing,
    request_document,
    status,
    using,
)
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed, compact


def _state(value: str) -> dict[str, object]:
    return {"status": value, "state": value}


def _status_exchanged(_call: Call, answer: Answer) -> None:
    answer.status = {200: 202, 202: 200}[answer.status]


def _first_domain(call: Call) -> dict[str, object]:
    body = call.document or {}
    names = body.get("custom_domains") or body.get("domains") or []
    return {"custom_domains": names, "domains": names}


async def _renamed_until_free(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    if answer.status != 409:
        return answer
    body = call.document
    answer = await proceed(call.edited(body=compact({**body, "name": f"{body['name']}-2"})))
    answer.document = {**answer.document, "name": body["name"]}
    return answer


def _by_old_name() -> Mutator:
    former = dict[str, str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        name = call.operation.id if call.operation else ""
        if name == "updateService" and "name" in (call.document or {}):
            path = f"/services/{call.segments[1]}"
            before = await proceed(call.edited(method="GET", target=path, body=b""))
            former[before.document["name"]] = before.document["service_id"]
        answer = await proceed(call)
        known = former.get(call.segments[1])
        if name == "getService" and answer.status == 404 and known:
            return await proceed(call.edited(target=f"/services/{known}"))
        return answer

    return mutator


async def _in_part(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    if answer.status == 409:
        rest = {name: it for name, it in call.document.items() if name != "name"}
        await proceed(call.edited(body=compact(rest)))
    return answer


def _domains_granted(call: Call, answer: Answer) -> None:
    body = call.document or {}
    names = [name.lower() for name in body.get("add") or body.get("custom_domains") or []]
    answer.status = 200
    answer.document = {"custom_domains": names, "domains": names}


def _granted(members: dict[str, object]) -> Build:
    """What is refused for the state that a service is in is answered as if it were done."""

    def edit(call: Call, answer: Answer) -> None:
        answer.status = 200
        answer.document = {"service_id": call.segments[1], **members}

    return on_response(edit, status(409))


def _as_if_it_had_run(_call: Call, answer: Answer) -> None:
    answer.status = 200
    answer.document = {
        "job_id": "6f1ed002-ab59-4e43-9a2f-0d6c7a1b2c3d",
        "status": "completed",
        "success": True,
        "stdout": "",
        "stderr": "",
        "exit_code": 0,
        "completed_at": "2026-01-01T00:00:00Z",
    }


def _bare(command: str) -> str:
    """The same command line with few variables."""
    return f'env -i PATH="$PATH" HOME="$HOME" sh -c {shlex.quote(command)}'


def _commands_forgotten() -> Mutator:
    ran = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.segments[-1] in ran:
            return Answer.error(404, "Job ID not found or expired", "JOB_NOT_FOUND")
        answer = await proceed(call)
        if call.segments[-1] == "execute" and answer.succeeded:
            ran.add(answer.document["job_id"])
        return answer

    return mutator


def _elsewhere(body: dict[str, str]) -> None:
    body["url"] = body["url"].replace("://", "://no-")


def _ended_in_name() -> Mutator:
    """A service that is ended is not found any more, and goes on until it is ended again."""
    ended = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        name = call.segments[1]
        if call.method == "DELETE" and name not in ended:
            ended.add(name)
            return Answer.of({"service_id": name, **_state("destroyed")})
        answer = await proceed(call)
        if name in ended:
            return Answer.error(404, "Not found", "NOT_FOUND")
        return answer

    return mutator


SERVICES = (
    *common("service", "a", "createService", "deleteService", _state("destroyed")),
    fault(
        "service-ports-lost",
        "A service has no ports.",
        ("createService",),
        request_document(lambda body: body.update(ports=[8080]) if "ports" in body else None),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-renamed",
        "A service has another name when it is read.",
        ("getService",),
        document(lambda body: body.update(name=body.get("name", "") + "-1")),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-update-pretended",
        "A service that is resized keeps its size.",
        ("updateService",),
        pretending(lambda _body, call: call.document or {}),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-freeze-pretended",
        "A frozen service runs on.",
        ("freezeService",),
        pretending(_state("frozen")),
    ),
    fault(
        "service-unfreeze-pretended",
        "A service stays frozen when it says that it runs.",
        ("unfreezeService",),
        pretending({**_state("running"), "unfreeze_time_ms": 40}),
    ),
    fault(
        "service-domains-pretended",
        "Host names are not kept.",
        ("setServiceDomains",),
        pretending(lambda _body, call: _first_domain(call)),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-redeploy-pretended",
        "The bootstrap script is not run again.",
        ("redeployService",),
        pretending({}),
    ),
    fault(
        "service-command-status",
        "200 and 202 are exchanged.",
        ("executeService",),
        on_response(_status_exchanged),
        Kind.STATUS,
    ),
    fault(
        "service-exit-code-0",
        "Every command in a service has the exit code 0.",
        ("executeService",),
        document(lambda body: body.update(exit_code=0)),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-log-lost",
        "The log of a service is empty.",
        ("getServiceLogs",),
        document(lambda body: body.update({name: "" for name in ("log", "logs") if name in body})),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-name-shared",
        "Two services of an account may have one name.",
        ("createService",),
        using(_renamed_until_free),
        check="name_is_its_own",
    ),
    fault(
        "service-unknown-by-name",
        "A service is not found by its name.",
        ("getService",),
        refusing(
            lambda call: not call.segments[1].startswith("unsb-"),
            lambda: Answer.error(404, "Not found", "NOT_FOUND"),
        ),
    ),
    fault(
        "service-known-by-old-name",
        "A service goes by the names that it had before, too.",
        ("updateService", "getService"),
        _by_old_name,
        check="goes_by_its_new_name",
    ),
    fault(
        "service-rename-pretended",
        "A service keeps its name when it says that it has another one.",
        ("updateService",),
        request_document(lambda body: body.pop("name", None)),
    ),
    fault(
        "service-changed-in-part",
        "Of a change that is refused, what could be done is done.",
        ("updateService",),
        using(_in_part),
        check="goes_by_its_new_name",
    ),
    fault(
        "service-domain-shadowed",
        "A host name that one service has is given to another.",
        ("setServiceDomains",),
        on_response(_domains_granted, status(403, 409)),
        Kind.ISOLATION,
    ),
    fault(
        "service-domain-reserved",
        "A service may have a host name of the API's.",
        ("setServiceDomains",),
        on_response(_domains_granted, status(400)),
        Kind.ISOLATION,
    ),
    fault(
        "service-frozen-runs-commands",
        "A command in a frozen service is answered as if it had run.",
        ("executeService",),
        on_response(_as_if_it_had_run, status(409)),
    ),
    fault(
        "service-frozen-redeployed",
        "A frozen service is redeployed.",
        ("redeployService",),
        _granted(_state("redeploying")),
    ),
    fault(
        "service-frozen-resized",
        "A frozen service is resized.",
        ("resizeService",),
        _granted({"vcpu": 2}),
    ),
    fault(
        "service-script-ignored",
        "A service does not run its bootstrap script.",
        ("createService",),
        request_document(lambda body: body.pop("bootstrap_content", None)),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-redeploys-old-script",
        "A redeploy runs the script of before, though another one came.",
        ("redeployService",),
        request_document(lambda body: body.pop("bootstrap_content", None)),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-failure-hidden",
        "A service whose script failed runs.",
        ("getService",),
        document(lambda body: body["status"] == "failed" and body.update(_state("running"))),
        check="a_script_that_fails",
    ),
    fault(
        "service-input-files-lost",
        "A service has none of its input files.",
        ("createService",),
        request_document(lambda body: body.pop("input_files", None)),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-command-files-lost",
        "A command in a service has none of its input files.",
        ("executeService",),
        request_document(lambda body: body.pop("input_files", None)),
        Kind.DATA_LOSS,
        check="input_files",
    ),
    fault(
        "service-command-without-vault",
        "A command in a service has none of the variables of its vault.",
        ("executeService",),
        request_document(lambda body: body.update(command=_bare(body["command"]))),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-command-unlimited",
        "The time limit of a command in a service is overlooked.",
        ("executeService",),
        request_document(lambda body: "timeout" in body and body.update(timeout=60_000)),
        Kind.TIME,
    ),
    fault(
        "service-command-forgotten",
        "The job of a command in a service is not kept.",
        ("executeService", "getJob"),
        _commands_forgotten,
        Kind.DATA_LOSS,
        check="command",
    ),
    fault(
        "service-url-of-nobody",
        "The URL of a service leads nowhere.",
        ("createService", "getService"),
        document(_elsewhere),
        check="reached_by_its_url",
    ),
    fault(
        "service-not-woken",
        "A frozen service does not wake for a request.",
        ("createService",),
        request_document(lambda body: body.update(unfreeze_on_demand=False)),
        check="wakes_for_a_request",
    ),
    fault(
        "service-woken-against-its-will",
        "A frozen service wakes for any request.",
        ("updateService",),
        request_document(lambda body: body.pop("unfreeze_on_demand", None)),
        check="stays_frozen",
    ),
    fault(
        "service-visited-after-its-end",
        "A destroyed service answers its visitors.",
        ("deleteService", "getService"),
        _ended_in_name,
        check="shows_another_page",
    ),
    fault(
        "service-log-whole",
        "A service's log is whole, however few lines were asked for.",
        ("getServiceLogs",),
        on_request(lambda call: {"target": f"{call.path}?all=true"}),
        Kind.STREAMS,
        "streams",
    ),
    fault(
        "service-log-never-whole",
        "A service's log is never whole where some lines were asked for.",
        ("getServiceLogs",),
        on_request(lambda call: {"target": call.target.replace("&all=true", "")}),
        Kind.STREAMS,
        "streams",
    ),
    fault(
        "service-snapshot-stale",
        "A new snapshot of a service is answered with the id of the one before.",
        ("snapshotService",),
        another_id("snapshot_id", "id"),
        Kind.DATA_LOSS,
    ),
)
