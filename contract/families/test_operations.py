"""Every operation answers the contract's examples as the contract says."""

import pytest

from contract.api import Api
from contract.campaign import Campaign


@pytest.mark.operations("getHealth")
def test_the_service_is_healthy(api: Api) -> None:
    assert api.call("getHealth").json["status"] == "ok"


@pytest.mark.operations("execute")
def test_the_first_example_runs(api: Api, campaign: Campaign) -> None:
    example = campaign.spec.operations["execute"].example()
    assert api.call("execute", json=example).json["stdout"] == "Hello from unsandbox!\n"


@pytest.mark.operations("listSessions")
def test_sessions_are_listed(api: Api) -> None:
    api.call("listSessions")
