"""Images: who may see and use one, whose it is, and that it lives on by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contract.api import Api
from contract.things import Thing, kept, new, new_name, of, published, runs, taken

REFUSED = (403, 404)
"""Where one sees a thing that is not one's own; what one may not even see answers 404."""

CONTENT = bytes(range(256))
FORBIDDEN: dict[str, dict[str, object]] = {
    "setImageVisibility": {"json": {"visibility": "private"}},
    "lockImage": {},
    "unlockImage": {},
    "transferImage": {},
    "grantImage": {},
    "revokeImage": {},
    "deleteImage": {},
}
"""What only the owner does, with the bodies of the requests; those without one get a key."""


@pytest.mark.operations("publishImage", "getImage", "listImages", "listOwnedImages")
def test_an_image_is_private_at_first(api: Api) -> None:
    second = api.as_("second")
    with new(api, "image", description="a text") as mine:
        document = mine.read()
        assert document["visibility"] == "private"
        assert document["description"] == "a text"
        assert document["owner_api_key"] == api.credentials.public_key
        assert mine.is_listed("listOwnedImages")
        mine.as_("second").do("get", expect=404)
        for operation in ("listImages", "listOwnedImages", "listSharedImages", "listPublicImages"):
            assert not Thing(second, "image", mine.id, {}).is_listed(operation)


@pytest.mark.operations("setImageVisibility", "getImage", "listPublicImages")
def test_a_public_image_is_everybody_s_until_it_is_private_again(api: Api) -> None:
    with new(api, "image") as mine:
        other = mine.as_("second")
        _show(mine, "public")
        assert other.read()["visibility"] == "public"
        assert other.is_listed("listPublicImages")
        assert not other.is_listed("listOwnedImages")
        _show(mine, "private")
        other.do("get", expect=404)
        assert not other.is_listed("listPublicImages")


@pytest.mark.operations(
    "grantImage", "revokeImage", "listTrustedKeys", "setImageVisibility", "listSharedImages"
)
def test_an_unlisted_image_is_seen_by_trusted_keys_alone(api: Api) -> None:
    with new(api, "image") as mine:
        trusted, stranger = mine.as_("second"), mine.as_("third")
        _show(mine, "unlisted")
        _grant(mine, trusted)
        assert trusted.read()["visibility"] == "unlisted"
        assert trusted.is_listed("listSharedImages")
        stranger.do("get", expect=404)
        for operation in ("listImages", "listSharedImages", "listPublicImages"):
            assert not stranger.is_listed(operation)
        assert _trusted_keys(mine) == [_key(trusted)]
        mine.do("revoke", json={"api_key": _key(trusted)})
        assert _trusted_keys(mine) == []
        trusted.do("get", expect=404)
        assert not trusted.is_listed("listSharedImages")


@pytest.mark.parametrize("operation_id", FORBIDDEN)
def test_only_its_owner_changes_an_image(api: Api, operation_id: str) -> None:
    with new(api, "image") as mine:
        _show(mine, "public")
        other = mine.as_("second")
        request = FORBIDDEN[operation_id]
        content = api.spec.operations[operation_id].document.get("requestBody", {})
        if content and not request:
            request = {"json": {"api_key": _key(other), "to_api_key": _key(other)}}
        before = mine.read()
        other.call(operation_id, expect=REFUSED, probe=True, **request)
        assert mine.read() == before


@pytest.mark.operations("transferImage", "getImage", "listOwnedImages", "deleteImage")
def test_a_transferred_image_is_the_other_s(api: Api) -> None:
    with new(api, "image") as mine, kept(mine.as_("second")) as theirs:
        mine.do("transfer", json={"to_api_key": _key(theirs)})
        assert theirs.read()["owner_api_key"] == _key(theirs)
        assert theirs.is_listed("listOwnedImages")
        assert not mine.is_listed("listOwnedImages")
        mine.do("get", expect=404)
        mine.do("delete", expect=REFUSED)
        theirs.do("delete")


@pytest.mark.operations("spawnImage", "publishImage")
@pytest.mark.parametrize("kind", ["snapshot", "service"])
def test_an_image_outlives_its_source(api: Api, kind: str) -> None:
    with _published_with(api, kind, CONTENT) as made, _spawned(made) as first:
        assert first.document["source_image"] == made.id
        assert first.content("file") == CONTENT
        first.write("file", b"of the first")
        with _spawned(made) as second:
            assert second.content("file") == CONTENT


@pytest.mark.operations("cloneImage", "spawnImage")
def test_a_clone_of_an_image_is_its_maker_s_own(api: Api) -> None:
    with _published_with(api, "snapshot", CONTENT) as mine:
        _show(mine, "public")
        other, name = mine.as_("second"), new_name()
        made = of(other.api, "image", other.do("clone", json={"name": name}))
        with kept(made) as clone:
            document = clone.read()
            assert (document["id"], document["name"]) != (mine.id, mine.document["name"])
            assert document["name"] == name
            assert document["visibility"] == "private"
            assert document["owner_api_key"] == _key(clone)
            mine.do("delete")
            with _spawned(clone) as spawned:
                assert spawned.content("file") == CONTENT


@pytest.mark.operations("spawnImage", "cloneImage")
def test_what_one_may_not_see_one_may_not_use(api: Api) -> None:
    with new(api, "image") as mine:
        other = mine.as_("second")
        other.do("spawn", json={"name": new_name()}, expect=404, probe=True)
        other.do("clone", json={"name": new_name()}, expect=404, probe=True)


@contextmanager
def _published_with(api: Api, kind: str, content: bytes) -> Iterator[Thing]:
    """An image of something that holds a file and is gone by then."""
    with new(api, "service" if kind == "service" else "session") as source:
        source.write("file", content)
        if kind == "service":
            made = published(source)
        else:
            with kept(taken(source)) as snapshot:
                made = published(snapshot)
    with kept(made):
        yield made


@contextmanager
def _spawned(source: Thing, name: str = "") -> Iterator[Thing]:
    answer = source.do("spawn", json={"name": name or new_name()})
    with kept(of(source.api, "service", answer)) as made:
        runs(made)
        yield made


def _show(mine: Thing, visibility: str) -> None:
    mine.call("setImageVisibility", json={"visibility": visibility})
    assert mine.read()["visibility"] == visibility


def _grant(mine: Thing, to: Thing) -> None:
    mine.do("grant", json={"api_key": _key(to)})


def _trusted_keys(mine: Thing) -> list[str]:
    answer = mine.call("listTrustedKeys").json
    keys: list[str] = answer["trusted_keys"]
    assert answer.get("trusted", keys) == keys
    return keys


def _key(of_account: Thing) -> str:
    return of_account.api.credentials.public_key


@pytest.mark.operations("publishImage", "getImage")
def test_an_image_keeps_the_name_that_it_is_given(api: Api) -> None:
    name = new_name()
    with new(api, "image", name=name) as thing:
        assert thing.read().get("name", name) == name


@pytest.mark.operations("spawnImage", "getService")
def test_a_service_from_an_image_has_the_name_that_it_is_given(api: Api) -> None:
    name = new_name()
    with new(api, "image") as image, _spawned(image, name) as spawned:
        assert spawned.read().get("name", name) == name
