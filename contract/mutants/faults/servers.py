"""Servers that say the same to everything, whatever was asked."""

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import answering
from contract.mutants.traffic import Answer

_SEEN_AT = ("execute", "getHealth", "getJob")
PAGE = b"<!doctype html><title>Welcome</title><h1>It works!</h1>"


def _page() -> Answer:
    return Answer(200, [("Content-Type", "text/html")], PAGE)


def _refusal(status: int, error: str, code: str) -> Mutant:
    return Mutant(
        f"always-{status}",
        f"Everything is answered {status}, in the API's envelope.",
        Kind.STATUS,
        "operations",
        seen_at=_SEEN_AT,
        build=answering(lambda: Answer.error(status, error, code)),
    )


SERVERS = (
    _refusal(401, "Invalid API key", "INVALID_KEY"),
    _refusal(404, "Not found", "NOT_FOUND"),
    _refusal(503, "Service unavailable", "UNAVAILABLE"),
    _refusal(501, "Not implemented", "NOT_IMPLEMENTED"),
    Mutant(
        "always-empty",
        "Everything is answered 200 with an empty object.",
        Kind.STATUS,
        "operations",
        seen_at=_SEEN_AT,
        build=answering(lambda: Answer.of({})),
    ),
    Mutant(
        "always-a-page",
        "Everything is answered with the HTML page of a web server.",
        Kind.SCHEMA,
        "operations",
        seen_at=_SEEN_AT,
        build=answering(_page),
    ),
)
