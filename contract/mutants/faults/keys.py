"""Servers that serve whoever names a key, or none, and refuse whom they know."""

from dataclasses import replace

from contract.mutants.faults.admission import (
    SIGNED,
    admits,
    sent,
    served_as_main,
    timely,
    unauthorized,
)
from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import on_response, refusing, status, using
from contract.mutants.traffic import Answer, Call, Proceed, replaced
from contract.signing import AUTHORIZATION, SIGNATURE, TIME, signature
from contract.target import MAIN

_PUBLIC = (
    *("listLanguages", "listShells", "getHealth", "getCluster", "getPools", "getStats"),
    "getOpenapi",
)


def _by_any_secret(call: Call) -> bool:
    named = call.credentials
    return named is not None and any(
        signature(it.secret_key, call.header(TIME) or "", call.method, call.target, call.body)
        == sent(call)
        for it in call.accounts.values()
    )


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


def _forbidden(_call: Call, answer: Answer) -> None:
    answer.status = 403


def _plain(_call: Call, answer: Answer) -> None:
    answer.headers = replaced(answer.headers, content_type="text/plain")
    answer.body = b"Unauthorized"


def _key_unknown(call: Call) -> bool:
    _, _, key = (call.header(AUTHORIZATION) or "").partition("Bearer ")
    return bool(key) and call.credentials is None


async def _unknown_as_main(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call.signed_by(call.accounts[MAIN]) if _key_unknown(call) else call)


KEYS = (
    admits(
        "signature-unchecked",
        "Any text will do as signature.",
        timely(lambda call: bool(sent(call))),
    ),
    admits("unsigned-accepted", "The public key alone lets in.", lambda call: not sent(call)),
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
    admits(
        "any-secret",
        "The secret of any account signs for all.",
        timely(_by_any_secret),
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
        build=served_as_main("suspended"),
    ),
    Mutant(
        "expired-served",
        "An expired account is served.",
        Kind.AUTH,
        "authentication",
        seen_at=SIGNED,
        build=served_as_main("expired"),
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
        "public-signed",
        "What is public wants a signature.",
        Kind.AUTH,
        "authentication",
        _PUBLIC,
        build=refusing(lambda call: call.header(SIGNATURE) is None, unauthorized),
    ),
    Mutant(
        "public-verified",
        "What is public refuses a wrong signature.",
        Kind.AUTH,
        "authentication",
        _PUBLIC,
        build=refusing(lambda call: bool(sent(call)) and not call.authentic, unauthorized),
    ),
)
