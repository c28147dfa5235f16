"""The family finds what is wrong with a server that mixes up its accounts, and nothing else."""

import re
from dataclasses import replace
from pathlib import Path

from tests.contract.faulty import Answer, Call, Forward, faulty
from tests.contract.runs import failed, results
from tests.contract.standin import running
from tests.server import Server

OWNER = "second"
JOB = re.compile(r"/jobs/[^/]+")


async def foreign_jobs_are_read(call: Call, forward: Forward) -> Answer:
    is_read = call.method == "GET" and JOB.fullmatch(call.path) and call.role
    return await forward(call.as_(OWNER) if is_read else call)


async def foreign_jobs_are_cancelled_by_404(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    if call.path.endswith("/cancel") and answer.status == 404:
        await forward(call.as_(OWNER))
    return answer


async def jobs_of_all_are_listed(call: Call, forward: Forward) -> Answer:
    return await forward(call.as_(OWNER) if call.path == "/jobs" and call.role else call)


async def foreign_jobs_are_told_apart(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    if call.path.endswith("/wait") and (await forward(_read(call))).status == 200:
        return replace(answer, body=answer.body.replace(b"JOB_NOT_FOUND", b"JOB_NOT_YOURS"))
    return answer


def _read(waiting: Call) -> Call:
    return replace(waiting, target=waiting.path.removesuffix("/wait")).as_(OWNER)


async def slashes_are_decoded(call: Call, forward: Forward) -> Answer:
    """As behind a proxy that resolves what is encoded, and signs for itself."""
    if call.role and re.search("%2f", call.path, re.IGNORECASE):
        return await forward(replace(call, target="/keys/self", method="GET").as_("main"))
    return await forward(call)


def test_who_mixes_up_accounts_is_found_out(emulator: Server, tmp_path: Path) -> None:
    faults = (
        *(foreign_jobs_are_read, foreign_jobs_are_cancelled_by_404, jobs_of_all_are_listed),
        *(foreign_jobs_are_told_apart, slashes_are_decoded),
    )
    with faulty(emulator.api, *faults) as url:
        cases = failed(results(url, "tenancy", tmp_path))
    assert cases.pop("what another account owns does not exist") >= {
        *("getJob", "cancelJobAlias", "waitJob"),
    }
    assert cases.pop("lists show what one may see") == {"listJobs"}
    assert cases.pop("a hostile identifier names nothing") >= {"getJob", "waitJob", "cancelJob"}
    assert not cases.keys() - {"schema", "status"}


def test_who_shares_what_is_not_shared_is_found_out(tmp_path: Path) -> None:
    """In a server of all kinds of things, whose images everybody may read."""
    with running("visibility ignored", "revoke ignored") as standin:
        found = results(standin.url, "tenancy", tmp_path, "--only", "not Job and not hostile")
    assert failed(found) == {
        "what another account owns does not exist": {"getImage", "spawnImage", "cloneImage"},
        "lists show what one may see": {"listImages", "listOwnImages"},
        "an unlisted image is shared with whom it is granted to": {""},
        "an image is seen by all while it is public": {""},
    }
