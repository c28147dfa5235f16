"""What the families of accounts find in servers with several faults, and that they find no more."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.mutants.mutators import on_response, status, using
from contract.mutants.traffic import Answer, Call, Mutator, Proceed
from contract.target import EMULATOR
from tests.contract.runs import failed, faulty
from tests.contract.standin import running as standing_in
from tests.server import Server, running, settings

SUBJECTS = (
    *("listJobs", "listJobs with a query", "getJob", "cancelJob", "execute", "run with a query"),
)
ACCOUNTS = EMULATOR.accounts


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An emulator that lets no other body pass, its test keys not used up by other tests."""
    folder = tmp_path_factory.mktemp("accounts")
    with running(settings(folder, languages="bash", strict="true")) as made:
        yield made


@using
async def refused_and_done(call: Call, proceed: Proceed) -> Answer:
    """What is answered 401 is carried out all the same."""
    answer = await proceed(call)
    if answer.status == 401 and call.path == "/execute/async" and call.role == "third":
        await proceed(call.signed_by(ACCOUNTS["third"]))
    return answer


def _tell_secret(call: Call, answer: Answer) -> None:
    if call.credentials is not None and call.header("X-Signature") == "0" * 64:
        details = f"it is not as with {call.credentials.secret_key}"
        answer.document = {**answer.document, "details": details}


def test_authentication_finds_who_lets_the_wrong_ones_in(strict: Server, tmp_path: Path) -> None:
    faults = (
        *("body-not-signed", "any-secret", "future-accepted", "suspended-served", "scheme-ignored"),
        *(
            "signature-last-digit",
            "public-verified",
            refused_and_done,
            on_response(_tell_secret, status(401)),
        ),
    )
    with faulty(strict.api, *faults) as url:
        cases = failed(url, "authentication", tmp_path, "--strict", "--only", "not without_a_key")
    assert cases.pop("a mistake in signing is refused") == {
        *(f"{subject}-body not signed" for subject in ("execute", "run with a query")),
        *(
            f"{subject}-{mistake}"
            for subject in SUBJECTS
            for mistake in (
                *("Authorization of another scheme", "Authorization without a scheme"),
                *("time too new", "time of tomorrow", "time in milliseconds"),
                *("zeros for a signature", "last digit wrong"),
            )
        ),
    }
    assert cases.pop("a key that ended is told so and lets nobody in") == {
        f"suspended-403-{subject}" for subject in SUBJECTS
    }
    assert len(cases.pop("another body than the signed one is refused by a strict server")) == 5
    assert cases.keys() == {
        "one account does not sign for another",
        "a refused execution did not happen",
        "what is public asks for no key",
        "status",  # of an answer that is not documented: 401 where no key is needed
    }
    assert ACCOUNTS["main"].secret_key not in (tmp_path / "events/authentication.jsonl").read_text()


