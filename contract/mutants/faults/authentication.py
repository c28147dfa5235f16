"""Servers that let in whom they should not, or refuse whom they should let in."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import admitting, on_response, refusing, status, using
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed, replaced
from contract.signing import AUTHORIZATION, SIGNATURE, TIME, WINDOW_SECONDS, signature
from contract.target import MAIN

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_TRIED_SECONDS = 700
SIGNED = ("listJobs", "execute", "validateKey")
"""With and without a body, with and without a query."""
_PAID = (
    *("listSessions", "createSession", "listServices", "createService", "listSnapshots"),
    *("createSnapshot", "listImages", "publishImage"),
)
_PUBLIC = (
    *("listLanguages", "listShells", "getHealth", "getCluster", "getPools", "getStats"),
    "getOpenapi",
)


def _admits(name: str, fault: str, accepts: Callable[[Call], bool]) -> Mutant:
    return Mutant(
        name, fault, Kind.AUTH, "authentication", build=admitting(accepts), seen_at=SIGNED
    )


def _timely(accepts: Callable[[Call], bool]) -> Callable[[Call], bool]:
    return lambda call: call.timely and accepts(call)


def _right(call: Call) -> str:
    """The signature that should have come."""
    pair = call.credentials
    at = call.header(TIME) or ""
    return signature(pair.secret_key, at, call.method, call.target, call.body) if pair else ""


def _sent(call: Call) -> str:
    return call.header(SIGNATURE) or ""


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


def _by_any_secret(call: Call) -> bool:
    named = call.credentials
    return named is not None and any(
        signature(it.secret_key, call.header(TIME) or "", call.method, call.target, call.body)
        == _sent(call)
        for it in call.accounts.values()
    )


def _for_another_time(call: Call) -> bool:
    named = call.credentials
    return named is not None and any(
        signature(named.secret_key, str(at), call.method, call.target, call.body) == _sent(call)
        for at in range(int(call.at) - _TRIED_SECONDS, int(call.at) + _TRIED_SECONDS)
    )


def _in_milliseconds(call: Call) -> bool:
    return call.authentic and abs(call.at / 1000 - call.now) <= WINDOW_SECONDS


def _base64(call: Call) -> bool:
    return base64.b64encode(bytes.fromhex(_right(call))).decode() == _sent(call)


def _scheme_ignored(call: Call) -> bool:
    return not (call.header(AUTHORIZATION) or "").startswith("Bearer ")


async def _without_scheme(call: Call, proceed: Proceed) -> Answer:
    """The key is looked for in whatever stands in Authorization."""
    words = (call.header(AUTHORIZATION) or "").split()
    known = [it for it in call.accounts.values() if it.public_key in words]
    if not known or not _scheme_ignored(call):
        return await proceed(call)
    bearer = replaced(call.headers, authorization=f"Bearer {known[0].public_key}")
    named = replace(call, headers=bearer)
    return await proceed(named)


async def _anonymous(call: Call, proceed: Proceed) -> Answer:
    if call.header(AUTHORIZATION) is None and call.header(SIGNATURE) is None:
        return await proceed(call.signed_by(call.accounts[MAIN]))
    return await proceed(call)


def _served_as_main(*roles: str) -> Build:
    """Accounts with a restriction are served as if they had none."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.role in roles and call.authentic and call.timely:
            return await proceed(call.signed_by(call.accounts[MAIN]))
        return await proceed(call)

    return using(mutator)


def _unauthorized() -> Answer:
    return Answer.error(401, "Invalid signature", "INVALID_SIGNATURE")


def _once() -> Mutator:
    seen = set[str]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if call.authentic:
            if _sent(call) in seen:
                return _unauthorized()
            seen.add(_sent(call))
        return await proceed(call)

    return mutator


def _forbidden(_call: Call, answer: Answer) -> None:
    answer.status = 403


