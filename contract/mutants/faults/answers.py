"""Servers whose answers have the wrong status or shape, or that take the wrong requests."""

import json
from collections.abc import Callable
from typing import Any

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    always,
    document,
    failed,
    listing,
    on_request,
    on_response,
    refusing,
    request_document,
    status,
    succeeded,
)
from contract.mutants.traffic import Answer, Build, Call, replaced

_MAX_TTL = 900
_KNOWN = ("execute", "run", "jobs", "sessions", "services", "snapshots", "images", "keys")
_MADE = ("execute", "executeAsync", "run", "runAsync")
"""The operations from which links lead to a job."""

_LARGE = 64 * 1024
_LANGUAGES = """
python javascript typescript ruby perl php lua bash r elixir erlang tcl scheme powershell clojure
commonlisp crystal groovy deno awk raku c cpp go rust java kotlin cobol fortran d zig nim v objc
dart julia haskell ocaml fsharp csharp prolog forth js node ts lisp c++ golang py python3 rb sh
"""


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


def _with_status(code: int) -> Callable[[Call, Answer], None]:
    def edit(_call: Call, answer: Answer) -> None:
        answer.status = code

    return edit


def _as_page(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/html")
    answer.body = b"<h1>Not Found</h1>"


def _as_text(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/plain; charset=utf-8")


def _without_allow(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, allow=None)


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


def _allowed_ttl(body: Any) -> None:  # noqa: ANN401 - any JSON
    ttl = body.get("ttl")
    if isinstance(ttl, int) and not isinstance(ttl, bool):
        body["ttl"] = min(max(ttl, 1), _MAX_TTL)


def _strings_for_numbers(body: Any) -> None:  # noqa: ANN401 - any JSON
    if isinstance(body.get("ttl"), str):
        del body["ttl"]


def _known_language(body: Any) -> None:  # noqa: ANN401 - any JSON
    if isinstance(body.get("language"), str) and body["language"] not in _LANGUAGES.split():
        body["language"] = "bash"


def _query_defaults(call: Call) -> dict[str, Any]:
    """Query parameters that do not fit count as absent: they are all left out."""
    pairs = call.target.partition("?")[2].split("&")
    limits = [pair.partition("=")[2] for pair in pairs if pair.startswith("limit=")]
    return {} if all(limit.isdigit() for limit in limits) else {"target": call.path}


def _error(code: int, error: str, name: str) -> Callable[[], Answer]:
    return lambda: Answer.error(code, error, name)


def _has_null(call: Call) -> bool:
    body = call.document
    return isinstance(body, dict) and any(value is None for value in body.values())


def _is_list(call: Call) -> bool:
    return call.document == [] and call.authentic


def _has_unicode(call: Call) -> bool:
    return call.authentic and any(byte > 0x7F for byte in call.body)


def _crash(when: Callable[[Call], bool]) -> Build:
    return refusing(when, _error(500, "Internal error", "INTERNAL"))


_bad = _error(400, "Invalid request", "INVALID_REQUEST")

ANSWERS = (
    Mutant(
        "created-201",
        "A job that has been accepted is answered 201.",
        Kind.STATUS,
        "operations",
        ("executeAsync",),
        on_response(_with_status(201)),
    ),
    Mutant(
        "accepted-202",
        "A program that has ended is answered 202.",
        Kind.STATUS,
        "operations",
        ("execute",),
        on_response(_with_status(202)),
    ),
    Mutant(
        "bad-request-422",
        "A request that does not fit is answered 422.",
        Kind.STATUS,
        "operations",
        seen_at=("execute",),
        build=on_response(_with_status(422), status(400)),
    ),
    Mutant(
        "missing-as-400",
        "A job that does not exist is answered 400.",
        Kind.STATUS,
        "operations",
        ("getJob", "waitJob"),
        on_response(_with_status(400), status(404)),
    ),
    Mutant(
        "not-found-page",
        "What does not exist is answered with an HTML page.",
        Kind.SCHEMA,
        "operations",
        seen_at=("getJob",),
        build=on_response(_as_page, status(404)),
    ),
    Mutant(
        "no-allow",
        "A 405 does not say which methods there are.",
        Kind.STATUS,
        "operations",
        seen_at=("execute",),
        build=on_response(_without_allow, status(405)),
    ),
    Mutant(
        "method-as-missing",
        "A wrong method is answered 404.",
        Kind.STATUS,
        "operations",
        seen_at=("execute",),
        build=on_response(_with_status(404), status(405)),
    ),
    Mutant(
        "failure-as-500",
        "A program that fails is answered 500.",
        Kind.STATUS,
        "semantics",
        ("execute",),
        on_response(
            _with_status(500),
            lambda answer: answer.succeeded and answer.document.get("success") is False,
        ),
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
        "languages-miscounted",
        "count is not the number of languages.",
        Kind.SCHEMA,
        "semantics",
        ("listLanguages",),
        document(lambda body: body.update(count=body["count"] + 1)),
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
        "any-ttl",
        "A ttl beyond its bounds is taken as the nearest one.",
        Kind.SCHEMA,
        "operations",
        ("execute", "executeAsync"),
        request_document(_allowed_ttl),
    ),
    Mutant(
        "ttl-as-text",
        "A ttl that is text is ignored.",
        Kind.SCHEMA,
        "operations",
        ("execute", "executeAsync"),
        request_document(_strings_for_numbers),
        thorough=True,
    ),
    Mutant(
        "code-optional",
        "A request without code runs an empty program.",
        Kind.SCHEMA,
        "operations",
        ("execute",),
        request_document(lambda body: body.setdefault("code", "true")),
        thorough=True,
    ),
    Mutant(
        "unknown-language-runs",
        "A language that does not exist runs as bash.",
        Kind.SCHEMA,
        "operations",
        ("execute", "executeAsync"),
        request_document(_known_language),
        thorough=True,
    ),
    Mutant(
        "limit-unchecked",
        "A limit that is no number is ignored.",
        Kind.SCHEMA,
        "operations",
        ("listJobs",),
        on_request(_query_defaults),
    ),
    Mutant(
        "null-refused",
        "A member that is null is refused, where it counts as absent.",
        Kind.SCHEMA,
        "semantics",
        ("execute",),
        refusing(_has_null, _bad),
    ),
    Mutant(
        "empty-list-refused",
        "A body of [] is refused, where it counts as {}.",
        Kind.SCHEMA,
        "semantics",
        ("validateKey",),
        refusing(_is_list, _bad),
    ),
    Mutant(
        "unicode-crashes",
        "A body with other letters than ASCII is answered 500.",
        Kind.STATUS,
        "semantics",
        ("execute",),
        _crash(_has_unicode),
    ),
    Mutant(
        "large-code-crashes",
        "A body of more than 64 KiB is answered 500.",
        Kind.LIMITS,
        "semantics",
        ("execute",),
        _crash(lambda call: call.authentic and len(call.body) > _LARGE),
    ),
    Mutant(
        "everything-exists",
        "Paths that do not exist are answered 200.",
        Kind.STATUS,
        "operations",
        build=refusing(
            lambda call: call.operation is None and call.segments[0] not in _KNOWN,
            lambda: Answer.of({"status": "ok"}),
        ),
    ),
    Mutant(
        "picture-painted",
        "A picture is answered, in no documented form.",
        Kind.STATUS,
        "operations",
        ("generateImage",),
        on_response(_with_status(200), status(501)),
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
