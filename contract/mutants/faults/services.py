"""Servers that mistake services and their vaults."""

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
    request_document,
)
from contract.mutants.traffic import Answer, Call

_LEAKED = "TOKEN=abc"


def _state(value: str) -> dict[str, object]:
    return {"status": value, "state": value}


def _last_line_lost(body: dict[str, str]) -> None:
    kept = "\n".join(body["env"].split("\n")[:-2])
    body.update({name: kept for name in ("env", "content") if name in body})


def _status_exchanged(_call: Call, answer: Answer) -> None:
    answer.status = {200: 202, 202: 200}[answer.status]


def _first_domain(call: Call) -> dict[str, object]:
    body = call.document or {}
    names = body.get("custom_domains") or body.get("domains") or []
    return {"custom_domains": names, "domains": names}


def _no_body(_call: Call) -> dict[str, object]:
    return {"body": b"{}"}


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
        "vault-shown",
        "The status of a vault shows its values.",
        ("getServiceEnv",),
        document(lambda body: body.update(env={"TOKEN": _LEAKED})),
        Kind.ISOLATION,
    ),
    fault(
        "vault-miscounted",
        "A vault has one variable less.",
        ("getServiceEnv",),
        document(
            lambda body: body.update(
                {
                    name: max(body[name] - 1, 0)
                    for name in ("variable_count", "count")
                    if name in body
                }
            )
        ),
        Kind.DATA_LOSS,
    ),
    fault(
        "vault-not-written",
        "What is put into a vault is not kept.",
        ("setServiceEnv",),
        pretending({"status": "updated"}, "service_id"),
        Kind.DATA_LOSS,
    ),
    fault(
        "vault-not-emptied",
        "A vault that is deleted is still there.",
        ("deleteServiceEnv",),
        pretending({"status": "deleted"}, "service_id"),
        Kind.STATE,
    ),
    fault(
        "vault-emptied-whole",
        "Where one variable should go, all do.",
        ("deleteServiceEnv",),
        on_request(_no_body),
        Kind.DATA_LOSS,
    ),
    fault(
        "vault-export-cut",
        "An exported vault lacks its last line.",
        ("exportServiceEnv",),
        document(_last_line_lost),
        Kind.DATA_LOSS,
    ),
    fault(
        "service-snapshot-stale",
        "A new snapshot of a service is answered with the id of the one before.",
        ("snapshotService",),
        another_id("snapshot_id", "id"),
        Kind.DATA_LOSS,
    ),
)