def _plain(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/plain")
    answer.body = b"Unauthorized"


def _drift_unsaid(call: Call, answer: Answer) -> None:
    if call.authentic and not call.timely:
        answer.document = _unauthorized().document


def _key_unknown(call: Call) -> bool:
    return call.header(AUTHORIZATION) is not None and call.credentials is None


async def _unknown_as_main(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call.signed_by(call.accounts[MAIN]) if _key_unknown(call) else call)


AUTHENTICATION = (
    _admits(
        "signature-unchecked",
        "Any text will do as signature.",
        _timely(lambda call: bool(_sent(call))),
    ),
    _admits("unsigned-accepted", "The public key alone lets in.", lambda call: not _sent(call)),
    Mutant(
        "anonymous-accepted",
        "Who names no key is served as the first account.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=using(_anonymous),
    ),
    Mutant(
        "unknown-key-accepted",
        "Who names an unknown key is served as the first account.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=using(_unknown_as_main),
    ),
    _admits(
        "body-not-signed",
        "The signature need not cover the body.",
        _timely(lambda call: call.signs(body=b"") or call.signs(body=b"{}")),
    ),
    _admits(
        "method-not-signed",
        "A signature for one method is good for another.",
        _timely(lambda call: any(call.signs(method=method) for method in _METHODS)),
    ),
    _admits(
        "method-case-ignored",
        "The method may be signed in lower case.",
        _timely(lambda call: call.signs(method=call.method.lower())),
    ),
    _admits(
        "path-not-signed",
        "A signature for one path is good for another.",
        _timely(lambda call: any(call.signs(target=path) for path in _other_paths(call))),
    ),
    _admits(
        "slash-ignored",
        "A slash at the end of the path may be signed or not.",
        _timely(
            lambda call: (
                call.signs(target=f"{call.path}/") or call.signs(target=call.path.rstrip("/"))
            )
        ),
    ),
    _admits(
        "url-signed",
        "The whole URL may be signed in place of the path.",
        _timely(
            lambda call: any(
                call.signs(target=f"{scheme}://{host}{call.target}")
                for scheme in ("http", "https")
                for host in (call.header("Host"), "api.unsandbox.com")
            )
        ),
    ),
    _admits(
        "json-signed-again",
        "The signature is compared with the body as it would be written again.",
        _timely(lambda call: any(call.signs(body=body) for body in _serialised(call))),
    ),
    _admits(
        "time-not-signed",
        "A signature keeps its worth when the time beside it is changed.",
        _timely(_for_another_time),
    ),
    _admits(
        "any-secret",
        "The secret of any account signs for all.",
        _timely(_by_any_secret),
    ),
    _admits(
        "signature-prefix",
        "The first sixteen characters of a signature are compared.",
        _timely(lambda call: bool(_sent(call)) and _sent(call)[:16] == _right(call)[:16]),
    ),
    _admits(
        "signature-case-ignored",
        "A signature may be in upper case.",
        _timely(lambda call: _sent(call).lower() == _right(call)),
    ),
    _admits("signature-base64", "A signature may be in base64.", _timely(_base64)),
    _admits(
        "past-accepted",
        "A signature never grows old.",
        lambda call: call.authentic and call.at < call.now,
    ),
    _admits(
        "future-accepted",
        "A signature may be of any time to come.",
        lambda call: call.authentic and call.at > call.now,
    ),
    _admits(
        "window-wide",
        "The clock may be off by an hour.",
        lambda call: call.authentic and abs(call.at - call.now) < 3600,
    ),
    _admits("milliseconds-accepted", "The time may be in milliseconds.", _in_milliseconds),
    Mutant(
        "window-narrow",
        "The clock may be off by a minute alone.",
        Kind.TIME,
        "authentication",
        seen_at=SIGNED,
        build=refusing(lambda call: call.authentic and abs(call.at - call.now) > 60, _unauthorized),
    ),
    Mutant(
        "signature-once",
        "A signature is refused when it comes again.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=_once,
    ),
    Mutant(
        "scheme-ignored",
        "The key counts under any scheme of Authorization.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=using(_without_scheme),
    ),
    Mutant(
        "suspended-served",
        "A suspended account is served.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=_served_as_main("suspended"),
    ),
    Mutant(
        "expired-served",
        "An expired account is served.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=_served_as_main("expired"),
    ),
    Mutant(
        "free-served",
        "The free tier gets what it lacks.",
        Kind.LIMITS,
        "limits",
        _PAID,
        build=_served_as_main("free"),
    ),
    Mutant(
        "unauthorized-as-forbidden",
        "Who is not known is answered 403.",
        Kind.STATUS,
        "authentication",
        seen_at=SIGNED,
        build=on_response(_forbidden, status(401)),
    ),
    Mutant(
        "unauthorized-as-text",
        "A 401 is plain text.",
        Kind.SCHEMA,
        "authentication",
        seen_at=SIGNED,
        build=on_response(_plain, status(401)),
    ),
    Mutant(
        "drift-unsaid",
        "A clock that is off is answered like a wrong signature.",
        Kind.TIME,
        "authentication",
        seen_at=SIGNED,
        build=on_response(_drift_unsaid, status(401)),
    ),
    Mutant(
        "public-signed",
        "What is public wants a signature.",
        Kind.AUTH,
        "authentication",
        _PUBLIC,
        build=refusing(lambda call: call.header(SIGNATURE) is None, _unauthorized),
    ),
    Mutant(
        "public-verified",
        "What is public refuses a wrong signature.",
        Kind.AUTH,
        "authentication",
        _PUBLIC,
        build=refusing(lambda call: bool(_sent(call)) and not call.authentic, _unauthorized),
    ),
    Mutant(
        "query-not-signed",
        "The query need not be signed.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=admitting(_timely(lambda call: call.signs(target=call.path))),
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
        build=admitting(_timely(lambda call: call.body in (b"{}", b"[]") and call.signs(body=b""))),
        equivalent=(
            "Real clients send {} and sign nothing; a server may take it (a declared leniency), "
            "and only a run with --strict says that it must not."
        ),
    ),
)
