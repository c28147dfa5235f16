import asyncio

import pytest

from emulator.clock import Clock
from emulator.stop import Stop, Stopped


async def waits(stop: Stop, seconds: float | None) -> None:
    async with stop.heeded(Clock(), seconds):
        await asyncio.sleep(60)


def test_a_request_ends_the_wait_at_once_and_its_first_reason_counts() -> None:
    async def work() -> None:
        stop = Stop()
        waiting = asyncio.create_task(waits(stop, None))
        await asyncio.sleep(0)
        stop.request("first")
        stop.request("second")
        with pytest.raises(Stopped):
            await waiting
        assert stop.reason == "first"

    asyncio.run(work())


def test_a_request_made_before_ends_the_wait_too() -> None:
    stop = Stop()
    stop.request("early")
    with pytest.raises(Stopped):
        asyncio.run(waits(stop, None))


def test_without_a_request_the_time_is_the_limit() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(waits(Stop(), 0.01))


def test_what_is_done_in_time_is_not_disturbed_by_a_later_request() -> None:
    async def work() -> None:
        stop = Stop()
        async with stop.heeded(Clock(), 60):
            await asyncio.sleep(0)
        stop.request("late")
        await asyncio.sleep(0)
        with pytest.raises(Stopped):
            stop.check()

    asyncio.run(work())
