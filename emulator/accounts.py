"""Accounts: a key pair each, with its tier, limits and state. Everything belongs to one."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

MAX_LIMIT = 1_000_000
PUBLIC_KEY = re.compile(r"unsb-pk-[a-z0-9]{4}(-[a-z0-9]{4}){3}")
SECRET_KEY = re.compile(r"unsb-sk-[a-z0-9]{5}(-[a-z0-9]{5}){3}")
SUDO_CODE = re.compile(r"[!-~]{1,31}")
"""What fits into a header, and into what the vendor's client reads from its terminal (un.c)."""


class Status(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


FREE_TIER = "Free"


@dataclass(frozen=True, slots=True)
class Account:
    """One key pair; limits are requests a minute, requests at once (burst), slots.

    With a `sudo_code`, operations that cannot be undone ask for it (`sudo.py`). An `operator` may
    read the emulator's log.
    """

    public_key: str
    secret_key: str
    tier: str = "Tier 3"
    rate_per_minute: int = 60
    burst: int = 10
    concurrency: int = 5
    status: Status = Status.ACTIVE
    expires_at: float | None = None
    sudo_code: str | None = None
    operator: bool = False

    def __post_init__(self) -> None:
        """Refuse what no client could use.

        Raises:
            ValueError: naming the field and its rule.
        """
        if not PUBLIC_KEY.fullmatch(self.public_key):
            raise ValueError("public_key must look like unsb-pk-xxxx-xxxx-xxxx-xxxx")
        if not SECRET_KEY.fullmatch(self.secret_key):
            raise ValueError("secret_key must look like unsb-sk-xxxxx-xxxxx-xxxxx-xxxxx")
        self._check_limits()
        if not 1 <= len(self.tier) <= 64 or not self.tier.isprintable():
            raise ValueError("tier must be 1 to 64 printable characters")
        if self.sudo_code is not None and not SUDO_CODE.fullmatch(self.sudo_code):
            raise ValueError("sudo_code must be 1 to 31 visible ASCII characters")
        if not isinstance(self.operator, bool):
            raise ValueError("operator must be true or false")  # noqa: TRY004 - as its siblings

    def _check_limits(self) -> None:
        for name in ("rate_per_minute", "burst", "concurrency"):
            if not 1 <= getattr(self, name) <= MAX_LIMIT:
                raise ValueError(f"{name} must be from 1 to {MAX_LIMIT}")
        if self.burst * 60 < self.rate_per_minute:
            raise ValueError("burst must be at least a sixtieth of rate_per_minute")

    @property
    def is_free(self) -> bool:
        return self.tier == FREE_TIER

    def __repr__(self) -> str:
        """Never the secret: an account may end up in a log line."""
        return f"Account({self.public_key!r}, {self.tier!r})"


_LONG_AGO = 1_735_689_600.0  # 2025-01-01T00:00:00Z
DEFAULT_ACCOUNT = Account(
    public_key="unsb-pk-test-0000-0000-0001",
    secret_key="unsb-sk-test0-vault-unlck-12345",  # noqa: S106 - public: the documentation's own
    rate_per_minute=600_000,
    burst=20_000,
    concurrency=1000,
    operator=True,
)
"""The key pair of the documentation page's samples, with generous limits."""


def _test_key(name: str, **behaviour: Any) -> Account:  # noqa: ANN401 - fields of Account
    keys = (f"unsb-pk-test-{name}-0000-0001", f"unsb-sk-test0-{name}0-00000-00001")
    fields = {"operator": False, **behaviour}
    return replace(DEFAULT_ACCOUNT, public_key=keys[0], secret_key=keys[1], **fields)


TEST_ACCOUNTS: dict[str, Account] = {
    "default: generous limits": DEFAULT_ACCOUNT,
    "second: another account like the default": _test_key("scnd"),
    "third: one more": _test_key("thrd"),
    "free tier: 403 for what it lacks": _test_key("free", tier=FREE_TIER),
    "tiny rate limit: 429 after 3 requests a minute": _test_key("rate", rate_per_minute=3, burst=3),
    "one slot: 429 for a second execution at once": _test_key("slot", concurrency=1),
    "suspended: 403": _test_key("susp", status=Status.SUSPENDED),
    "expired: 401": _test_key("expd", expires_at=_LONG_AGO),
    "sudo: destructive operations want the code 424242": _test_key("sudo", sudo_code="424242"),
}
"""The documented test keys, each with one behaviour, by what it is for."""
