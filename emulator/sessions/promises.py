"""Memory that sessions are promised: less than they may use, as most of them wait for a person."""

from contextlib import AsyncExitStack, suppress

from emulator.clock import Clock
from emulator.errors import NoCapacity
from emulator.sandbox.limits import Budget
from emulator.stop import Stop


class Promises:
    """Takes `each` bytes of the budget for each vCPU."""

    def __init__(self, budget: Budget, clock: Clock, each: int, queue_seconds: int) -> None:
        self._budget = budget
        self._clock = clock
        self._each = each
        self._queue_seconds = queue_seconds

    async def make(
        self, vcpu: int, owner: str, stop: Stop, seconds: float | None = None
    ) -> AsyncExitStack:
        """Memory for so many vCPUs, until the stack is closed.

        Raises:
            NoCapacity: it was not free in time.
            Stopped: `stop` was requested.
        """
        seconds = self._queue_seconds if seconds is None else seconds
        stack = AsyncExitStack()
        if vcpu == 0:
            return stack
        try:
            async with stop.heeded(self._clock, seconds):
                await stack.enter_async_context(self._budget.promise(vcpu * self._each, owner))
        except TimeoutError:
            raise NoCapacity(
                f"No memory was free within {seconds} seconds; end what is not needed, "
                "or try again later"
            ) from None
        return stack

    async def keep(self, vcpu: int, owner: str) -> AsyncExitStack:
        """What an earlier emulator promised; nothing where the budget is smaller than before."""
        with suppress(NoCapacity):
            return await self.make(vcpu, owner, Stop(), seconds=0.1)
        return AsyncExitStack()
