from pathlib import Path

import pytest

from emulator.settings import SETTINGS, SettingError, Settings


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {"UNSANDBOX_EMULATOR_PORT": "9001", "UNSANDBOX_EMULATOR_POOL_SIZE": "7"}
    settings = Settings.load({"port": "9002"}, environment)
    assert (settings.port, settings.pool_size, settings.admin_port) == (9002, 7, 8043)


@pytest.mark.parametrize(
    ("variable", "text", "rule"),
    [
        ("PORT", "eighty", "invalid literal"),
        ("PORT", "70000", "must be from 0 to 65535"),
        ("STRICT", "perhaps", "must be true or false"),
        ("EGRESS_ALLOW", "10.0.0.5/8", "has host bits set"),
        ("EGRESS_ALLOW", "10.0.0.0/8, a name!", "Expected 4 octets"),
        ("EGRESS_ALLOW", "fd00::/8", "Expected 4 octets"),
        ("EGRESS_DNS", "resolver", "Expected 4 octets"),
        ("ISOLATION", "none", "must be one of reuse, container"),
        ("LOG_LEVEL", "loud", "must be one of debug"),
    ],
)
def test_a_bad_value_is_refused_with_its_source_and_rule(
    variable: str, text: str, rule: str
) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.load({}, {f"UNSANDBOX_EMULATOR_{variable}": text})
    assert f"UNSANDBOX_EMULATOR_{variable}: {text!r}" in str(refusal.value)
    assert rule in str(refusal.value)


def test_an_unknown_variable_with_our_prefix_is_refused() -> None:
    with pytest.raises(SettingError, match="UNSANDBOX_EMULATOR_PROT is not a setting"):
        Settings.load({}, {"UNSANDBOX_EMULATOR_PROT": "1"})


def test_every_default_is_a_value_that_its_own_row_accepts() -> None:
    for row in SETTINGS:
        default = row.default()
        if isinstance(default, bool | int | str | Path):
            assert row.parse(str(default)) == default, row.name


def test_names_are_split_at_commas_and_blanks() -> None:
    settings = Settings.load({"languages": "python, bash c"}, {})
    assert settings.languages == ("python", "bash", "c")


def test_what_may_be_reached_is_networks_addresses_and_names() -> None:
    settings = Settings.load({"egress_allow": "10.0.0.0/8 192.168.1.1,db.internal"}, {})
    assert settings.egress_allow == ("10.0.0.0/8", "192.168.1.1", "db.internal")
