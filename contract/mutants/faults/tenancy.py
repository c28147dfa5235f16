"""Servers that show one account what belongs to another."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from contract.mutants.faults.admission import served_as_main
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import listing, using
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed
from contract.target import MAIN

_FELLOWS = (MAIN, "second", "third")
_IDS = ("id", "job_id", "session_id", "service_id", "snapshot_id", "image_id")


class Owners:
    """Who has seen which id first; `names` are the members that tell ids."""

    def __init__(self, *names: str) -> None:
        self._owners = dict[str, str]()
        self._names = names or _IDS

    def learn(self, call: Call, answer: Answer) -> None:
        role = call.role
        if role is not None and answer.succeeded:
            for found in _told(answer.document, self._names):
                self._owners.setdefault(found, role)

    def of(self, call: Call) -> str | None:
        """Who owns what a path names, when that is another account."""
        owners = (self._owners.get(segment) for segment in call.segments)
        return next((owner for owner in owners if owner not in (None, call.role)), None)


def _told(document: Any, names: Iterable[str]) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(document, dict):
        yield from (document[name] for name in names if isinstance(document.get(name), str))


def _leaking(*operations: str, by: str | None = None) -> Build:
    """These operations are carried out on what belongs to others, as its owner.

    It has to be named by an id, or by what stands in the member `by`.
    """

    def build() -> Mutator:
        owners = Owners(*([by] if by else []))

        async def mutator(call: Call, proceed: Proceed) -> Answer:
            owner = owners.of(call)
            leaks = call.operation is not None and call.operation.id in operations
            if leaks and owner and call.authentic and call.timely:
                return await proceed(_at_once(call).signed_by(call.accounts[owner]))
            answer = await proceed(call)
            if call.method == "POST":
                owners.learn(call, answer)
            return answer

        return mutator

    return build


def _at_once(call: Call) -> Call:
    """What would wait for a job reads it: that it answers is seen as well, and sooner."""
    return replace(call, target=call.target.removesuffix("/wait"))


def _leak(name: str, fault: str, *operations: str) -> Mutant:
    """Sees every call, to learn who made what; `operations` are those that leak."""
    return Mutant(
        name, fault, Kind.TENANCY, "tenancy", operations, _leaking(*operations), sees_all=True
    )


def _list_of_all(member: str) -> Build:
    """A list has what other accounts have, too."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        if not (answer.succeeded and call.authentic):
            return answer
        others = list[Any]()
        for role in _FELLOWS:
            if role != call.role and role in call.accounts:
                other = await proceed(call.signed_by(call.accounts[role]))
                others += _items(other.document, member)
        return await listing(member, lambda own: [*others, *own])()(call, _given(answer))

    return using(mutator)


def _items(document: Any, member: str) -> list[Any]:  # noqa: ANN401 - any JSON
    found = document.get(member) if isinstance(document, dict) else document
    return found if isinstance(found, list) else []


def _given(answer: Answer) -> Proceed:
    async def proceed(_call: Call) -> Answer:
        return answer

    return proceed


def _list_leak(resource: str, operation: str, member: str) -> Mutant:
    return Mutant(
        f"{resource}-listed-to-all",
        f"The list of {operation} has what belongs to other accounts.",
        Kind.TENANCY,
        "tenancy",
        (operation,),
        _list_of_all(member),
    )


def _as_forbidden(answer: Answer) -> None:
    answer.document = {
        "error": "Forbidden",
        "code": "FORBIDDEN",
        "details": "This belongs to another account",
    }
    answer.status = 403


def _told_from_missing() -> Mutator:
    """404 for what does not exist, 403 for what belongs to others."""
    owners = Owners()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        if call.method == "POST":
            owners.learn(call, answer)
        if answer.status == 404 and owners.of(call):
            _as_forbidden(answer)
        return answer

    return mutator


