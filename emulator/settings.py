"""Settings are data: one table gives the flags, the environment variables and the documentation.

Precedence: command line, environment (`UNSANDBOX_EMULATOR_<NAME>`), default.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ENV_PREFIX = "UNSANDBOX_EMULATOR_"

ISOLATION = ("reuse", "container")
"""What may separate two runs."""

_HOST_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.IGNORECASE)


class SettingError(ValueError):
    """A setting cannot be used; the message names it, its source and the rule."""


def _xdg(variable: str, fallback: str) -> Path:
    root = os.environ.get(variable) or str(Path.home() / fallback)
    return Path(root) / "unsandbox-emulator"


def _port(text: str) -> int:
    return _within(0, 65_535)(text)


def _within(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return parse


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "": False}
    try:
        return words[text.strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.replace(",", " ").split() if name)


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.IPv4Address(name)) for name in _names(text))


def _destinations(text: str) -> tuple[str, ...]:
    for name in _names(text):
        if _HOST_NAME.fullmatch(name) is None:
            ipaddress.IPv4Network(name)
    return _names(text)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("must be http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must have no path")
    return text.rstrip("/")


def _port_range(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    low, _, high = text.partition("-")
    numbers = range(_port(low), _port(high or low) + 1)
    if not numbers or not numbers[0]:
        raise ValueError("must be LOW-HIGH, from 1 to 65535")
    return tuple(numbers)


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def _path(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _optional_path(text: str) -> Path | None:
    return _path(text) if text else None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: `parse` turns text into the value and raises ValueError with the rule."""

    name: str
    parse: Callable[[str], Any]
    default: Callable[[], Any]
    help: str
    metavar: str = "VALUE"

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.name.upper()


def _fixed(value: object) -> Callable[[], object]:
    return lambda: value


