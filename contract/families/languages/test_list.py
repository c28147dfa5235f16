"""The list of languages has all of them, and what it says of aliases is true."""

from collections.abc import Mapping

import pytest

from contract.api import Api, member

pytestmark = pytest.mark.operations("listLanguages")


def test_every_language_of_the_contract_is_listed(api: Api) -> None:
    known = api.spec.at("#/components/schemas/LanguageName/enum")
    missing = set(known) - set(member(api.call("listLanguages"), "languages"))
    assert not missing, f"not listed: {', '.join(sorted(missing))}"


def test_as_many_are_listed_as_are_counted(api: Api) -> None:
    answer = api.call("listLanguages")
    listed = member(answer, "languages")
    assert len(set(listed)) == len(listed) == member(answer, "count")


def test_the_documented_aliases_are_listed(api: Api) -> None:
    content = api.spec.operations["listLanguages"].responses[200]["content"]["application/json"]
    documented: Mapping[str, str] = content["examples"]["documented"]["value"]["aliases"]
    aliases = member(api.call("listLanguages"), "aliases")
    assert {alias: aliases.get(alias) for alias in documented} == documented


def test_an_alias_leads_to_a_listed_language(api: Api) -> None:
    answer = api.call("listLanguages")
    listed, aliases = member(answer, "languages"), member(answer, "aliases")
    astray = {alias: name for alias, name in aliases.items() if name not in listed}
    assert not astray, f"aliases of what is not listed: {astray}"
    hidden = {alias: name for alias, name in aliases.items() if alias in listed and alias != name}
    assert not hidden, f"aliases that are languages of their own: {hidden}"
