import asyncio

import pytest

from emulator.clock import MAX_ADVANCE, Clock


def test_advance_moves_wall_and_monotonic_time_together() -> None:
    clock = Clock()
    wall, monotonic = clock.time(), clock.monotonic()
    clock.advance(3600)
    assert clock.time() - wall >= 3600
    assert clock.monotonic() - monotonic >= 3600
    assert clock.offset == 3600


@pytest.mark.parametrize("seconds", [0, -1, MAX_ADVANCE + 1, float("nan"), float("inf")])
def test_advance_refuses_steps_that_are_not_forward_and_bounded(seconds: float) -> None:
    with pytest.raises(ValueError, match="advance must be"):
        Clock().advance(seconds)


def test_isoformat_is_utc_with_z() -> None:
    assert Clock().isoformat(1_736_596_800) == "2025-01-11T12:00:00Z"


def test_a_timeout_ends_when_the_clock_is_advanced_past_it() -> None:
    async def scenario() -> None:
        clock = Clock()
        asyncio.get_running_loop().call_later(0.01, clock.advance, 500)
        with pytest.raises(TimeoutError):
            async with clock.timeout(400):
                await asyncio.sleep(60)

    asyncio.run(scenario())


def test_a_timeout_that_is_not_reached_lets_the_block_end() -> None:
    async def scenario() -> str:
        clock = Clock()
        async with clock.timeout(400):
            clock.advance(100)
            return "ended"

    assert asyncio.run(scenario()) == "ended"
