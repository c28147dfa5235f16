from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.accounts import DEFAULT_ACCOUNT, Account, Status
from emulator.settings import SettingError
from emulator.store.accounts import AccountStore, read_seed
from emulator.store.database import Database
from emulator.store.secrets import SecretBox

BOX = SecretBox(b"k" * 32)
OTHER = Account("unsb-pk-aaaa-bbbb-cccc-dddd", "unsb-sk-aaaaa-bbbbb-ccccc-ddddd", burst=7)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path) as made:
        yield made


@pytest.fixture
def store(database: Database) -> Iterator[AccountStore]:
    made = AccountStore(database, BOX, [DEFAULT_ACCOUNT])
    yield made
    made.close()


def test_a_saved_account_comes_back_whole(store: AccountStore) -> None:
    store.save(OTHER, 1.0)
    assert store.get(OTHER.public_key) == OTHER
    assert store.all() == [DEFAULT_ACCOUNT, OTHER] or store.all() == [OTHER, DEFAULT_ACCOUNT]


def test_the_secret_is_not_readable_in_the_file(store: AccountStore, database: Database) -> None:
    store.save(OTHER, 1.0)
    files = database.path.parent.glob("emulator.sqlite3*")
    assert not any(OTHER.secret_key.encode() in file.read_bytes() for file in files)


def test_a_running_store_sees_what_another_process_writes(
    store: AccountStore, database: Database
) -> None:
    assert store.get(OTHER.public_key) is None
    beside = AccountStore(database, BOX)
    beside.save(OTHER, 1.0)
    assert store.get(OTHER.public_key) == OTHER
    assert beside.revoke(OTHER.public_key, 2.0)
    assert store.get(OTHER.public_key) is None
    beside.close()


def test_a_built_in_key_can_be_revoked(store: AccountStore) -> None:
    assert store.revoke(DEFAULT_ACCOUNT.public_key, 1.0)
    assert store.get(DEFAULT_ACCOUNT.public_key) is None
    assert not store.revoke(DEFAULT_ACCOUNT.public_key, 2.0)


def test_an_account_never_shows_its_secret() -> None:
    assert OTHER.secret_key not in repr(OTHER)
    assert OTHER.secret_key not in f"{OTHER}"


def seed(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "seed.toml"
    file.write_text(text)
    return file


KEYS = 'public_key="unsb-pk-aaaa-bbbb-cccc-dddd"\nsecret_key="unsb-sk-aaaaa-bbbbb-ccccc-ddddd"\n'


def test_a_seed_file_gives_accounts(tmp_path: Path) -> None:
    end = 'expires_at=2027-01-01T00:00:00Z\nsudo_code="42"\n'
    text = f'[[accounts]]\n{KEYS}status="suspended"\n{end}'
    (account,) = read_seed(seed(tmp_path, text))
    assert account.status is Status.SUSPENDED
    assert (account.expires_at, account.sudo_code) == (1_798_761_600, "42")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("accounts = 1", "no \\[\\[accounts\\]\\] tables"),
        ("[[accounts]]\n", "account 1: .*public_key"),
        (f"[[accounts]]\n{KEYS}colour=1\n", "account 1: unknown field 'colour'"),
        (f"[[accounts]]\n{KEYS}burst=0\n", "account 1: burst must be from 1"),
        (f'[[accounts]]\n{KEYS}sudo_code="4 2"\n', "account 1: sudo_code must be 1 to 31"),
        (f'[[accounts]]\n{KEYS}status="odd"\n', "account 1: 'odd' is not a valid Status"),
        ("[[accounts\n", "seed.toml: "),
        ('[[accounts]]\npublic_key="x"\nsecret_key="y"\n', "public_key must look like"),
    ],
)
def test_a_bad_seed_file_is_refused_by_entry_and_rule(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(SettingError, match=rule):
        read_seed(seed(tmp_path, text))


def test_a_seed_file_that_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.toml"):
        read_seed(tmp_path / "none.toml")
