"""Servers that answer with another status than the contract's."""

from collections.abc import Callable

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import on_response, refusing, status
from contract.mutants.traffic import Answer, Call, replaced

_KNOWN = ("execute", "run", "jobs", "sessions", "services", "snapshots", "images", "keys")


def _with_status(code: int) -> Callable[[Call, Answer], None]:
    def edit(_call: Call, answer: Answer) -> None:
        answer.status = code

    return edit


def _allowing_all(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, allow="GET, POST, PUT, PATCH, DELETE")


def _without_allow(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, allow=None)


STATUSES = (
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
        "no-allow",
        "A 405 does not say which methods there are.",
        Kind.STATUS,
        "operations",
        seen_at=("execute",),
        build=on_response(_without_allow, status(405)),
    ),
    Mutant(
        "all-allowed",
        "A 405 says that there are all methods, the refused one among them.",
        Kind.STATUS,
        "operations",
        seen_at=("execute",),
        build=on_response(_allowing_all, status(405)),
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
)
