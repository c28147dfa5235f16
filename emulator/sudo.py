"""One-time codes for what cannot be undone: a 428 gives a challenge, and the code answers it once.

A real service mails a new code with each challenge. Here the code of an account stays the same, so
that tests know it; everything else is as it would be. In the place of the mail, whoever runs the
emulator finds the codes in its log and on its admin surface, and nobody over the API.
"""

import hmac
import logging
from dataclasses import dataclass

from emulator import ids
from emulator.accounts import Account
from emulator.clock import Clock
from emulator.errors import SudoRequired
from emulator.log import NOBODY, masked

logger = logging.getLogger(__name__)

LIFETIME = 300
"""Seconds in which a challenge can be answered: the time to read a mail."""

TRIES = 3
"""Wrong codes that end a challenge: a person may mistype twice; a code has six digits."""

MAX_OPEN = 100
"""Challenges of an account that wait for their code; the oldest gives way to the next."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be confirmed: an operation on the thing that its path parameters name."""

    operation: str
    path: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a request says to a challenge; some clients send the code alone."""

    code: str
    challenge: str = ""


@dataclass(slots=True)
class _Challenge:
    id: str
    account: Account
    action: Action
    ends: float
    tries: int = TRIES


class Challenges:
    """The open challenges of every account, by identifier, the oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, dict[str, _Challenge]] = {}

    def confirm(self, account: Account, action: Action, answer: Confirmation | None) -> None:
        """Let pass who answers an open challenge of this very action, which is used up by that.

        Accounts without a code pass. An answer that names no challenge is for the newest one.

        Raises:
            SudoRequired: with the challenge to answer, a new one where none is open.
        """
        if account.sudo_code is None:
            return
        challenges = self._current(account)
        if answer is None:
            raise self._asked(challenges, account, action, "This wants a one-time code")
        challenge = _asked_before(challenges, action, answer.challenge)
        if challenge is None:
            reason = "No such challenge is open for this operation"
            raise self._asked(challenges, account, action, reason)
        if _same(answer.code, account.sudo_code):
            del challenges[challenge.id]
            return
        challenge.tries -= 1
        if challenge.tries:
            raise _refusal("The code is wrong", challenge)
        del challenges[challenge.id]
        reason = f"{TRIES} codes were wrong; the challenge has ended"
        raise self._asked(challenges, account, action, reason)

    def open(self) -> list[dict[str, object]]:
        """Those of all accounts that wait for their code, the newest first, with their codes."""
        now = self._clock.monotonic()
        waiting = [one for its in self._open.values() for one in its.values() if one.ends > now]
        return [self._shown(one) for one in sorted(waiting, key=lambda it: -it.ends)]

    def clear(self) -> None:
        """Forget every challenge."""
        self._open.clear()

    def _current(self, account: Account) -> dict[str, _Challenge]:
        """Those of an account that have not expired."""
        challenges = self._open.setdefault(account.public_key, {})
        now = self._clock.monotonic()
        for old in [one.id for one in challenges.values() if one.ends <= now]:
            del challenges[old]
        return challenges

    def _asked(
        self, challenges: dict[str, _Challenge], account: Account, action: Action, reason: str
    ) -> SudoRequired:
        if len(challenges) == MAX_OPEN:
            del challenges[next(iter(challenges))]
        ends = self._clock.monotonic() + LIFETIME
        challenge = _Challenge(ids.challenge_id(), account, action, ends)
        challenges[challenge.id] = challenge
        logger.info(
            "%s of %s by %s waits for the one-time code %s, challenge %s",
            *(action.operation, _things(action), account.public_key),
            *(account.sudo_code, challenge.id),
            extra={"account": NOBODY},
        )
        return _refusal(reason, challenge)

    def _shown(self, challenge: _Challenge) -> dict[str, object]:
        left = challenge.ends - self._clock.monotonic()
        return {
            "id": challenge.id,
            "account": challenge.account.public_key,
            "operation": challenge.action.operation,
            "resource": masked(_things(challenge.action)),
            "code": challenge.account.sudo_code,
            "tries_left": challenge.tries,
            "expires_at": self._clock.isoformat(self._clock.time() + left),
        }


def _things(action: Action) -> str:
    """What its path names: one thing, for every operation that there is."""
    return ", ".join(value for _, value in sorted(action.path))


def _asked_before(
    challenges: dict[str, _Challenge], action: Action, challenge_id: str
) -> _Challenge | None:
    """The challenge of this identifier, or the newest, if it is for this action."""
    mine = (one for one in reversed(challenges.values()) if one.action == action)
    return next((one for one in mine if challenge_id in ("", one.id)), None)


def _same(given: str, code: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), code.encode())


def _refusal(reason: str, challenge: _Challenge) -> SudoRequired:
    return SudoRequired(
        f"{reason}; send the request again within {LIFETIME // 60} minutes, signed anew, with the "
        "code of this key in X-Sudo-OTP and the challenge_id in X-Sudo-Challenge",
        challenge_id=challenge.id,
    )
