"""Which handler answers which operation, and which operations wait for theirs."""

from collections.abc import Awaitable, Callable

from emulator.api import (
    execute,
    jobs,
    keys,
    logs,
    programs,
    services,
    sessions,
    shell,
    shell_names,
    system,
    vault,
)
from emulator.api.call import Call, Handler, Json
from emulator.emulator import Emulator
from emulator.spec import Spec, SpecError

HANDLERS: dict[str, Handler] = {
    "execute": execute.execute,
    "executeAsync": execute.execute_async,
    "run": execute.run,
    "runAsync": execute.run_async,
    "listJobs": jobs.list_jobs,
    "getJob": jobs.get_job,
    "waitJob": jobs.wait_job,
    "cancelJob": jobs.cancel_job,
    "cancelJobAlias": jobs.cancel_job,
    "validateKey": keys.describe_key,
    "getKeySelf": keys.describe_key,
    "listLanguages": system.list_languages,
    "listShells": system.list_shells,
    "getHealth": system.get_health,
    "getReady": system.get_ready,
    "getCluster": system.get_cluster,
    "getPools": system.get_pools,
    "getStats": system.get_stats,
    "getOpenapi": system.get_openapi,
    "generateImage": system.generate_image,
    "createSession": sessions.create_session,
    "listSessions": sessions.list_sessions,
    "getSession": sessions.get_session,
    "deleteSession": sessions.delete_session,
    "freezeSession": sessions.freeze_session,
    "unfreezeSession": sessions.unfreeze_session,
    "sleepSession": sessions.freeze_session,
    "wakeSession": sessions.unfreeze_session,
    "boostSession": sessions.boost_session,
    "updateSession": sessions.boost_session,
    "unboostSession": sessions.unboost_session,
    "lockSession": sessions.lock_session,
    "unlockSession": sessions.unlock_session,
    "executeSession": sessions.execute_session,
    "executeSessionAlias": sessions.execute_session,
    "createService": services.create_service,
    "listServices": services.list_services,
    "getService": services.get_service,
    "updateService": services.update_service,
    "resizeService": services.update_service,
    "setServiceDomains": services.set_domains,
    "deleteService": services.delete_service,
    "freezeService": services.freeze_service,
    "unfreezeService": services.unfreeze_service,
    "sleepService": services.freeze_service,
    "wakeService": services.unfreeze_service,
    "lockService": services.lock_service,
    "unlockService": services.unlock_service,
    "redeployService": services.redeploy_service,
    "executeService": services.execute_service,
    "getServiceLogs": services.get_service_logs,
    "getServiceEnv": vault.get_service_env,
    "setServiceEnv": vault.set_service_env,
    "setServiceEnvAlias": vault.set_service_env,
    "deleteServiceEnv": vault.delete_service_env,
    "exportServiceEnv": vault.export_service_env,
    "openSessionShell": shell.open_session_shell,
    "getPaasLogs": logs.get_logs,
    "queryPaasLogs": logs.query_logs,
    "getLogs": logs.get_logs,
    "getSourceLogs": logs.get_source_logs,
    "streamPaasLogs": logs.stream_logs,
    "streamLogs": logs.stream_logs,
    "streamSourceLogs": logs.stream_source_logs,
}

CHECKS: dict[str, Callable[[Emulator, Json], None]] = {
    "execute": programs.check_language,
    "executeAsync": programs.check_language,
    "createSession": shell_names.check_shell,
    "cloneSnapshot": shell_names.check_shell,
}
"""What looks at an object before the contract does, to say more about it than a schema can."""

SUBJECTS: dict[str, Callable[[Emulator, Call], Awaitable[None]]] = {
    "deleteSession": sessions.check_deletable,
    "deleteService": services.check_destroyable,
    "unlockService": services.check_there,
}
"""What raises NotFound, or another refusal, before a one-time code is asked for in vain."""

_WAITING: dict[str, str] = {
    "sessions": "snapshotSession restoreSession",
    "services": "snapshotService",
    "snapshots": (
        "listSnapshots createSnapshot getSnapshot deleteSnapshot restoreSnapshot "
        "cloneSnapshot lockSnapshot unlockSnapshot"
    ),
    "images": (
        "listImages publishImage publishImageAlias listPublicImages listOwnedImages "
        "listOwnImages listSharedImages getImage updateImage deleteImage "
        "setImageVisibility lockImage unlockImage grantImage revokeImage grantImageNested "
        "revokeImageNested grantImageHyphenated revokeImageHyphenated listImageAccess "
        "addImageAccess removeImageAccess removeImageAccessKey listTrustedKeys "
        "transferImage spawnImage cloneImage"
    ),
}

NOT_IMPLEMENTED = frozenset(name for names in _WAITING.values() for name in names.split())
"""Operations of the contract that answer 501 for now; this table only shrinks."""


def check_table(spec: Spec) -> None:
    """Raise SpecError unless every operation has exactly one place here, and nothing else has.

    Those that may want a one-time code have a second one, in SUBJECTS.
    """
    operations = set(spec.operations)
    both = HANDLERS.keys() & NOT_IMPLEMENTED
    neither = operations - HANDLERS.keys() - NOT_IMPLEMENTED
    unknown = (HANDLERS.keys() | NOT_IMPLEMENTED) - operations
    guarded = {name for name, operation in spec.operations.items() if operation.sudo}
    odd = (guarded & HANDLERS.keys()) ^ SUBJECTS.keys()
    for fault, names in (
        ("have a handler and are listed as not implemented", both),
        ("have no handler", neither),
        ("are handled but not in the contract", unknown),
        ("want a one-time code but have no subject, or the other way round", odd),
    ):
        if names:
            raise SpecError(f"operations {fault}: {', '.join(sorted(names))}")
