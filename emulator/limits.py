"""What an account may do at once (slots) and in a minute (rate)."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from pyrate_limiter import Duration, Rate, RateItem, StateBucket, TokenBucket

from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import ConcurrencyLimited, RateLimited
from emulator.stop import Stop


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the rate-limit headers tell: requests a minute, left, Unix second of the reset."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class RateLimits:
    """Two token buckets for each account: one holds a minute of requests, one a burst of them.

    The first is refilled by `rate_per_minute` a minute, the second by `burst` a second.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[Account, StateBucket] = {}

    def take(self, account: Account) -> tuple[Allowance, RateLimited | None]:
        """Count one request; the second value is the refusal where it is one too many."""
        bucket = self._buckets.get(account)
        if bucket is None:
            bucket = self._buckets[account] = self._bucket(account)
        now = self._clock.now()
        item = RateItem("request", now)
        refusal = None if bucket.put(item) else _refusal(bucket, item)
        return self._allowance(account, bucket, now), refusal

    def clear(self) -> None:
        """Forget every request that was counted."""
        self._buckets.clear()

    def _bucket(self, account: Account) -> StateBucket:
        rates = [Rate(account.rate_per_minute, Duration.MINUTE)]
        if account.burst < account.rate_per_minute:
            rates.insert(0, Rate(account.burst, Duration.SECOND))
        return StateBucket(rates, TokenBucket(), clock=self._clock)

    def _allowance(self, account: Account, bucket: StateBucket, now: int) -> Allowance:
        """As of `now`, in milliseconds: a moment later what was just used may be refilled."""
        minute = bucket.rates[-1:]
        state = tuple(bucket.store.read(bucket.algorithm, bucket.rates))[-1:]  # type: ignore[arg-type]
        used = bucket.algorithm.consumed(minute, state, now)
        refilled = self._clock.time() + used * 60 / account.rate_per_minute
        remaining = max(0, account.rate_per_minute - used)
        return Allowance(account.rate_per_minute, remaining, math.ceil(refilled))


def _refusal(bucket: StateBucket, item: RateItem) -> RateLimited:
    rate = bucket.failing_rate or bucket.rates[-1]
    span = "minute" if rate.interval == Duration.MINUTE.value else "second"
    error = RateLimited(
        f"This key may send {rate.limit} requests a {span}; "
        "wait as long as Retry-After says, or use a key with a higher rate"
    )
    milliseconds = bucket.waiting(item)
    assert isinstance(milliseconds, int)  # noqa: S101 - the store is in memory, not awaitable
    error.headers["Retry-After"] = str(max(1, math.ceil(milliseconds / 1000)))
    return error


class Slots:
    """Counts what runs at once; executions, sessions and services share one number."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def taken(self, account: Account) -> int:
        return self._taken.get(account.public_key, 0)

    @contextmanager
    def hold(self, account: Account) -> Iterator[None]:
        """Take a slot for the block; raises ConcurrencyLimited where none is free."""
        self.take(account)
        try:
            yield
        finally:
            self.give_back(account.public_key)

    def take(self, account: Account, count: int = 1) -> None:
        """Take slots until they are given back; raises ConcurrencyLimited for too few."""
        taken = self.taken(account)
        if taken + count > account.concurrency:
            raise ConcurrencyLimited(
                f"{taken} of the {account.concurrency} slots of this key are taken, and this "
                f"takes {count}; wait for an execution to end, end or freeze a session or "
                "service, or use a key with more slots",
                active_executions=taken,
                concurrency_limit=account.concurrency,
            )
        self._taken[account.public_key] = taken + count

    def resume(self, public_key: str, count: int) -> None:
        """Slots that were taken before a restart are taken again, however many the key has now."""
        if count:
            self._taken[public_key] = self._taken.get(public_key, 0) + count

    def give_back(self, public_key: str, count: int = 1) -> None:
        """The opposite of `take`."""
        for _ in range(count):
            self._release(public_key)

    @asynccontextmanager
    async def wait(self, account: Account, stop: Stop, clock: Clock) -> AsyncIterator[None]:
        """Take a slot for the block, waiting for one; who waits longest is served first.

        Raises:
            Stopped: `stop` was requested meanwhile.
        """
        async with stop.heeded(clock, None):
            await self._turn(account)
        try:
            yield
        finally:
            self._release(account.public_key)

    async def _turn(self, account: Account) -> None:
        key, taken = account.public_key, self.taken(account)
        if taken < account.concurrency:
            self._taken[key] = taken + 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, deque())
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._release(key)
            elif turn in waiting:
                waiting.remove(turn)
            raise

    def _release(self, key: str) -> None:
        """Pass a slot on to who waits for one, else give it back."""
        waiting = self._waiting.get(key, deque())
        while waiting:
            turn = waiting.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._waiting.pop(key, None)
        left = self._taken[key] - 1
        if left:
            self._taken[key] = left
        else:
            del self._taken[key]


class Holding:
    """The slots of one session or service. When that has ended it has none, and takes none."""

    def __init__(self, slots: Slots, public_key: str) -> None:
        self._slots = slots
        self._public_key = public_key
        self._count = 0
        self._ended = False

    def take(self, account: Account, count: int = 1) -> None:
        """Take more; raises ConcurrencyLimited where too few are free."""
        if not self._ended:
            self._slots.take(account, count)
            self._count += count

    def resume(self, count: int) -> None:
        """Take what was held before a restart."""
        self._slots.resume(self._public_key, count)
        self._count += count

    def give_back(self, count: int) -> None:
        """Of those that are held; there may be fewer by now."""
        given = min(count, self._count)
        self._count -= given
        self._slots.give_back(self._public_key, given)

    def end(self) -> None:
        """Give all of them back, for good."""
        self._ended = True
        self.give_back(self._count)
