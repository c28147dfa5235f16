"""The memory of the machine is promised in turn, and nobody overtakes to another's cost."""

import asyncio
from collections.abc import Iterable
from math import inf

from emulator.sandbox.limits import Budget


class Crowd:
    """Runs that each hold an amount until they are let go; `order` is that of their start."""

    def __init__(self, total: int) -> None:
        self.budget = Budget(total)
        self.order: list[str] = []
        self._running: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, party: str, amounts: Iterable[int], seconds: float = inf) -> None:
        for amount in amounts:
            self._tasks.append(asyncio.create_task(self._run(party, amount, seconds)))

    async def end_one(self) -> None:
        """The one that runs longest ends; who can start then does."""
        self._running.pop(0).set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def disperse(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, party: str, amount: int, seconds: float) -> None:
        async with self.budget.promise(amount, party, seconds):
            self.order.append(party)
            end = asyncio.Event()
            self._running.append(end)
            await end.wait()


def test_with_500_waiting_another_party_starts_within_the_next_round() -> None:
    async def work() -> None:
        crowd = Crowd(3)
        crowd.add("a", [1] * 500)
        await crowd.settle()
        crowd.add("b", [1] * 3)
        await crowd.settle()
        assert crowd.order == ["a"] * 3
        for _ in range(6):
            await crowd.end_one()
        assert crowd.order[3:] == ["a", "b"] * 3
        await crowd.disperse()

    asyncio.run(work())


def test_many_parties_are_served_in_turn() -> None:
    async def work() -> None:
        crowd = Crowd(1)
        crowd.add("x", [1])
        for party in "abc":
            crowd.add(party, [1] * 4)
        await crowd.settle()
        for _ in range(12):
            await crowd.end_one()
        assert crowd.order == list("x" + "abc" * 4)
        await crowd.disperse()

    asyncio.run(work())


def test_a_large_request_is_not_starved_by_small_ones() -> None:
    async def work() -> None:
        crowd = Crowd(4)
        crowd.add("small", [1] * 100)
        await crowd.settle()
        crowd.add("large", [4])
        await crowd.settle()
        for _ in range(6):
            await crowd.end_one()
        assert "large" in crowd.order
        assert crowd.order.index("large") <= 5
        await crowd.disperse()

    asyncio.run(work())


def test_what_is_short_does_not_wait_behind_what_is_large() -> None:
    """The large one has its turn when the long one ends, and the short ones have ended by then."""

    async def work() -> None:
        crowd = Crowd(8)
        crowd.add("long", [1], seconds=300)
        await crowd.settle()
        crowd.add("large", [8], seconds=60)
        await crowd.settle()
        crowd.add("large", [1], seconds=60)
        crowd.add("short", [2, 2, 2], seconds=60)
        await crowd.settle()
        assert crowd.order == ["long", "large", "short", "short", "short"]
        for _ in range(5):
            await crowd.end_one()
        assert crowd.order[5:] == ["large"]
        await crowd.disperse()

    asyncio.run(work())


def test_what_is_long_does_not_overtake_what_it_would_keep_waiting() -> None:
    async def work() -> None:
        crowd = Crowd(8)
        crowd.add("long", [2], seconds=300)
        await crowd.settle()
        crowd.add("large", [7], seconds=60)
        await crowd.settle()
        crowd.add("longer", [1, 1], seconds=600)
        await crowd.settle()
        assert crowd.order == ["long", "longer"]  # one is left over beside the large one
        await crowd.end_one()
        assert crowd.order == ["long", "longer", "large"]
        await crowd.disperse()

    asyncio.run(work())


def test_those_that_overtake_are_served_in_turn_too() -> None:
    async def work() -> None:
        crowd = Crowd(4)
        crowd.add("before", [2], seconds=60)
        crowd.add("long", [2], seconds=300)
        await crowd.settle()
        crowd.add("large", [4], seconds=60)
        crowd.add("a", [1] * 9, seconds=60)
        crowd.add("b", [1] * 9, seconds=60)
        await crowd.settle()
        await crowd.end_one()
        assert crowd.order == ["before", "long", "a", "b"]
        await crowd.disperse()

    asyncio.run(work())


def test_who_gives_up_holds_nothing_and_blocks_nobody() -> None:
    async def work() -> None:
        crowd = Crowd(2)
        crowd.add("a", [2, 2])
        await crowd.settle()
        crowd.add("b", [1])
        await crowd.settle()
        crowd._tasks[1].cancel()
        await crowd.end_one()
        assert crowd.order == ["a", "b"]
        await crowd.disperse()
        async with crowd.budget.promise(2, "c"):
            pass

    asyncio.run(work())


def test_more_than_there_is_takes_all_there_is() -> None:
    async def work() -> None:
        async with Budget(2).promise(100, "a"):
            pass

    asyncio.run(work())
