"""`unsandbox-emulator exec`: any program, with the emulator in the place of the cloud."""

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from emulator.accounts import DEFAULT_ACCOUNT, Account
from emulator.exec import foreground, names, namespace, trust
from emulator.exec.home import mount_point
from emulator.exec.nameserver import SERVICES, answering
from emulator.exec.relay import relaying_to
from emulator.exec.tenancy import Found, emulator_in_use, lock_directory
from emulator.gateway.authority import API_NAMES
from emulator.keys import find_account
from emulator.settings import SETTINGS, SettingError, Settings

_NO_ROOT = """\
exec needs root on Linux for now: it makes mounts that the program alone sees.
Without it, point clients here by their host constant, by ~/.curlrc (connect-to and cacert) or by
variables; docs/clients.md shows how."""


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Run a program; returns its exit status.

    Raises:
        SettingError: it cannot be run so on this machine, or no emulator can be had.
    """
    command = options.command[options.command[:1] == ["--"] :]
    if not command:
        raise SettingError("exec: which program? unsandbox-emulator exec -- PROGRAM ARGUMENTS")
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SettingError(_NO_ROOT)
    account = find_account(settings, options.key or DEFAULT_ACCOUNT.public_key)
    try:
        with ExitStack() as stack:
            found = stack.enter_context(emulator_in_use(settings, _flags(options), _report))
            home = Path(os.environ.get("HOME") or Path.home())
            private = stack.enter_context(mount_point(home))
            mask = stack.enter_context(foreground.signals_held())
            address = stack.enter_context(relaying_to(found.host, found.port))
            resolving = _resolving(address, stack)
            environment = {**os.environ, **_credentials(account), **_without_proxy()}
            environment |= _enter(settings, found, address, private, stack, resolving)
            return foreground.run(command, environment, mask)
    except KeyboardInterrupt:
        return foreground.SIGNALLED + 2


def _resolving(address: str, stack: ExitStack) -> bool:
    """Answer for the names of services; without that, all but these can be reached."""
    try:
        stack.enter_context(answering(address, names.name_servers()))
    except SettingError as error:
        _report(str(error))
        return False
    return True


def _enter(
    settings: Settings,
    found: Found,
    address: str,
    private: Path | None,
    stack: ExitStack,
    resolving: bool,
) -> dict[str, str]:
    """Change what this process and its children see; returns variables for the program."""
    namespace.enter()
    if private is not None:
        namespace.mount_empty(private, 0o700)
        stack.callback(namespace.uncover, private)
    with namespace.covers(lock_directory(settings) / "staging") as covers:
        names.lead_names_to(address, covers)
        if resolving:
            names.ask_for_names_at(address, covers)
        return trust.trust(found.certificate, os.environ, covers)


def _flags(options: argparse.Namespace) -> list[str]:
    given = ((row.flag, getattr(options, row.name)) for row in SETTINGS)
    return [f"{flag}={text}" for flag, text in given if text is not None]


def _credentials(account: Account) -> dict[str, str]:
    return {
        "UNSANDBOX_PUBLIC_KEY": account.public_key,
        "UNSANDBOX_SECRET_KEY": account.secret_key,
    }


def _without_proxy() -> dict[str, str]:
    """The API and services are reached directly, whatever proxy is set."""
    return {
        name: ",".join(filter(None, [os.environ.get(name), *API_NAMES, SERVICES]))
        for name in ("no_proxy", "NO_PROXY")
    }


def _report(line: str) -> None:
    print(f"unsandbox-emulator: {line}", file=sys.stderr, flush=True)
