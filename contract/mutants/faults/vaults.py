"""Servers that lose or show what is in the vaults of services."""

from contract.mutants.faults.resources import fault, pretending
from contract.mutants.mutant import Kind
from contract.mutants.mutators import document, on_request, on_response, status
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed

__all__ = ["VAULTS"]

_LEAKED = "TOKEN=abc"
_FILLS = ("setServiceEnv", "setServiceEnvAlias")


def _last_line_lost(body: dict[str, str]) -> None:
    kept = "\n".join(body["env"].split("\n")[:-2])
    body.update({name: kept for name in ("env", "content") if name in body})


def _no_body(_call: Call) -> dict[str, object]:
    return {"body": b"{}"}


def _showing_in(*operations: str) -> Build:
    """What came to a vault last stands in what these operations answer."""

    def build() -> Mutator:
        last = [""]

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            name = call.operation.id if call.operation else ""
            answer = await proceed(call)
            if name in _FILLS and answer.succeeded:
                last[0] = call.body.decode("utf-8", "replace")
            if name in operations and answer.succeeded and last[0]:
                answer.document = {**answer.document, "message": last[0]}
            return answer

        return mutator

    return build


def _repeating(call: Call, answer: Answer) -> None:
    said = call.body.decode("utf-8", "replace")
    answer.document = {**answer.document, "details": f"cannot read {said}"}


def _added() -> Mutator:
    """What comes to a vault joins what is there."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.header("Content-Type") != "text/plain":
            return await proceed(call)
        export = call.edited(method="POST", target=f"{call.path}/export", body=b"")
        before = await proceed(export)
        text = before.document["env"] if before.succeeded else ""
        return await proceed(call.edited(body=text.encode() + b"\n" + call.body))

    return mutator


def _outliving() -> Mutator:
    """A service finds what was in the vault of the last one that had its name."""
    vaults = dict[str, str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        name = call.operation.id if call.operation else ""
        if name == "deleteService":
            resource = f"/services/{call.segments[1]}"
            found = await proceed(call.edited(method="GET", target=resource))
            path = f"{resource}/env/export"
            held = await proceed(call.edited(method="POST", target=path))
            if found.succeeded and held.succeeded:
                vaults[found.document["name"]] = held.document["env"]
        answer = await proceed(call)
        left = (
            vaults.get((call.document or {}).get("name", "")) if name == "createService" else None
        )
        if left and answer.succeeded:
            path = f"/services/{answer.document['service_id']}/env"
            body = left.encode()
            await proceed(call.edited(method="PUT", target=path, body=body, headers=_as_text(call)))
        return answer

    return mutator


def _as_text(call: Call) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in call.headers if name.lower() != "content-type"]
    return [*kept, ("Content-Type", "text/plain")]


def _exported_after_the_end() -> Mutator:
    """An export answers what it answered before, though the service is gone."""
    kept = dict[str, Answer]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        if answer.succeeded:
            kept[call.segments[1]] = answer
        elif answer.status == 404 and call.segments[1] in kept:
            return Answer.of(kept[call.segments[1]].document)
        return answer

    return mutator


VAULTS = (
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
    *(
        fault(
            f"vault-shown-in-{where}",
            f"What is in a vault stands in what {operation} answers.",
            ("setServiceEnv", operation),
            _showing_in(operation),
            Kind.ISOLATION,
            check="are_in_its_export_alone",
        )
        for where, operation in (
            ("service", "getService"),
            ("list", "listServices"),
            ("log", "getServiceLogs"),
        )
    ),
    fault(
        "vault-repeated-in-errors",
        "Who fills a vault wrongly is shown it in the error.",
        ("setServiceEnv",),
        on_response(_repeating, status(400)),
        Kind.ISOLATION,
    ),
    fault(
        "vault-added-to",
        "What is put into a vault is added to what is there.",
        ("setServiceEnv",),
        _added,
        Kind.STATE,
    ),
    fault(
        "vault-variables-lost",
        "Variables that come without `env` around them are not kept.",
        ("setServiceEnvAlias",),
        pretending({"status": "updated"}, "service_id"),
        Kind.DATA_LOSS,
    ),
    fault(
        "vault-outlives-service",
        "A service finds the vault of the last one that had its name.",
        ("createService", "deleteService"),
        _outliving,
        Kind.ISOLATION,
        check="as_old_as_its_service",
    ),
    fault(
        "vault-exported-after-the-end",
        "The vault of a service that is gone is exported as before.",
        ("exportServiceEnv",),
        _exported_after_the_end,
        Kind.STATE,
    ),
)
