"""What the checks of this family share, and the names of the contract, a case each."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from contract.campaign import Campaign
from contract.families.languages.spoken import Languages
from contract.languages import LANGUAGES, PATIENCE_SECONDS
from contract.spec import SPEC, loaded


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    schemas: Mapping[str, Any] = loaded(
        metafunc.config.getoption("--contract-spec") or SPEC
    ).document["components"]["schemas"]
    names: list[str] = schemas["LanguageName"]["enum"]
    if "canonical" in metafunc.fixturenames:
        metafunc.parametrize("canonical", names)
    if "alias" in metafunc.fixturenames:
        metafunc.parametrize("alias", [it for it in schemas["Language"]["enum"] if it not in names])


@pytest.fixture(scope="session")
def languages(campaign: Campaign, request: pytest.FixtureRequest) -> Languages:
    """What the target says of its languages."""
    patience = request.config.getoption("--contract-patience") or PATIENCE_SECONDS
    return Languages(campaign, _asked(request), patience)


def _asked(request: pytest.FixtureRequest) -> Collection[str] | None:
    """The languages that the run is about; who asks for one case, as a replay does, wants it."""
    named: str | None = request.config.getoption("--contract-languages")
    if named is not None:
        return {name.strip() for name in named.split(",")}
    return LANGUAGES if len(request.session.items) == 1 else None
