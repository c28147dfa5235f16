import asyncio
from dataclasses import replace

import pytest

from emulator.accounts import DEFAULT_ACCOUNT, Account
from emulator.clock import Clock
from emulator.errors import ConcurrencyLimited
from emulator.limits import RateLimits, Slots
from emulator.stop import Stop, Stopped


def account(name: str = "aaaa", **limits: int) -> Account:
    return replace(DEFAULT_ACCOUNT, public_key=f"unsb-pk-{name}-0000-0000-0000", **limits)  # type: ignore[arg-type]


def test_a_minute_of_requests_is_allowed_and_the_next_refused() -> None:
    limits, sender = RateLimits(Clock()), account(rate_per_minute=3, burst=3)
    remaining = [limits.take(sender)[0].remaining for _ in range(3)]
    assert remaining == [2, 1, 0]
    allowance, refusal = limits.take(sender)
    assert allowance.remaining == 0
    assert refusal is not None
    assert refusal.body()["error"] == "rate_limit_exceeded"
    assert 1 <= int(refusal.headers["Retry-After"]) <= 61


def test_the_rate_is_given_back_when_the_minute_is_over() -> None:
    clock = Clock()
    limits, sender = RateLimits(clock), account(rate_per_minute=1, burst=1)
    assert limits.take(sender)[1] is None
    assert limits.take(sender)[1] is not None
    clock.advance(61)
    assert limits.take(sender)[1] is None


def test_a_burst_is_refused_while_the_minute_has_room() -> None:
    clock = Clock()
    limits, sender = RateLimits(clock), account(rate_per_minute=60, burst=2)
    assert [limits.take(sender)[1] is None for _ in range(3)] == [True, True, False]
    clock.advance(1.5)
    assert limits.take(sender)[1] is None


def test_the_reset_is_when_the_bucket_is_full_again() -> None:
    clock = Clock()
    limits, sender = RateLimits(clock), account(rate_per_minute=60, burst=10)
    for _ in range(10):
        allowance, _ = limits.take(sender)
    assert allowance.remaining == 50
    assert 9 <= allowance.reset - clock.time() <= 11


def test_the_minute_is_refilled_steadily() -> None:
    clock = Clock()
    limits, sender = RateLimits(clock), account(rate_per_minute=6, burst=6)
    for _ in range(6):
        assert limits.take(sender)[1] is None
    assert limits.take(sender)[1] is not None
    clock.advance(11)
    assert [limits.take(sender)[1] is None for _ in range(2)] == [True, False]


def test_what_was_just_used_counts_however_soon_it_is_refilled() -> None:
    class Ticking(Clock):
        def now(self) -> int:
            self.advance(0.001)
            return super().now()

    limits, sender = RateLimits(Ticking()), account()  # ten a millisecond
    assert sender.rate_per_minute == 600_000
    assert all(limits.take(sender)[0].remaining == 599_999 for _ in range(3))


def test_accounts_do_not_share_a_bucket() -> None:
    limits = RateLimits(Clock())
    first, second = account("aaaa", rate_per_minute=1), account("bbbb", rate_per_minute=1)
    limits.take(first)
    assert limits.take(first)[1] is not None
    assert limits.take(second)[1] is None


def test_slots_are_counted_refused_and_given_back() -> None:
    slots, sender = Slots(), account(concurrency=1)
    with slots.hold(sender):
        assert slots.taken(sender) == 1
        with pytest.raises(ConcurrencyLimited) as refusal, slots.hold(sender):
            pass
    assert slots.taken(sender) == 0
    body = refusal.value.body()
    assert body["error"] == "concurrency_limit_reached"
    assert (body["active_executions"], body["concurrency_limit"]) == (1, 1)


def test_a_slot_is_given_back_when_its_holder_fails() -> None:
    slots, sender = Slots(), account(concurrency=1)
    with pytest.raises(RuntimeError), slots.hold(sender):
        raise RuntimeError
    assert slots.taken(sender) == 0


async def waits(slots: Slots, sender: Account, order: list[int], number: int, stop: Stop) -> None:
    async with slots.wait(sender, stop, Clock()):
        order.append(number)
        await asyncio.sleep(0)


def test_who_waits_for_a_slot_is_served_in_the_order_of_coming_before_who_does_not_wait() -> None:
    async def work() -> None:
        slots, sender = Slots(), account(concurrency=1)
        order: list[int] = []
        with slots.hold(sender):
            tasks = [
                asyncio.create_task(waits(slots, sender, order, number, Stop()))
                for number in range(5)
            ]
            await asyncio.sleep(0)
        with pytest.raises(ConcurrencyLimited), slots.hold(sender):
            pass
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]
        assert slots.taken(sender) == 0

    asyncio.run(work())


def test_who_no_longer_wants_a_slot_takes_none() -> None:
    async def work() -> None:
        slots, sender = Slots(), account(concurrency=1)
        order: list[int] = []
        stops = [Stop(), Stop()]
        with slots.hold(sender):
            tasks = [
                asyncio.create_task(waits(slots, sender, order, number, stop))
                for number, stop in enumerate(stops)
            ]
            await asyncio.sleep(0)
            stops[0].request("no longer wanted")
            await asyncio.wait(tasks[:1])
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], Stopped)
        assert order == [1]
        assert slots.taken(sender) == 0

    asyncio.run(work())
