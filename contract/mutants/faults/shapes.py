"""Servers whose answers have the wrong shape: another media type, members, values."""

import json
from collections.abc import Callable
from typing import Any

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    always,
    document,
    failed,
    listing,
    on_response,
    status,
    succeeded,
)
from contract.mutants.traffic import Answer, Call, replaced

_MADE = ("execute", "executeAsync", "run", "runAsync")
"""The operations from which links lead to a job."""


def _schema(
    name: str,
    fault: str,
    operation: str,
    edit: Callable[[Any], object],
    family: str = "operations",
) -> Mutant:
    at = _MADE if family == "workflows" else ()
    return Mutant(name, fault, Kind.SCHEMA, family, (operation,), document(edit), seen_at=at)


def _drop(name: str) -> Callable[[Any], object]:
    return lambda body: body.pop(name, None)


def _put(**members: object) -> Callable[[Any], object]:
    return lambda body: body.update(members)


def _as_page(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/html")
    answer.body = b"<h1>Not Found</h1>"


def _as_text(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/plain; charset=utf-8")


def _indented(_call: Call, answer: Answer) -> None:
    answer.body = json.dumps(answer.document, indent=2).encode()


def _local_times(jobs: list[Any]) -> list[Any]:
    return [{**job, "created_at": job["created_at"].replace("T", " ").rstrip("Z")} for job in jobs]


def _unfinished(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("status") == "completed":
        body.pop("completed_at", None)


def _job_status(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("status") == "completed":
        body["status"] = "done"


def _null_artifact(body: Any) -> None:  # noqa: ANN401 - any JSON
    body["artifact"] = None


SHAPES = (
    Mutant(
        "not-found-page",
        "What does not exist is answered with an HTML page.",
        Kind.SCHEMA,
        "operations",
        seen_at=("getJob",),
        build=on_response(_as_page, status(404)),
    ),
    Mutant(
        "errors-without-code",
        "Errors have no code.",
        Kind.SCHEMA,
        "operations",
        seen_at=("execute", "getJob"),
        build=document(_drop("code"), failed),
    ),
    Mutant(
        "error-is-object",
        "The member error is an object.",
        Kind.SCHEMA,
        "operations",
        seen_at=("execute", "getJob"),
        build=document(lambda body: body.update(error={"message": body.get("error")}), failed),
    ),
    Mutant(
        "json-as-text",
        "JSON comes as text/plain.",
        Kind.SCHEMA,
        "operations",
        ("run",),
        on_response(_as_text),
    ),
    Mutant(
        "indented",
        "JSON comes with blanks, which clients that look for text do not find.",
        Kind.SCHEMA,
        "operations",
        ("getKeySelf",),
        on_response(_indented),
    ),
    _schema("no-exit-code", "A result lacks exit_code.", "execute", _drop("exit_code")),
    _schema(
        "milliseconds-as-text",
        "total_time_ms is a string.",
        "execute",
        lambda body: body.update(total_time_ms=str(body.get("total_time_ms"))),
    ),
    _schema("run-without-job", "A result lacks job_id.", "run", _drop("job_id")),
    _schema("accepted-as-running", "A new job is running.", "runAsync", _put(status="running")),
    _schema("accepted-silently", "A new job has no message.", "executeAsync", _drop("message")),
    _schema(
        "status-not-in-enum",
        "A job that has ended is done, not completed.",
        "getJob",
        _job_status,
        "workflows",
    ),
    _schema(
        "completed-without-time",
        "A completed job lacks completed_at.",
        "getJob",
        _unfinished,
        "workflows",
    ),
    _schema("null-artifact", "A member is null.", "getJob", _null_artifact, "workflows"),
    Mutant(
        "times-without-zone",
        "Times of a list have no zone.",
        Kind.TIME,
        "workflows",
        ("listJobs",),
        listing("jobs", _local_times),
        seen_at=_MADE,
    ),
    _schema(
        "cancelled-without-artifacts",
        "A cancelled job lacks artifacts.",
        "cancelJob",
        _drop("artifacts"),
        "workflows",
    ),
    _schema("key-without-tier", "A key's tier is missing.", "getKeySelf", _drop("tier")),
    _schema("valid-as-text", "valid is a string.", "validateKey", _put(valid="true")),
    _schema("health-is-up", "A healthy service is up, not ok.", "getHealth", _put(status="up")),
    _schema("cluster-mode", "The cluster's mode is unheard of.", "getCluster", _put(mode="auto")),
    _schema(
        "pools-by-name",
        "Pools are an object by name.",
        "getPools",
        lambda body: body.update(pools={pool["id"]: pool for pool in body.get("pools", [])}),
    ),
    _schema("load-as-object", "A load is an object.", "getStats", _put(load_1min={"value": 0.42})),
    _schema(
        "languages-as-objects",
        "Languages are objects with a name.",
        "listLanguages",
        lambda body: body.update(languages=[{"name": it} for it in body["languages"]]),
    ),
    _schema(
        "categories-lost",
        "Shells have no categories.",
        "listShells",
        _drop("categories"),
    ),
    _schema("openapi-of-2014", "The document is Swagger 2.0.", "getOpenapi", _put(openapi="2.0")),
    Mutant(
        "openapi-empty",
        "The document at /openapi has no paths.",
        Kind.DATA_LOSS,
        "operations",
        ("getOpenapi",),
        document(_put(paths={})),
    ),
    Mutant(
        "shells-miscounted",
        "count is not the number of shells.",
        Kind.SCHEMA,
        "semantics",
        ("listShells",),
        document(lambda body: body.update(count=body["count"] - 1)),
    ),
    Mutant(
        "member-added",
        "Answers have a member more.",
        Kind.SCHEMA,
        "operations",
        ("execute",),
        document(_put(node="ams-3")),
        equivalent="Schemas of answers are open: a service may add members, clients ignore them.",
    ),
    Mutant(
        "members-reordered",
        "Members come in another order.",
        Kind.SCHEMA,
        "operations",
        ("execute", "getKeySelf"),
        on_response(
            lambda _call, answer: setattr(
                answer, "document", dict(reversed(answer.document.items()))
            ),
            lambda answer: succeeded(answer) and isinstance(answer.document, dict),
        ),
        equivalent="The members of a JSON object have no order.",
    ),
    Mutant(
        "header-added",
        "A further header comes with every answer.",
        Kind.SCHEMA,
        "operations",
        seen_at=("execute", "getKeySelf"),
        build=on_response(
            lambda _call, answer: answer.headers.append(("Via", "1.1 front")), always
        ),
        equivalent="HTTP lets anybody on the way add headers that the contract does not name.",
    ),
)
