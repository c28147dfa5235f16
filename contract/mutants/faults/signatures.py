"""Servers whose signatures cover less than they should, or come in other forms."""

import base64
import json
from collections.abc import Iterator

from contract.mutants.faults.admission import (
    SIGNED,
    admits,
    right,
    sent,
    timely,
    unauthorized,
)
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import admitting
from contract.mutants.traffic import Answer, Call, Mutator, Proceed

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _other_paths(call: Call) -> Iterator[str]:
    """Paths that a signature may have been made for instead."""
    parts = call.path.split("/")
    yield from ("/".join(parts[:end]) or "/" for end in range(1, len(parts)))
    yield from ("/", "/execute", "/jobs", "/sessions", "/services", "/images", "/snapshots")
    yield from ("/keys/self", "/keys/validate", "/run", "/run/async", "/execute/async", "/health")


def _serialised(call: Call) -> Iterator[bytes]:
    """The body as other JSON writers would have written it."""
    document = call.document
    if document is None:
        return
    for separators in ((",", ":"), (", ", ": ")):
        for ascii_only in (True, False):
            for ordered in (True, False):
                yield json.dumps(
                    document, separators=separators, ensure_ascii=ascii_only, sort_keys=ordered
                ).encode()


def _base64(call: Call) -> bool:
    return base64.b64encode(bytes.fromhex(right(call))).decode() == sent(call)


def _once() -> Mutator:
    seen = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.authentic:
            if sent(call) in seen:
                return unauthorized()
            seen.add(sent(call))
        return await proceed(call)

    return mutator


SIGNATURES = (
    admits(
        "body-not-signed",
        "The signature need not cover the body.",
        timely(lambda call: call.signs(body=b"") or call.signs(body=b"{}")),
    ),
    admits(
        "method-not-signed",
        "A signature for one method is good for another.",
        timely(lambda call: any(call.signs(method=method) for method in _METHODS)),
    ),
    admits(
        "method-case-ignored",
        "The method may be signed in lower case.",
        timely(lambda call: call.signs(method=call.method.lower())),
    ),
    admits(
        "path-not-signed",
        "A signature for one path is good for another.",
        timely(lambda call: any(call.signs(target=path) for path in _other_paths(call))),
    ),
    admits(
        "slash-ignored",
        "A slash at the end of the path may be signed or not.",
        timely(
            lambda call: (
                call.signs(target=f"{call.path}/") or call.signs(target=call.path.rstrip("/"))
            )
        ),
    ),
    admits(
        "url-signed",
        "The whole URL may be signed in place of the path.",
        timely(
            lambda call: any(
                call.signs(target=f"{scheme}://{host}{call.target}")
                for scheme in ("http", "https")
                for host in (call.header("Host"), "api.unsandbox.com")
            )
        ),
    ),
    admits(
        "json-signed-again",
        "The signature is compared with the body as it would be written again.",
        timely(lambda call: any(call.signs(body=body) for body in _serialised(call))),
    ),
    admits(
        "signature-prefix",
        "The first sixteen characters of a signature are compared.",
        timely(lambda call: bool(sent(call)) and sent(call)[:16] == right(call)[:16]),
    ),
    admits(
        "signature-last-digit",
        "The last digit of a signature is not compared.",
        timely(lambda call: len(sent(call)) == 64 and sent(call)[:63] == right(call)[:63]),
    ),
    admits(
        "signature-case-ignored",
        "A signature may be in upper case.",
        timely(lambda call: sent(call).lower() == right(call)),
    ),
    admits("signature-base64", "A signature may be in base64.", timely(_base64)),
    Mutant(
        "signature-once",
        "A signature is refused when it comes again.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=_once,
    ),
    Mutant(
        "query-not-signed",
        "The query need not be signed.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=admitting(timely(lambda call: call.signs(target=call.path))),
        equivalent=(
            "The contract lets the path be signed with or without its query (info, Signing): "
            "clients of the real service do both, so both have to be accepted."
        ),
    ),
    Mutant(
        "known-body-variants",
        "A body of {} may be signed as none.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=admitting(timely(lambda call: call.body in (b"{}", b"[]") and call.signs(body=b""))),
        equivalent=(
            "Real clients send {} and sign nothing; a server may take it (a declared leniency), "
            "and only a run with --strict says that it must not."
        ),
    ),
)
