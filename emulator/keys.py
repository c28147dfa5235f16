"""`unsandbox-emulator keys`: list, create and revoke accounts, also while an emulator runs."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import msgspec

from emulator import ids
from emulator.accounts import TEST_ACCOUNTS, Account, Status
from emulator.clock import Clock
from emulator.settings import SettingError, Settings
from emulator.store.accounts import AccountStore, open_accounts
from emulator.store.database import Database
from emulator.store.secrets import SecretBox, load_key

_DAY = 86_400
_COLUMNS = ("PUBLIC KEY", "TIER", "RATE/MIN", "BURST", "SLOTS", "STATE", "PURPOSE")


@contextmanager
def _accounts(settings: Settings) -> Iterator[AccountStore]:
    with Database(settings.data_dir) as database:
        store = open_accounts(settings, database, SecretBox(load_key(settings.key_file)))
        try:
            yield store
        finally:
            store.close()


def find_account(settings: Settings, public_key: str) -> Account:
    """The account of a key, one of those that an emulator of these settings offers.

    Raises:
        SettingError: there is none.
    """
    with _accounts(settings) as store:
        account = store.get(public_key)
    if account is None:
        raise SettingError(f"there is no key {public_key}; see: unsandbox-emulator keys list")
    return account


def list_keys(settings: Settings, options: argparse.Namespace) -> int:
    """Print every account: a table, or JSON for programs. Secrets only of the public test keys."""
    clock = Clock()
    with _accounts(settings) as store:
        accounts = store.all()
    if options.json:
        rows = [_document(account, clock) for account in accounts]
        print(msgspec.json.encode(rows).decode())
        return 0
    table = [_COLUMNS, *(_row(account, clock) for account in accounts)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_COLUMNS))]
    for row in table:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    return 0


def create_key(settings: Settings, options: argparse.Namespace) -> int:
    """Make an account and print its key pair: the only time that its secret is shown."""
    clock = Clock()
    given = {field.name: getattr(options, field.name, None) for field in fields(Account)}
    expires_at = None if options.days is None else clock.time() + options.days * _DAY
    values = {name: value for name, value in given.items() if value is not None}
    values |= {"public_key": ids.public_key(), "secret_key": ids.secret_key()}
    try:
        account = Account(**values, expires_at=expires_at)
    except ValueError as error:
        raise SettingError(f"keys create: {error}") from None
    with _accounts(settings) as store:
        store.save(account, clock.time())
    print(f"export UNSANDBOX_PUBLIC_KEY={account.public_key}")
    print(f"export UNSANDBOX_SECRET_KEY={account.secret_key}")
    return 0


def revoke_key(settings: Settings, options: argparse.Namespace) -> int:
    """Refuse a key from now on, in a running emulator too."""
    with _accounts(settings) as store:
        if not store.revoke(options.public_key, Clock().time()):
            raise SettingError(f"keys revoke: no key {options.public_key!r}; see: keys list")
    print(f"Revoked {options.public_key}.")
    return 0


def _state(account: Account, clock: Clock) -> str:
    if account.status is not Status.ACTIVE:
        return account.status.value
    expired = account.expires_at is not None and account.expires_at <= clock.time()
    return "expired" if expired else "active"


def _purpose(account: Account) -> str:
    found = (name for name, test in TEST_ACCOUNTS.items() if test == account)
    return next(found, "")


def _row(account: Account, clock: Clock) -> tuple[str, ...]:
    limits = (account.rate_per_minute, account.burst, account.concurrency)
    return (
        account.public_key,
        account.tier,
        *map(str, limits),
        _state(account, clock),
        _purpose(account),
    )


def _document(account: Account, clock: Clock) -> dict[str, object]:
    document: dict[str, object] = {
        "public_key": account.public_key,
        "tier": account.tier,
        "rate_per_minute": account.rate_per_minute,
        "burst": account.burst,
        "concurrency": account.concurrency,
        "state": _state(account, clock),
    }
    if purpose := _purpose(account):
        document |= {"purpose": purpose, "secret_key": account.secret_key}
    if account.expires_at is not None:
        document["expires_at"] = clock.isoformat(account.expires_at)
    return document
