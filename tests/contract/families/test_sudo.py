"""The family finds what is wrong with a server that takes any confirmation, and nothing else."""

import json
from pathlib import Path

from contract.target import EMULATOR
from tests.contract.faulty import Answer, Call, Forward, faulty
from tests.contract.runs import failed, results
from tests.contract.standin import running

CODE, CHALLENGE = "x-sudo-otp", "x-sudo-challenge"
RIGHT = EMULATOR.sudo_code or ""
ASKED = "a code is asked for before anything happens"
ONE_THING, ONE_OPERATION = "a challenge is for one thing", "a challenge is for one operation"
ONCE, NOBODY = "a challenge is good once", "a challenge of nobody is refused"
RIGHT_CODE = "the right code lets it happen"
WRONG = "a wrong code is refused"


async def sudo_is_not_asked(call: Call, forward: Forward) -> Answer:
    """Of who deletes a session: it confirms for itself."""
    answer = await forward(call)
    if answer.status == 428 and call.method == "DELETE" and call.path.startswith("/sessions/"):
        return await confirmed(call, answer, forward)
    return answer


async def any_code_will_do(call: Call, forward: Forward) -> Answer:
    is_given = CODE in call.headers and call.path.startswith("/services/")
    return await forward(call.with_(**{CODE: RIGHT}) if is_given else call)


async def any_challenge_will_do(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    is_right = call.headers.get(CODE) == RIGHT
    if answer.status == 428 and is_right and call.path.startswith("/images/"):
        return await confirmed(call, answer, forward)
    return answer


async def confirmed(call: Call, asked: Answer, forward: Forward) -> Answer:
    challenge = json.loads(asked.body)["challenge_id"]
    return await forward(call.as_(call.role).with_(**{CODE: RIGHT, CHALLENGE: challenge}))


def test_who_takes_any_confirmation_is_found_out(tmp_path: Path) -> None:
    faults = (sudo_is_not_asked, any_code_will_do, any_challenge_will_do)
    with running() as standin, faulty(standin.url, *faults) as url:
        cases = failed(results(url, "sudo", tmp_path))
    everywhere = set.intersection(*(cases.pop(name) for name in (ASKED, RIGHT_CODE)))
    assert everywhere == {"deleteSession"}
    services, images = {"deleteService", "unlockService"}, {"deleteImage", "unlockImage"}
    assert cases == {
        WRONG: {"deleteSession", *services},
        NOBODY: {"deleteSession", *images},
        ONE_THING: {"deleteSession", *images},
        ONE_OPERATION: {"unlockImage"},
        ONCE: {"unlockImage"},
    }
