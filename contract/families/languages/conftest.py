"""What the checks of this family share, and the names of the contract, a case each."""

from collections.abc import Mapping
from typing import Any

import pytest

from contract.campaign import Campaign
from contract.families.languages.spoken import Languages
from contract.languages import PATIENCE_SECONDS
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
    asked = request.config.getoption("--contract-languages")
    patience = request.config.getoption("--contract-patience") or PATIENCE_SECONDS
    names = None if asked is None else {name.strip() for name in asked.split(",")}
    return Languages(campaign, names, patience)
