"""What a key may do: `/keys/validate` and `/keys/self`."""

from datetime import UTC, datetime

from emulator.accounts import Account
from emulator.api.call import Call, Json, Reply
from emulator.clock import Clock
from emulator.emulator import Emulator

NEVER = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
"""What a key without an end tells: real clients want a date."""


async def describe_key(emulator: Emulator, call: Call) -> Reply:
    """The sender's own key; refusals (unknown, expired, suspended) were made on the way here."""
    return Reply(key_document(call.account, emulator.clock))


def key_document(account: Account, clock: Clock) -> Json:
    """Both spellings of each limit: the documentation's and the ones that clients read."""
    expires_at = NEVER if account.expires_at is None else account.expires_at
    seconds = max(0, int(expires_at - clock.time()))
    return {
        "valid": True,
        "status": "valid",
        "expired": False,
        "public_key": account.public_key,
        "tier": account.tier,
        "rate_per_minute": account.rate_per_minute,
        "rate_limit": account.rate_per_minute,
        "burst": account.burst,
        "concurrency_limit": account.concurrency,
        "concurrency": account.concurrency,
        "expires_at": clock.isoformat(expires_at),
        "valid_through_datetime": clock.isoformat(expires_at),
        "valid_for_human": f"{seconds // 86_400} days",
        "time_remaining": f"{seconds // 86_400} days",
    }
