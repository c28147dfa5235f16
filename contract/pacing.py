"""One token bucket over all traffic to a target, which obeys what the target says of its limits."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from contract.exchange import Exchange, Request, Response
from contract.outcomes import Limited, SendAgain
from contract.state import Meter

__all__ = ["Pacing"]

TOO_MANY = 429
LONGEST_WAIT_SECONDS = 900
"""A server that asks for more than this is not waited for."""

LONGEST_HOLD_SECONDS = 3600
"""After this, a server that asked for a longer pause is asked again."""

SIGNED_SECONDS = 200
"""How long a signed request may wait to be sent, so that its time is right when it comes."""

LIMITED_ON_PURPOSE = frozenset({"rate", "slot"})
"""Accounts whose checks are about being refused."""

_DUE, _HELD = "due", "held until"


class Pacing:
    """Lets requests through at a rate; a gate of the wire.

    The bucket lies in a file, so that families, commands and runs one after the other share it.
    It is kept as one number, the time at which the next request of a steady stream is due.
    """

    def __init__(
        self,
        meter: Meter,
        per_minute: float,
        burst: int = 1,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._meter = meter
        self._interval = 60 / per_minute
        self._lead = (burst - 1) * self._interval
        self._now = now
        self._sleep = sleep

    def before(self, _request: Request) -> None:
        """Wait for a token; raises Limited when that would take too long."""
        while (wait := self._wait()) > 0:
            if wait > LONGEST_WAIT_SECONDS + self._interval:
                raise Limited(f"the server asked for a pause of {wait:.0f} s")
            self._sleep(wait)

    def after(self, exchange: Exchange) -> None:
        """Hold all traffic for as long as an answer asks.

        Raises:
            SendAgain: the request was refused, and may be sent again after a pause.
            Limited: it was refused, and the pause is longer than its signature holds.
        """
        response, operation = exchange.response, exchange.request.operation
        if exchange.request.account in LIMITED_ON_PURPOSE:
            return
        refused = response.status == TOO_MANY
        pause = self._pause(response) if refused or _used_up(response) else 0.0
        if pause:
            with self._meter.turn() as numbers:
                until = self._now() + min(pause, LONGEST_HOLD_SECONDS)
                numbers[_HELD] = max(numbers.get(_HELD, 0.0), until)
        if pause > SIGNED_SECONDS:
            # Whatever is sent next is signed before it waits, so the most of it is waited for here.
            self._sleep(min(pause, LONGEST_WAIT_SECONDS) - SIGNED_SECONDS)
        if refused and operation is not None and TOO_MANY in operation.statuses:
            told = f"the server's limit was reached: {response.text[:200]}"
            raise SendAgain(told) if pause <= SIGNED_SECONDS else Limited(told)

    def _wait(self) -> float:
        """Seconds until a request may go; 0 when it goes now, and has its token."""
        with self._meter.turn() as numbers:
            now, held = self._now(), numbers.get(_HELD, 0.0)
            # A clock that was set back must not hold a run for as long as it was.
            due = min(numbers.get(_DUE, 0.0), now + self._lead + self._interval)
            held = held if held <= now + LONGEST_HOLD_SECONDS else 0.0
            wait = max(due - self._lead, held) - now
            numbers[_DUE] = due if wait > 0 else max(due, now) + self._interval
            return wait

    def _pause(self, response: Response) -> float:
        for read in (_retry_after, _reset):
            seconds = read(response, self._now())
            if seconds is not None:
                return max(seconds, 0.0)
        return self._interval


def _used_up(response: Response) -> bool:
    return response.header("X-RateLimit-Remaining") == "0"


def _retry_after(response: Response, now: float) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3)."""
    value = response.header("Retry-After")
    return None if value is None else _number(value) if value.isdigit() else _until(value, now)


def _reset(response: Response, now: float) -> float | None:
    """X-RateLimit-Reset is in seconds since 1970 by the server's clock, which Date tells."""
    reset, date = _number(response.header("X-RateLimit-Reset")), response.header("Date")
    if reset is None:
        return None
    behind = _until(date, now) if date else None
    return reset - now - (behind or 0.0)


def _number(value: str | None) -> float | None:
    return float(value) if value and value.isdigit() and len(value) < 16 else None


def _until(date: str, now: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return None
