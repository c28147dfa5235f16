"""What a run is pointed at: a server, and the accounts that the suite has there."""

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from contract.signing import Credentials

__all__ = [
    "CLOUD",
    "EMULATOR",
    "MAIN",
    "REAL_OPT_IN",
    "Target",
    "TargetError",
    "control_surface",
    "is_cloud",
    "named",
    "resolve",
    "with_some_key",
]

MAIN = "main"
"""The account that everything is done with that says nothing else."""

ROLES = {
    MAIN: "does everything that says nothing else",
    "second": "another account, with the same rights",
    "third": "a third one",
    "free": "on the free tier: 403 for what that lacks",
    "rate": "with a rate limit of a few requests a minute",
    "slot": "with one slot: a second execution at once is refused",
    "suspended": "suspended: 403",
    "expired": "expired: 401",
    "sudo": "destructive operations want a one-time code",
}
"""The accounts that checks ask for, and what each has to be like."""

CLOUD_NAMES = ("unsandbox.com",)
"""Whatever ends in one of these is the real service, however it is named on the command line."""

CLOUD_SERVICES = ".on.unsandbox.com"
"""How the host names end under which services of the real service are visited."""

REAL_OPT_IN = "UNSANDBOX_CONTRACT_REAL"
"""The second of two opt-ins to the real service: this variable, with the value `yes`."""

_TARGET_FIELDS = frozenset({"url", "real", "admin", "sudo_code", "accounts", "vcpu_minute_price"})
_ACCOUNT_FIELDS = frozenset({"public_key", "secret_key", "secret_env"})


class TargetError(ValueError):
    """A target cannot be used as it is given; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the suite's accounts there, by role.

    `real` says that it is somebody's service, which costs and keeps; `admin` is the address of an
    emulator's control surface; `sudo_code` answers the challenges of the account `sudo`;
    `vcpu_minute_price` is what a vCPU costs for a minute, in any currency.
    """

    name: str
    url: str
    real: bool
    accounts: Mapping[str, Credentials] = field(default_factory=dict)
    admin: str | None = None
    sudo_code: str | None = None
    vcpu_minute_price: float = 1.0

    @property
    def host(self) -> str:
        return _host(self.url)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that a run may connect to; a name with a dot before it ends any name."""
        further = (_host(self.admin),) if self.admin else ()
        services = (CLOUD_SERVICES,) if is_cloud(self.host) else ()
        return (self.host, *further, *services)


def _emulator_account(name: str) -> Credentials:
    return Credentials(f"unsb-pk-test-{name}-0000-0001", f"unsb-sk-test0-{name}0-00000-00001")


_EMULATOR_ACCOUNTS = {
    MAIN: Credentials("unsb-pk-test-0000-0000-0001", "unsb-sk-test0-vault-unlck-12345"),
    "second": _emulator_account("scnd"),
    "third": _emulator_account("thrd"),
    "free": _emulator_account("free"),
    "rate": _emulator_account("rate"),
    "slot": _emulator_account("slot"),
    "suspended": _emulator_account("susp"),
    "expired": _emulator_account("expd"),
    "sudo": _emulator_account("sudo"),
}
"""The test keys that every emulator has; they are public."""

EMULATOR = Target(
    "emulator",
    "http://127.0.0.1:8042",
    real=False,
    accounts=_EMULATOR_ACCOUNTS,
    admin="http://127.0.0.1:8043",
    sudo_code="424242",
)
CLOUD = Target("real", "https://api.unsandbox.com", real=True)
_BUILT_IN = {EMULATOR.name: EMULATOR, CLOUD.name: CLOUD}


def named(name: str, file: Path | None = None) -> Target:
    """A target by its name alone: built in, or of the file.

    Raises:
        TargetError: there is none, or its description is wrong.
    """
    known = {**_BUILT_IN, **(read_targets(file) if file else {})}
    if name not in known:
        raise TargetError(f"there is no target {name}; there are: {', '.join(sorted(known))}")
    return known[name]


def resolve(name: str | None, url: str | None, file: Path | None = None) -> Target:
    """The target of a command line: one by name, or any URL, or a named one at another URL.

    It may not be spoken to yet: `contract.consent` decides that.

    An account that the file does not give comes from UNSANDBOX_PUBLIC_KEY and
    UNSANDBOX_SECRET_KEY (main) or UNSANDBOX_<ROLE>_PUBLIC_KEY and so on; a server on loopback has
    the emulator's test keys, and its one-time code, otherwise.

    Raises:
        TargetError: there is no such target, or its description is wrong.
    """
    target = named(name, file) if name else _of_url(url) if url else EMULATOR
    if url:
        target = replace(target, url=_checked_url(url))
    real = target.real or is_cloud(target.host)
    defaults = _defaults(target)
    accounts = {**defaults, **_from_environment(), **target.accounts}
    sudo_code = target.sudo_code or (EMULATOR.sudo_code if defaults else None)
    return replace(target, real=real, accounts=accounts, sudo_code=sudo_code)


def with_some_key(target: Target) -> Target:
    """A target whose main account has a key, be it none: for where nothing is sent."""
    return replace(target, accounts={MAIN: Credentials("none", "none"), **target.accounts})


def _of_url(url: str) -> Target:
    host = _host(_checked_url(url))
    return Target(host, url, real=not _is_loopback(host))


def _defaults(target: Target) -> Mapping[str, Credentials]:
    return _EMULATOR_ACCOUNTS if _is_loopback(target.host) and not target.real else {}


def _from_environment() -> dict[str, Credentials]:
    found = {
        role: Credentials.from_environment(
            "UNSANDBOX" if role == MAIN else f"UNSANDBOX_{role.upper()}"
        )
        for role in ROLES
    }
    return {role: credentials for role, credentials in found.items() if credentials}


def _host(url: str) -> str:
    """The host that a request to `url` goes to, as the client will write it: IDNA, no last dot."""
    return httpx.URL(url).raw_host.decode("ascii").lower().rstrip(".")


def _checked_url(url: str) -> str:
    try:
        parts, host = urlsplit(url), _host(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise TargetError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise TargetError(f"{url!r} is no URL of a server; write http://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise TargetError(f"{url!r} has a path; signatures cover paths, so it has to be left out")
    if parts.username or parts.password:
        raise TargetError("a URL must not carry a name or a password")
    return url.rstrip("/")


def is_cloud(host: str) -> bool:
    """Whether a host belongs to the real service, whatever a target says of itself."""
    bare = host.lower().rstrip(".")
    return any(bare == name or bare.endswith(f".{name}") for name in CLOUD_NAMES)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def read_targets(file: Path) -> dict[str, Target]:
    """The `[targets.NAME]` tables of a TOML file.

    Raises:
        TargetError: naming the file, the key and its rule.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("targets", {})
    except OSError as error:
        raise TargetError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{file} is not TOML: {error}") from None
    return {name: _target(f"{file}: targets.{name}", name, table) for name, table in tables.items()}


