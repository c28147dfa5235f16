"""What an account may do at once (slots) and in a minute (rate)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem

from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import ConcurrencyLimited, RateLimited


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
    """A bucket for each account: so many requests a minute, at most `burst` within a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[Account, InMemoryBucket] = {}

    def take(self, account: Account) -> tuple[Allowance, RateLimited | None]:
        """Count one request; the second value is the refusal where it is one too many."""
        bucket = self._bucket(account)
        now = self._clock.now()
        bucket.leak(now)
        allowed = bucket.put(RateItem("request", now))
        used = bucket.count()
        oldest = bucket.peek(used - 1)
        allowance = Allowance(
            account.rate_per_minute,
            max(0, account.rate_per_minute - used),
            math.ceil(self._clock.time() + _seconds_left(oldest, Duration.MINUTE, now)),
        )
        return allowance, None if allowed else self._refusal(bucket, now)

    def _bucket(self, account: Account) -> InMemoryBucket:
        bucket = self._buckets.get(account)
        if bucket is None:
            rates = [Rate(account.rate_per_minute, Duration.MINUTE)]
            if account.burst < account.rate_per_minute:
                rates.insert(0, Rate(account.burst, Duration.SECOND))
            bucket = self._buckets[account] = InMemoryBucket(rates)
        return bucket

    def _refusal(self, bucket: InMemoryBucket, now: int) -> RateLimited:
        rate = bucket.failing_rate or bucket.rates[-1]
        span = "minute" if rate.interval == Duration.MINUTE else "second"
        error = RateLimited(
            f"This key may send {rate.limit} requests a {span}; "
            "wait until X-RateLimit-Reset, or use a key with a higher rate"
        )
        wait = _seconds_left(bucket.peek(rate.limit - 1), rate.interval, now)
        error.headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return error


def _seconds_left(item: RateItem | None, interval: int | Duration, now: int) -> float:
    """Until `item`, counted `interval` milliseconds ago or later, counts no more."""
    return 0.0 if item is None else max(0, item.timestamp + int(interval) - now) / 1000


class Slots:
    """Counts what runs at once; executions, sessions and services share one number."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def taken(self, account: Account) -> int:
        return self._taken.get(account.public_key, 0)

    @contextmanager
    def hold(self, account: Account) -> Iterator[None]:
        """Take a slot for the block; raises ConcurrencyLimited where none is free."""
        taken = self.taken(account)
        if taken >= account.concurrency:
            raise ConcurrencyLimited(
                f"All {account.concurrency} slots of this key are taken; "
                "wait for an execution to end, or use a key with more slots",
                active_executions=taken,
                concurrency_limit=account.concurrency,
            )
        self._taken[account.public_key] = taken + 1
        try:
            yield
        finally:
            self._release(account)

    def _release(self, account: Account) -> None:
        left = self._taken[account.public_key] - 1
        if left:
            self._taken[account.public_key] = left
        else:
            del self._taken[account.public_key]
