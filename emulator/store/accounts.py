"""Where accounts come from: the built-in test keys, a seed file, and the data directory."""

import sqlite3
import tomllib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, insert, select

from emulator.accounts import TEST_ACCOUNTS, Account, Status
from emulator.settings import SettingError, Settings
from emulator.store.database import Database
from emulator.store.secrets import SecretBox
from emulator.store.tables import accounts

_REVOKED = "revoked"
_FIELDS = frozenset(
    {"public_key", "secret_key", "tier", "rate_per_minute", "burst", "concurrency", "status"}
    | {"expires_at", "sudo_code", "operator"}
)


class AccountStore:
    """Accounts by public key; sees at once what `unsandbox-emulator keys` writes beside it.

    A stored row wins over a seeded account, a seeded one over a built-in; a revoked row hides both.
    """

    def __init__(self, database: Database, box: SecretBox, given: Iterable[Account] = ()) -> None:
        self._database = database
        self._box = box
        self._given = {account.public_key: account for account in given}
        self._known: dict[str, Account] = {}
        self._version = -1
        self._contents: list[object] | None = None
        self._watch = sqlite3.connect(database.path, check_same_thread=False)

    def close(self) -> None:
        self._watch.close()

    def get(self, public_key: str) -> Account | None:
        """The account of a key, or None when there is none or it was revoked."""
        self._refresh()
        return self._known.get(public_key)

    def all(self) -> list[Account]:
        """Every account that a request could use now."""
        self._refresh()
        return sorted(self._known.values(), key=lambda account: account.public_key)

    def save(self, account: Account, created_at: float) -> None:
        """Store or replace an account; its secret is encrypted."""
        self._replace(account, account.status.value, created_at)

    def revoke(self, public_key: str, at: float) -> bool:
        """Refuse a key from now on; False when it is not known. Its id is never used again."""
        account = self.get(public_key)
        if account is None:
            return False
        self._replace(account, _REVOKED, at)
        return True

    def _replace(self, account: Account, status: str, at: float) -> None:
        row = {
            "public_key": account.public_key,
            "secret_box": self._box.seal(account.secret_key, account.public_key),
            "tier": account.tier,
            "rate_per_minute": account.rate_per_minute,
            "burst": account.burst,
            "concurrency": account.concurrency,
            "status": status,
            "expires_at": account.expires_at,
            "created_at": at,
        }

        with self._database.engine.begin() as connection:
            connection.execute(delete(accounts).where(accounts.c.public_key == account.public_key))
            connection.execute(insert(accounts).values(row))

    def _refresh(self) -> None:
        (version,) = self._watch.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return
        contents = self._watch.execute("SELECT * FROM accounts").fetchall()
        self._version = version
        if contents == self._contents:  # something else was written, such as a job
            return
        with self._database.engine.connect() as connection:
            rows = connection.execute(select(accounts)).all()
        known = dict(self._given)
        for row in rows:
            known.pop(row.public_key, None)
            if row.status != _REVOKED:
                known[row.public_key] = self._account(row)
        self._known, self._contents = known, contents

    def _account(self, row: Row[Any]) -> Account:
        return Account(
            public_key=row.public_key,
            secret_key=self._box.open(row.secret_box, row.public_key),
            tier=row.tier,
            rate_per_minute=row.rate_per_minute,
            burst=row.burst,
            concurrency=row.concurrency,
            status=Status(row.status),
            expires_at=row.expires_at,
        )


def open_accounts(settings: Settings, database: Database, box: SecretBox) -> AccountStore:
    """The store of these settings; raises SettingError for a bad seed file."""
    given = list(TEST_ACCOUNTS.values()) if settings.test_keys else []
    if settings.seed_file is not None:
        given += read_seed(settings.seed_file)
    return AccountStore(database, box, given)


def read_seed(path: Path) -> list[Account]:
    """Accounts of a TOML file: `[[accounts]]` tables with the fields of `Account`.

    Raises:
        SettingError: the file cannot be read, or an entry breaks a rule; names entry and rule.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"seed file {path}: {error}") from None
    entries = document.get("accounts")
    if not isinstance(entries, list):
        raise SettingError(f"seed file {path}: no [[accounts]] tables")
    return [_seeded(path, number, entry) for number, entry in enumerate(entries, 1)]


def _seeded(path: Path, number: int, entry: Any) -> Account:  # noqa: ANN401 - parsed TOML
    where = f"seed file {path}, account {number}"
    if not isinstance(entry, dict):
        raise SettingError(f"{where}: must be a table")
    if unknown := sorted(set(entry) - _FIELDS):
        raise SettingError(f"{where}: unknown field {unknown[0]!r}")
    values = dict(entry)
    if isinstance(values.get("expires_at"), datetime):
        values["expires_at"] = values["expires_at"].timestamp()
    try:
        values["status"] = Status(values.get("status", Status.ACTIVE))
        return Account(**values)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{where}: {error}") from None
