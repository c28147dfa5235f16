"""Servers that take requests which they should refuse, or the other way round."""

from collections.abc import Callable
from typing import Any

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import (
    on_request,
    refusing,
    request_document,
)
from contract.mutants.traffic import Answer, Build, Call

_MAX_TTL = 900
_LARGE = 64 * 1024
_LANGUAGES = """
python javascript typescript ruby perl php lua bash r elixir erlang tcl scheme powershell clojure
commonlisp crystal groovy deno awk raku c cpp go rust java kotlin cobol fortran d zig nim v objc
dart julia haskell ocaml fsharp csharp prolog forth js node ts lisp c++ golang py python3 rb sh
"""


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

REQUESTS = (
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
)