TENANCY = (
    _leak("foreign-job-read", "Who knows a job's id reads it, whoever started it.", "getJob"),
    _leak("foreign-job-awaited", "Who knows a job's id waits for it and gets it.", "waitJob"),
    _leak("foreign-job-cancelled", "Who knows a job's id ends it.", "cancelJob"),
    _list_leak("jobs", "listJobs", "jobs"),
    Mutant(
        "foreign-told-from-missing",
        "What belongs to others is answered 403, so that its existence is known.",
        Kind.TENANCY,
        "tenancy",
        build=_told_from_missing,
    ),
    Mutant(
        "accounts-mixed",
        "Every key is told of the first account.",
        Kind.TENANCY,
        "tenancy",
        ("getKeySelf", "validateKey"),
        served_as_main("second", "third"),
    ),
    _leak("foreign-session-read", "Who knows a session's id reads it.", "getSession"),
    _leak(
        "foreign-session-used",
        "Who knows a session's id runs commands in it.",
        *("executeSession", "openSessionShell"),
    ),
    _leak(
        "foreign-session-changed",
        "Who knows a session's id freezes, boosts, locks it.",
        *("freezeSession", "unfreezeSession", "boostSession", "unboostSession", "updateSession"),
        *("lockSession", "unlockSession"),
    ),
    _leak(
        "foreign-session-ended",
        "Who knows a session's id saves, restores, ends it.",
        *("snapshotSession", "restoreSession", "deleteSession"),
    ),
    Mutant(
        "foreign-session-guessed",
        "Who guesses the name of a session's container reads it and runs commands in it.",
        Kind.TENANCY,
        "tenancy",
        ("getSession", "executeSession"),
        _leaking("getSession", "executeSession", by="container_name"),
        sees_all=True,
    ),
    _list_leak("sessions", "listSessions", "sessions"),
    _leak(
        "foreign-service-read",
        "Who knows a service's id reads it and its log.",
        *("getService", "getServiceLogs", "getServiceEnv"),
    ),
    _leak(
        "foreign-vault-read",
        "Who knows a service's id reads its secrets.",
        "exportServiceEnv",
    ),
    _leak(
        "foreign-vault-written",
        "Who knows a service's id writes its secrets.",
        *("setServiceEnv", "deleteServiceEnv"),
    ),
    _leak("foreign-service-used", "Who knows a service's id runs in it.", "executeService"),
    _leak(
        "foreign-service-changed",
        "Who knows a service's id freezes, locks, resizes it.",
        *("freezeService", "unfreezeService", "lockService", "unlockService", "updateService"),
        *("setServiceDomains", "redeployService"),
    ),
    _leak(
        "foreign-service-ended",
        "Who knows a service's id saves and ends it.",
        *("snapshotService", "deleteService"),
    ),
    Mutant(
        "foreign-service-guessed",
        "Who guesses a service's name reads it, its log and its secrets.",
        Kind.TENANCY,
        "tenancy",
        ("getService", "getServiceLogs", "exportServiceEnv"),
        _leaking("getService", "getServiceLogs", "exportServiceEnv", by="name"),
        sees_all=True,
    ),
    _list_leak("services", "listServices", "services"),
    _leak("foreign-snapshot-read", "Who knows a snapshot's id reads it.", "getSnapshot"),
    _leak(
        "foreign-snapshot-used",
        "Who knows a snapshot's id restores or clones it.",
        *("restoreSnapshot", "cloneSnapshot"),
    ),
    _leak(
        "foreign-snapshot-changed",
        "Who knows a snapshot's id locks or ends it.",
        *("lockSnapshot", "unlockSnapshot", "deleteSnapshot"),
    ),
    _list_leak("snapshots", "listSnapshots", "snapshots"),
    _leak("private-image-read", "Who knows a private image's id reads it.", "getImage"),
    _leak(
        "private-image-used",
        "Who knows a private image's id starts or copies it.",
        *("spawnImage", "cloneImage"),
    ),
    _leak(
        "foreign-image-changed",
        "Who knows an image's id changes who may see it.",
        *("setImageVisibility", "lockImage", "unlockImage", "grantImage", "revokeImage"),
        "listTrustedKeys",
    ),
    _leak(
        "foreign-image-ended",
        "Who knows an image's id gives it away or ends it.",
        *("transferImage", "deleteImage"),
    ),
    _list_leak("images", "listImages", "images"),
    _list_leak("owned-images", "listOwnedImages", "images"),
)
