"""Servers whose one-time codes protect nothing, or too much."""

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import on_response, status, using
from contract.mutants.traffic import Answer, Build, Call, Mutator, Proceed, replaced

CODE, CHALLENGE = "X-Sudo-OTP", "X-Sudo-Challenge"
REQUIRED = 428
_GUARDED = (
    *("deleteSession", "deleteService", "unlockService", "deleteSnapshot", "unlockSnapshot"),
    *("deleteImage", "unlockImage"),
)


def _challenge(answer: Answer) -> str | None:
    document = answer.document
    return document.get("challenge_id") if isinstance(document, dict) else None


async def _answered(call: Call, challenge: Answer, proceed: Proceed) -> Answer:
    """The call again, with the right code for the challenge that came."""
    headers = replaced(
        call.headers, x_sudo_otp=call.sudo_code, x_sudo_challenge=_challenge(challenge)
    )
    return await proceed(call.edited(headers=headers))


async def _never_asks(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    return await _answered(call, answer, proceed) if answer.status == REQUIRED else answer


async def _any_code(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    if answer.status < 400 or call.header(CODE) is None:
        return answer
    fresh = await proceed(call.edited(headers=replaced(call.headers, **_NONE)))
    return await _answered(call, fresh, proceed) if fresh.status == REQUIRED else answer


async def _any_challenge(call: Call, proceed: Proceed) -> Answer:
    right = call.sudo_code is not None and call.header(CODE) == call.sudo_code
    return await (_any_code if right else _as_it_is)(call, proceed)


async def _as_it_is(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call)


async def _no_code_helps(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call.edited(headers=replaced(call.headers, **_NONE)))


_NONE = {"x_sudo_otp": None, "x_sudo_challenge": None}


def _unnamed(_call: Call, answer: Answer) -> None:
    document = answer.document
    document.pop("challenge_id", None)
    answer.document = document


def _as_forbidden(_call: Call, answer: Answer) -> None:
    answer.status = 403


def _sudo(name: str, fault: str, build: Build) -> Mutant:
    return Mutant(name, fault, Kind.AUTH, "sudo", _GUARDED, build)


def _carried_out_before_asking() -> Mutator:
    """The challenge is made, but what it should guard has been done by then."""

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        answer = await proceed(call)
        if answer.status == REQUIRED:
            await _answered(call, answer, proceed)
        return answer

    return mutator


SUDO = (
    _sudo("sudo-not-asked", "Destructive operations want no code.", using(_never_asks)),
    _sudo("sudo-any-code", "Any code will do.", using(_any_code)),
    _sudo("sudo-any-challenge", "A code is good for any challenge.", using(_any_challenge)),
    _sudo("sudo-no-code-helps", "The right code is asked for again.", using(_no_code_helps)),
    _sudo(
        "sudo-challenge-unnamed",
        "The challenge has no id.",
        on_response(_unnamed, status(REQUIRED)),
    ),
    _sudo(
        "sudo-as-forbidden",
        "The challenge comes as 403.",
        on_response(_as_forbidden, status(REQUIRED)),
    ),
    _sudo(
        "sudo-after-the-deed",
        "What the code should guard is done before it is asked for.",
        _carried_out_before_asking,
    ),
)