SETTINGS: tuple[Setting, ...] = (
    Setting("host", str, _fixed("127.0.0.1"), "address that the API listens on", "ADDR"),
    Setting("port", _port, _fixed(8042), "port of the API; 0 takes a free one", "PORT"),
    Setting(
        "tls_port", _port, _fixed(8443), "port of the API over TLS; 0 takes a free one", "PORT"
    ),
    Setting(
        "admin_host",
        str,
        _fixed("127.0.0.1"),
        "address of /_emulator/*; keep it on loopback",
        "ADDR",
    ),
    Setting("admin_port", _port, _fixed(8043), "port of /_emulator/*; 0 takes a free one", "PORT"),
    Setting(
        "data_dir",
        _path,
        lambda: _xdg("XDG_DATA_HOME", ".local/share"),
        "where state is kept",
        "DIR",
    ),
    Setting(
        "key_file",
        _path,
        lambda: _xdg("XDG_CONFIG_HOME", ".config") / "secret.key",
        "key that encrypts stored secrets; made on first start, mode 0600",
        "FILE",
    ),
    Setting(
        "ca_dir",
        _path,
        lambda: _xdg("XDG_CONFIG_HOME", ".config") / "ca",
        "where the local certificate authority is kept; made on first start",
        "DIR",
    ),
    Setting("seed_file", _optional_path, _fixed(None), "TOML file of accounts to offer", "FILE"),
    Setting(
        "languages",
        _names,
        _fixed(()),
        "languages built at start and kept warm; others are built on first use",
        "NAMES",
    ),
    Setting(
        "strict",
        _switch,
        _fixed(False),
        "refuse the aliases and imprecise signatures of real clients",
        "BOOL",
    ),
    Setting("test_keys", _switch, _fixed(True), "offer the documented test keys", "BOOL"),
    Setting(
        "allowed_hosts",
        _names,
        _fixed(()),
        "further host names that requests may be addressed to",
        "NAMES",
    ),
    Setting(
        "public_url",
        _url,
        _fixed(""),
        "where clients reach the API, for URLs in answers; empty: as they asked for it",
        "URL",
    ),
    Setting(
        "isolation",
        _choice(*ISOLATION),
        _fixed("reuse"),
        "what separates two runs: reuse cleans their container, container gives each its own",
        "MODE",
    ),
    Setting("pool_size", _within(0, 64), _fixed(2), "warm containers kept for each language", "N"),
    Setting(
        "pool_idle",
        _within(1, 86_400),
        _fixed(60),
        "seconds that containers beyond pool_size wait for another run",
        "SECONDS",
    ),
    Setting(
        "start_concurrency",
        _within(1, 64),
        _fixed(4),
        "containers started at the same time for programs, and as many for sessions",
        "N",
    ),
    Setting(
        "memory_budget",
        _within(0, 1 << 24),
        _fixed(0),
        "MiB that running sandboxes may be promised together; 0: three quarters of the machine",
        "MIB",
    ),
    Setting(
        "session_memory",
        _within(16, 2048),
        _fixed(256),
        "MiB of memory_budget that a session takes for each vCPU, though it may use 2048",
        "MIB",
    ),
    Setting(
        "service_network",
        _choice("zerotrust", "semitrusted"),
        _fixed("zerotrust"),
        "network_mode of services whose request names none",
        "MODE",
    ),
    Setting(
        "service_ports",
        _port_range,
        _fixed(()),
        "ports of this machine for services that speak no HTTP; empty: any free ones",
        "LOW-HIGH",
    ),
    Setting(
        "service_idle",
        _within(0, 1 << 24),
        _fixed(0),
        "seconds after which a service that nobody uses is frozen until a request comes; 0: never",
        "SECONDS",
    ),
    Setting(
        "session_disk",
        _within(16, 1 << 24),
        _fixed(8192),
        "MiB that a session or service may write to its disk before it is frozen",
        "MIB",
    ),
    Setting(
        "disk_floor",
        _within(0, 1 << 24),
        _fixed(2048),
        "MiB of the engine's disk that stay free: below, sessions and services are frozen",
        "MIB",
    ),
    Setting(
        "queue_timeout",
        _within(1, 3600),
        _fixed(300),
        "seconds that a request waits for a container before it is answered 503",
        "SECONDS",
    ),
    Setting(
        "compile_cache",
        _within(0, 1 << 20),
        _fixed(64),
        "MiB of compiled programs kept in memory, each for its account alone; 0 keeps none",
        "MIB",
    ),
    Setting(
        "job_retention",
        _within(60, 30 * 86_400),
        _fixed(86_400),
        "seconds that finished jobs can be read",
        "SECONDS",
    ),
    Setting(
        "job_store",
        _within(16, 1 << 20),
        _fixed(512),
        "MiB of disk for results of finished jobs; the oldest of who holds most are dropped",
        "MIB",
    ),
    Setting(
        "pending_jobs",
        _within(1, 100_000),
        _fixed(2000),
        "jobs of one account that may wait for their start; further ones are answered 429",
        "N",
    ),
    Setting(
        "pending_memory",
        _within(32, 1 << 20),
        _fixed(256),
        "MiB of code and files that the waiting jobs of one account may hold together",
        "MIB",
    ),
    Setting(
        "journal_size",
        _within(0, 100_000),
        _fixed(1000),
        "requests that GET /_emulator/requests remembers",
        "N",
    ),
    Setting(
        "egress_allow",
        _destinations,
        _fixed(()),
        "addresses, networks and host names that semitrusted programs may reach, though private",
        "NAMES",
    ),
    Setting(
        "egress_dns",
        _addresses,
        _fixed(()),
        "name servers that the egress proxy asks; empty means those of the engine",
        "ADDRS",
    ),
    Setting(
        "fault_header",
        _switch,
        _fixed(True),
        "let requests ask for a fault of their own, by the header X-Emulator-Fault",
        "BOOL",
    ),
    Setting(
        "extra_ca",
        _optional_path,
        _fixed(None),
        "CA certificates that image builds trust too, behind an inspecting proxy",
        "FILE",
    ),
    Setting(
        "check_responses",
        _choice("off", "open", "closed"),
        _fixed("off"),
        "validate every answer against openapi.yaml; closed refuses undeclared fields too",
        "MODE",
    ),
    Setting(
        "log_level",
        _choice("debug", "info", "warning", "error"),
        _fixed("info"),
        "least severe message that is logged",
        "LEVEL",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of SETTINGS, one attribute a row."""

    host: str
    port: int
    tls_port: int
    admin_host: str
    admin_port: int
    data_dir: Path
    key_file: Path
    ca_dir: Path
    seed_file: Path | None
    languages: tuple[str, ...]
    strict: bool
    test_keys: bool
    allowed_hosts: tuple[str, ...]
    public_url: str
    isolation: str
    pool_size: int
    pool_idle: int
    start_concurrency: int
    memory_budget: int
    session_memory: int
    service_network: str
    service_ports: tuple[int, ...]
    service_idle: int
    session_disk: int
    disk_floor: int
    queue_timeout: int
    compile_cache: int
    job_retention: int
    job_store: int
    pending_jobs: int
    pending_memory: int
    journal_size: int
    egress_allow: tuple[str, ...]
    egress_dns: tuple[str, ...]
    fault_header: bool
    extra_ca: Path | None
    check_responses: str
    log_level: str

    @property
    def own_hosts(self) -> tuple[str, ...]:
        """Host names of the API beside those that it has anywhere."""
        public = urlsplit(self.public_url).hostname
        return (*self.allowed_hosts, *([public] if public else []))

    @classmethod
    def load(
        cls, flags: Mapping[str, str | None], environment: Mapping[str, str] | None = None
    ) -> "Settings":
        """Read every row from `flags` (by name), else the environment, else its default.

        Raises:
            SettingError: a text that its row does not take, or an unknown variable with our prefix.
        """
        environment = os.environ if environment is None else environment
        known = {row.variable for row in SETTINGS} | RESERVED
        for variable in environment:
            if variable.startswith(ENV_PREFIX) and variable not in known:
                raise SettingError(f"{variable} is not a setting")
        values: dict[str, Any] = {row.name: _value(row, flags, environment) for row in SETTINGS}
        return cls(**values)


RESERVED = frozenset({ENV_PREFIX + "MASTER_KEY"})
"""Variables with our prefix that are no settings: secrets do not go on command lines."""


def _value(row: Setting, flags: Mapping[str, str | None], env: Mapping[str, str]) -> object:
    flag, variable = flags.get(row.name), env.get(row.variable)
    source, text = (row.flag, flag) if flag is not None else (row.variable, variable)
    if text is None:
        return row.default()
    try:
        return row.parse(text)
    except ValueError as error:
        raise SettingError(f"{source}: {text!r}: {error}") from None


assert [row.name for row in SETTINGS] == [field.name for field in fields(Settings)]  # noqa: S101