@using
async def cancelled_behind_a_404(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    if call.path.endswith("/cancel") and answer.status == 404:
        await proceed(call.signed_by(ACCOUNTS["second"]))
    return answer


@using
async def foreign_told_by_code(call: Call, proceed: Proceed) -> Answer:
    """404 has another code for what others have."""
    answer = await proceed(call)
    if call.path.endswith("/wait") and answer.status == 404:
        reading = replace(call, target=call.path.removesuffix("/wait"))
        if (await proceed(reading.signed_by(ACCOUNTS["second"]))).succeeded:
            answer.document = {**answer.document, "code": "NOT_YOURS"}
    return answer


@using
async def slashes_decoded(call: Call, proceed: Proceed) -> Answer:
    """As behind a proxy that resolves paths, and signs for itself."""
    if call.role and re.search("%2f", call.path, re.IGNORECASE):
        return await proceed(call.edited(target="/keys/self", method="GET"))
    return await proceed(call)


def test_tenancy_finds_who_mixes_up_accounts(strict: Server, tmp_path: Path) -> None:
    faults = (
        *("foreign-job-read", "jobs-listed-to-all", "accounts-mixed"),
        *(cancelled_behind_a_404, foreign_told_by_code, slashes_decoded),
    )
    with faulty(strict.api, *faults) as url:
        cases = failed(url, "tenancy", tmp_path)
    jobs = {"getJob", "cancelJob", "cancelJobAlias", "waitJob"}
    assert cases.pop("what another account owns does not exist") == jobs - {"cancelJob"}
    assert cases.pop("a hostile identifier names nothing") >= jobs
    assert cases.pop("lists show what one may see") == {"listJobs"}
    assert cases.pop("a key is told of itself") == {"validateKey", "getKeySelf"}
    assert not cases.keys() - {"schema"}


def test_tenancy_finds_who_shares_what_is_not_shared(tmp_path: Path) -> None:
    """In a server of all kinds of things, whose images everybody may read."""
    with standing_in("visibility ignored", "revoke ignored") as standin:
        cases = failed(
            standin.url, "tenancy", tmp_path, "--only", "not Job and not hostile and not itself"
        )
    assert cases == {
        "what another account owns does not exist": {"getImage", "spawnImage", "cloneImage"},
        "lists show what one may see": {"listImages", "listOwnImages"},
        "an unlisted image is shared with whom it is granted to": {""},
        "an image is seen by all while it is public": {""},
    }


@using
async def any_code_for_services(call: Call, proceed: Proceed) -> Answer:
    given = call.header("X-Sudo-OTP") and call.path.startswith("/services/")
    return await proceed(_confirming(call) if given else call)


@using
async def any_challenge_for_images(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    is_right = call.header("X-Sudo-OTP") == EMULATOR.sudo_code
    if answer.status == 428 and is_right and call.path.startswith("/images/"):
        return await proceed(_confirming(call, answer.document["challenge_id"]))
    return answer


@using
async def sessions_unasked(call: Call, proceed: Proceed) -> Answer:
    answer = await proceed(call)
    if answer.status == 428 and call.path.startswith("/sessions/"):
        return await proceed(_confirming(call, answer.document["challenge_id"]))
    return answer


def _confirming(call: Call, challenge: str | None = None) -> Call:
    """With the right code, and another challenge where one is given."""
    changed = {"x-sudo-otp": EMULATOR.sudo_code, "x-sudo-challenge": challenge}
    changed = {name: value for name, value in changed.items() if value is not None}
    kept = [pair for pair in call.headers if pair[0].lower() not in changed]
    return replace(call, headers=[*kept, *((k, str(v)) for k, v in changed.items())])


def test_sudo_finds_who_takes_any_confirmation(tmp_path: Path) -> None:
    faults = (sessions_unasked, any_code_for_services, any_challenge_for_images)
    with standing_in() as standin, faulty(standin.url, *faults) as url:
        cases = failed(url, "sudo", tmp_path)
    services, images = {"deleteService", "unlockService"}, {"deleteImage", "unlockImage"}
    assert cases == {
        "a code is asked for before anything happens": {"deleteSession"},
        "the right code lets it happen": {"deleteSession"},
        "a wrong code is refused": {"deleteSession", *services},
        "a challenge of nobody is refused": {"deleteSession", *images},
        "a challenge is for one thing": {"deleteSession", *images},
        "a challenge is for one operation": {"unlockImage"},
        "a challenge is good once": {"unlockImage"},
    }


@using
async def large_bodies_taken(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call.edited(body=call.body.strip()) if len(call.body) > 2**24 else call)


@using
async def bounds_of_queries_ignored(call: Call, proceed: Proceed) -> Answer:
    return await proceed(call.edited(target="/run?ttl=5") if "ttl=" in call.target else call)


def _no_retry_after(_call: Call, answer: Answer) -> None:
    answer.headers = [pair for pair in answer.headers if pair[0].lower() != "retry-after"]


def _no_rate(_call: Call, answer: Answer) -> None:
    kept = [pair for pair in answer.headers if not pair[0].lower().startswith("x-ratelimit")]
    answer.headers = kept


def counted_by_address() -> Mutator:
    """Once one key is refused, so is another from the same address."""
    refused = list[Answer]()

    async def mutator(call: Call, proceed: Proceed) -> Answer:
        if refused and call.role == "second":
            return replace(refused[0])
        answer = await proceed(call)
        if answer.status == 429 and call.role == "rate":
            refused.append(replace(answer))
        return answer

    return mutator


def test_limits_finds_who_counts_wrongly(strict: Server, tmp_path: Path) -> None:
    faults = (
        *("same-request-id", "slots-for-all-keys", large_bodies_taken, bounds_of_queries_ignored),
        *(on_response(_no_retry_after, status(429)), on_response(_no_rate, status(400))),
        *(counted_by_address, "counted-once"),
    )
    with faulty(strict.api, *faults) as url:
        cases = failed(url, "limits", tmp_path)
    assert cases.keys() == {
        "the rate is counted for each key",
        "one request too many is refused for a while",
        "each request leaves one less",
        "answers tell what is left of the rate",
        "every answer has a name of its own",
        "a body over the limit is refused",
        "a time limit in the query has the same bounds",
        "slots are counted for each key",
    }


def test_limits_finds_who_counts_no_slots(strict: Server, tmp_path: Path) -> None:
    with faulty(strict.api, "slots-unlimited") as url:
        cases = failed(url, "limits", tmp_path, "--only", "slot")
    assert cases.keys() == {
        "one slot runs one program",
        "a session takes a slot while it runs",
        "a service takes a slot while it runs",
    }
