"""Which targets may be spoken to, and what it takes."""

from pathlib import Path

import pytest

from contract.consent import NoConsent, admitted
from contract.target import REAL_OPT_IN, TargetError

YES = {REAL_OPT_IN: "yes"}

CLOUD = (
    "https://api.unsandbox.com",
    "http://api.unsandbox.com:8080",
    "https://API.Unsandbox.COM",
    "https://unsandbox.com",
    "https://api.unsandbox.com.",
    "https://api。unsandbox。com",
    "https://myapp.on.unsandbox.com",
)
"""Spellings of the real service."""

REFUSED: list[tuple[str | None, str | None, dict[str, str]]] = [
    ("real", None, {}),
    ("real", None, {REAL_OPT_IN: "1"}),
    ("real", "http://127.0.0.1:8042", {}),
    (None, "https://sandbox.example.org", YES),
    (None, "http://10.1.2.3:8042", {}),
    *((None, url, YES) for url in CLOUD),
    *(("emulator", url, YES) for url in CLOUD),
]


@pytest.mark.parametrize(("name", "url", "environment"), REFUSED)
def test_one_opt_in_is_not_enough(
    name: str | None, url: str | None, environment: dict[str, str]
) -> None:
    with pytest.raises(NoConsent, match="counts as a real service"):
        admitted(name, url, None, environment)


@pytest.mark.parametrize("url", [None, *CLOUD])
def test_both_opt_ins_admit_a_real_target(url: str | None) -> None:
    assert admitted("real", url, None, YES).real


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (None, None),
        (None, "http://localhost:1"),
        (None, "http://127.0.0.2:1"),
        (None, "http://[::1]:1"),
        ("emulator", "http://emulator:8042"),
    ],
)
def test_an_emulator_needs_no_opt_in(name: str | None, url: str | None) -> None:
    target = admitted(name, url, None, {})
    assert not target.real
    assert target.accounts


def test_a_file_cannot_call_the_cloud_an_emulator(tmp_path: Path) -> None:
    file = tmp_path / "targets.toml"
    file.write_text('[targets.mine]\nurl = "https://api.unsandbox.com"\nreal = false\n')
    with pytest.raises(NoConsent):
        admitted("mine", None, file, YES)


def test_a_file_may_name_a_real_service(tmp_path: Path) -> None:
    file = tmp_path / "targets.toml"
    file.write_text('[targets.mine]\nurl = "https://sandbox.example.org"\n')
    with pytest.raises(NoConsent):
        admitted("mine", None, file, {})
    assert admitted("mine", None, file, YES).real


def test_a_control_surface_is_never_at_the_cloud(tmp_path: Path) -> None:
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.mine]\nurl = "http://127.0.0.1:1"\nadmin = "https://api.unsandbox.com"\n'
    )
    with pytest.raises(TargetError, match="admin"):
        admitted("mine", None, file, {})


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8042", "ftp://x", "http://", "http://[::1", "http://x/y"]
)
def test_what_is_no_url_of_a_server_is_said(url: str) -> None:
    with pytest.raises(TargetError):
        admitted(None, url, None, {})


def test_a_secret_that_the_environment_lacks_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STAGING_SECRET_KEY", raising=False)
    file = tmp_path / "targets.toml"
    file.write_text(
        '[targets.staging]\nurl = "http://127.0.0.1:1"\n'
        '[targets.staging.accounts.main]\npublic_key = "unsb-pk-team-0000-0000-0001"\n'
        'secret_env = "STAGING_SECRET_KEY"\n'
    )
    with pytest.raises(TargetError, match=r"variable STAGING_SECRET_KEY .* is not set"):
        admitted("staging", None, file)
    file.write_text(file.read_text().replace("STAGING_SECRET_KEY", "unsb-sk-aaaaa-bbbbb"))
    with pytest.raises(TargetError) as told:
        admitted("staging", None, file)
    assert "aaaaa" not in str(told.value)
