"""The family finds what is wrong with a server that lets the wrong ones in, and nothing else."""

import time
from dataclasses import replace
from pathlib import Path

from tests.contract.faulty import ACCOUNTS, Answer, Call, Forward, faulty
from tests.contract.runs import failed, results
from tests.server import Server

SUBJECTS = (
    *("listJobs", "listJobs with a query", "getJob", "cancelJob", "execute", "run with a query"),
)
MISTAKE = "a mistake in signing is refused"


async def body_not_signed(call: Call, forward: Forward) -> Answer:
    if call.body and call.role and call.is_signed(call.role, b""):
        return await forward(call.as_(call.role))
    return await forward(call)


async def any_key_signs(call: Call, forward: Forward) -> Answer:
    signers = [role for role in ACCOUNTS if call.is_signed(role, call.body)]
    if signers and call.role not in ("", *signers):
        return await forward(call.as_(call.role))
    return await forward(call)


async def future_is_accepted(call: Call, forward: Forward) -> Answer:
    is_signed = call.role and call.is_signed(call.role, call.body)
    if is_signed and call.at.isdecimal() and 0 < int(call.at) - time.time() < 1000:
        return await forward(call.as_(call.role))
    return await forward(call)


async def suspended_is_let_in(call: Call, forward: Forward) -> Answer:
    if call.role == "suspended" and call.is_signed(call.role, call.body):
        return await forward(call.as_("main"))
    return await forward(call)


async def public_wants_a_key(call: Call, forward: Forward) -> Answer:
    if call.path == "/languages" and not call.role:
        return await forward(Call("GET", "/keys/self", {}, b""))
    return await forward(call)


async def refused_and_done(call: Call, forward: Forward) -> Answer:
    """What has no right signature is answered 401, after it was carried out."""
    answer = await forward(call)
    if answer.status == 401 and call.path == "/execute/async" and call.role == "third":
        await forward(call.as_("third"))
    return answer


async def secret_is_told(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    if answer.status == 401 and call.role and call.headers.get("x-signature") == "0" * 64:
        told = f'"details":"not as with {ACCOUNTS[call.role].secret_key}: '
        return replace(answer, body=answer.body.replace(b'"details":"', told.encode()))
    return answer


def test_who_lets_the_wrong_ones_in_is_found_out(emulator: Server, tmp_path: Path) -> None:
    """By a server that is strict, but for what these faults let pass."""
    faults = (
        *(body_not_signed, any_key_signs, future_is_accepted, suspended_is_let_in),
        *(public_wants_a_key, refused_and_done, secret_is_told),
    )
    with faulty(emulator.api, *faults) as url:
        cases = failed(results(url, "authentication", tmp_path, "--strict"))
    assert cases.pop(MISTAKE) == {
        *(f"{subject}-body not signed" for subject in ("execute", "run with a query")),
        *(f"{subject}-time too new" for subject in SUBJECTS),
        *(f"{subject}-zeros for a signature" for subject in SUBJECTS),
    }
    assert cases.pop("a key that ended is told so and lets nobody in") == {
        f"suspended-403-{subject}" for subject in SUBJECTS
    }
    assert len(cases.pop("what is public asks for no key")) == 2
    assert len(cases.pop("another body than the signed one is refused by a strict server")) == 4
    assert cases.keys() == {
        "one account does not sign for another",
        "a refused execution did not happen",
        "a header that stands twice is refused by a strict server",  # the proxy passes one on
        "status",  # of an answer that is not documented: 401 where no key is needed
    }
    assert ACCOUNTS["main"].secret_key not in (tmp_path / "events/authentication.jsonl").read_text()
