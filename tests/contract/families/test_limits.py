"""The family finds what is wrong with a server that counts wrongly, and nothing else."""

from dataclasses import replace
from pathlib import Path

from tests.contract.faulty import Answer, Call, Forward, faulty
from tests.contract.runs import failed, results
from tests.server import Server


class CountedByAddress:
    """Whoever asks from the same address is refused once somebody is."""

    def __init__(self) -> None:
        self._refused: Answer | None = None

    async def __call__(self, call: Call, forward: Forward) -> Answer:
        answer = await forward(call)
        if call.method == "GET" and call.path == "/jobs":
            if answer.status == 429:
                self._refused = answer
            if self._refused is not None and call.role == "second":
                return self._refused
        return answer


async def no_retry_after(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    kept = {name: value for name, value in answer.headers.items() if name != "retry-after"}
    return replace(answer, headers=kept)


async def no_rate_headers(call: Call, forward: Forward) -> Answer:
    """On answers to bad requests, as when something else writes them."""
    answer = await forward(call)
    if answer.status != 400:
        return answer
    kept = {k: v for k, v in answer.headers.items() if not k.startswith("x-ratelimit")}
    return replace(answer, headers=kept)


async def one_name_for_all(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    return replace(answer, headers={**answer.headers, "x-request-id": "req-1"})


async def large_bodies_are_taken(call: Call, forward: Forward) -> Answer:
    if len(call.body) > 16 * 1024 * 1024:
        return await forward(replace(call, body=call.body.strip()).as_(call.role))
    return await forward(call)


async def bounds_are_ignored(call: Call, forward: Forward) -> Answer:
    if call.path == "/run" and "ttl=" in call.target and call.role:
        return await forward(replace(call, target="/run?ttl=5").as_(call.role))
    return await forward(call)


async def slots_are_many(call: Call, forward: Forward) -> Answer:
    answer = await forward(call)
    if answer.status == 429 and call.path == "/execute":
        return await forward(call.as_("main"))
    return answer


def test_who_counts_wrongly_is_found_out(emulator: Server, tmp_path: Path) -> None:
    faults = (
        *(CountedByAddress(), no_retry_after, no_rate_headers, one_name_for_all),
        *(large_bodies_are_taken, bounds_are_ignored, slots_are_many),
    )
    with faulty(emulator.api, *faults) as url:
        cases = failed(results(url, "limits", tmp_path))
    assert cases.keys() == {
        "the rate is counted for each key",
        "one request too many is refused for a while",
        "answers tell what is left of the rate",
        "every answer has a name of its own",
        "a body over the limit is refused",
        "a time limit in the query has the same bounds",
        "one slot runs one program",
    }