def _target(where: str, name: str, table: Mapping[str, Any]) -> Target:
    _refuse_unknown(where, table, _TARGET_FIELDS)
    if not isinstance(table.get("url"), str):
        raise TargetError(f"{where}: url is missing")
    url = _checked_url(table["url"])
    return Target(
        name,
        url,
        real=bool(table.get("real", not _is_loopback(_host(url)))),
        accounts={
            role: _account(f"{where}.accounts.{role}", role, account)
            for role, account in table.get("accounts", {}).items()
        },
        admin=control_surface(where, table.get("admin")),
        sudo_code=table.get("sudo_code"),
        vcpu_minute_price=_price(where, table.get("vcpu_minute_price", 1.0)),
    )


def _price(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise TargetError(f"{where}: vcpu_minute_price is a number of more than 0")
    return float(value)


def control_surface(where: str, url: object) -> str | None:
    """The address of an emulator's control surface, which a real service has none of.

    Raises:
        TargetError: it is no address, or one of a real service.
    """
    if url is None:
        return None
    if not isinstance(url, str) or is_cloud(_host(_checked_url(url))):
        raise TargetError(f"{where}: admin is the address of an emulator's control surface")
    return _checked_url(url)


def _account(where: str, role: str, table: Mapping[str, Any]) -> Credentials:
    if role not in ROLES:
        raise TargetError(f"{where}: there is no such role; there are: {', '.join(ROLES)}")
    _refuse_unknown(where, table, _ACCOUNT_FIELDS)
    secret = table.get("secret_key") or os.environ.get(table.get("secret_env", ""), "")
    if not table.get("public_key") or not secret:
        raise TargetError(f"{where}: {_lacking(table)}")
    return Credentials(table["public_key"], secret)


def _lacking(table: Mapping[str, Any]) -> str:
    name = table.get("secret_env", "")
    # A secret that stands there by mistake is no identifier, and is not repeated.
    if table.get("public_key") and name.isidentifier():
        return f"the environment variable {name} (secret_env) is not set"
    return "public_key and secret_key (or secret_env) are needed"


def _refuse_unknown(where: str, table: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise TargetError(f"{where}: unknown key {unknown[0]}; known: {', '.join(sorted(known))}")
