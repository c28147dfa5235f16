"""Fixtures that several families share."""

import pytest

from contract.campaign import Campaign
from contract.programs import Programs


@pytest.fixture(scope="session")
def programs(campaign: Campaign) -> Programs:
    """What the target can run."""
    return Programs(campaign.api)
