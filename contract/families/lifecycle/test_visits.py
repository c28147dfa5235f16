"""Services and their visitors: reached by URL, woken by requests, gone when they are destroyed."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contract.api import Api
from contract.campaign import Campaign
from contract.things import Thing, new, new_name, runs
from contract.visits import PORT, page, script, shown, visited


@dataclass(frozen=True, slots=True)
class Site:
    """A service that shows a word."""

    thing: Thing
    word: str


@pytest.fixture(scope="module")
def site(campaign: Campaign) -> Iterator[Site]:
    """One for several checks, each of which leaves it running."""
    word = new_name()
    with new(campaign.api, "service", ports=[PORT], bootstrap_content=script(word)) as thing:
        yield Site(thing, word)


@pytest.mark.operations("createService", "getService")
def test_a_service_is_reached_by_its_url(api: Api, site: Site) -> None:
    del api  # clears the trail
    assert site.thing.read().get("url", site.thing.document["url"]) == site.thing.document["url"]
    assert page(site.thing) == site.word


@pytest.mark.operations("freezeService", "getService")
def test_a_frozen_service_wakes_for_a_request_and_answers_it(api: Api, site: Site) -> None:
    del api
    page(site.thing)
    site.thing.do("freeze")
    assert shown(site.thing, site.word), "the request that should wake it is not answered"
    assert runs(site.thing)["status"] == "running"


@pytest.mark.operations("updateService", "freezeService", "unfreezeService", "getService")
def test_a_service_that_is_not_to_wake_stays_frozen(api: Api, site: Site) -> None:
    del api
    thing = site.thing
    page(thing)
    thing.do("update", json={"unfreeze_on_demand": False})
    thing.do("freeze")
    try:
        assert not shown(thing, site.word), "a frozen service answers"
        assert visited(thing).status_code >= 400
        assert thing.read()["status"] == "frozen"
    finally:
        thing.do("update", json={"unfreeze_on_demand": True})
        thing.do("unfreeze")
    assert page(thing) == site.word


@pytest.mark.operations("redeployService")
def test_a_redeploy_shows_another_page(api: Api) -> None:
    one, two = new_name(), new_name()
    with new(api, "service", ports=[PORT], bootstrap_content=script(one)) as thing:
        assert page(thing) == one
        thing.call("redeployService", json={"bootstrap_content": script(two)})
        runs(thing)
        assert page(thing) == two, "what ran before the redeploy still answers"
        thing.do("delete")
        assert not shown(thing, two), "a destroyed service answers"
