"""The list of languages has all of them, and what it says of aliases is true."""

from collections.abc import Mapping

import pytest

from contract.api import Api, member
from contract.families.languages.spoken import Languages

pytestmark = pytest.mark.operations("listLanguages")


def test_every_language_of_the_contract_is_listed(api: Api) -> None:
    known = api.spec.at("#/components/schemas/LanguageName/enum")
    missing = set(known) - set(member(api.call("listLanguages"), "languages"))
    assert not missing, f"not listed: {', '.join(sorted(missing))}"


def test_as_many_are_listed_as_are_counted(api: Api) -> None:
    answer = api.call("listLanguages")
    listed = member(answer, "languages")
    assert len(set(listed)) == len(listed) == member(answer, "count")


def test_the_documented_aliases_are_listed(api: Api, languages: Languages) -> None:
    content = api.spec.operations["listLanguages"].responses[200]["content"]["application/json"]
    documented: Mapping[str, str] = content["examples"]["documented"]["value"]["aliases"]
    listed = {alias: languages.aliases.get(alias) for alias in documented}
    assert listed == documented


def test_an_alias_leads_to_a_listed_language(languages: Languages) -> None:
    astray = {
        alias: name for alias, name in languages.aliases.items() if name not in languages.listed
    }
    assert not astray, f"aliases of what is not listed: {astray}"
    own = {alias: name for alias, name in languages.aliases.items() if alias in languages.listed}
    assert all(alias == name for alias, name in own.items()), f"languages as aliases: {own}"
