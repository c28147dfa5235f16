"""A snapshot is a copy of a moment: it is gone back to, cloned from, and changed by nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from contract.api import Api
from contract.exchange import Response
from contract.families.lifecycle.kinds import each
from contract.things import LIVE, Thing, kept, new, new_name, of, runs, taken

CONTENT = bytes(range(256)) + b"\r\n\n"

RESTORES: dict[str, Callable[[Thing, Thing], Response]] = {
    "restoreSnapshot": lambda _source, it: it.call("restoreSnapshot"),
    "restoreSession": lambda source, it: source.call("restoreSession", json={"snapshot_id": it.id}),
    "restoreSession by the snapshot's id": lambda _source, it: it.call("restoreSession"),
}


def _restores_with(source: Thing, restore: Callable[[Thing, Thing], Response]) -> None:
    source.write("changed", CONTENT)
    source.write("removed", b"once")
    with kept(taken(source)) as snapshot:
        source.write("changed", b"other")
        source.write("added", b"new")
        source.run("rm removed")
        assert restore(source, snapshot).json["status"] == "restored"
        runs(source)
        assert source.content("changed") == CONTENT
        assert source.content("removed") == b"once"
        assert source.content("added") is None


@each(LIVE, "snapshot")
@pytest.mark.operations("restoreSnapshot")
def test_a_restore_brings_every_byte_back(api: Api, kind: str) -> None:
    with new(api, kind) as source:
        _restores_with(source, RESTORES["restoreSnapshot"])


@pytest.mark.operations("restoreSession")
@pytest.mark.parametrize("way", [name for name in RESTORES if name != "restoreSnapshot"])
def test_a_session_is_restored_by_either_path(api: Api, way: str) -> None:
    with new(api, "session") as source:
        _restores_with(source, RESTORES[way])


@pytest.mark.operations("restoreSnapshot")
def test_a_restore_can_be_done_again(api: Api) -> None:
    with new(api, "session") as source:
        source.write("file", CONTENT)
        with kept(taken(source)) as snapshot:
            for change in (b"one", b"two"):
                source.write("file", change)
                snapshot.call("restoreSnapshot")
                runs(source)
                assert source.content("file") == CONTENT


@pytest.mark.operations("restoreSnapshot", "getSnapshot")
def test_a_snapshot_outlives_its_source_and_cannot_restore_it_then(api: Api) -> None:
    with new(api, "session") as source, kept(taken(source)) as snapshot:
        source.do("delete")
        assert snapshot.read()["source_type"] == "session"
        snapshot.call("restoreSnapshot", expect=409)


@pytest.mark.operations("cloneSnapshot")
@pytest.mark.parametrize("kind", LIVE)
def test_a_clone_begins_with_the_snapshot_and_shares_nothing(api: Api, kind: str) -> None:
    with new(api, "session") as source:
        source.write("file", CONTENT)
        with kept(taken(source)) as snapshot:
            source.write("file", b"later")
            with _cloned(snapshot, kind) as clone:
                assert clone.id != source.id
                assert clone.content("file") == CONTENT
                clone.write("file", b"of the clone")
                assert source.content("file") == b"later"
                with _cloned(snapshot, kind) as another:
                    assert another.content("file") == CONTENT


@pytest.mark.operations("cloneSnapshot")
def test_a_clone_outlives_its_snapshot_and_source(api: Api) -> None:
    with new(api, "session") as source:
        source.write("file", CONTENT)
        with kept(taken(source)) as snapshot, _cloned(snapshot, "session") as clone:
            source.do("delete")
            snapshot.do("delete")
            assert clone.content("file") == CONTENT


@contextmanager
def _cloned(snapshot: Thing, kind: str) -> Iterator[Thing]:
    body = {"type": kind, **({"name": new_name()} if kind == "service" else {})}
    with kept(of(snapshot.api, kind, snapshot.do("clone", json=body))) as clone:
        runs(clone)
        yield clone


@each(LIVE, "snapshot")
@pytest.mark.operations("getSnapshot")
def test_a_snapshot_keeps_the_name_that_it_is_given(api: Api, kind: str) -> None:
    name = new_name()
    with new(api, kind) as source, kept(taken(source, name=name, hot=True)) as snapshot:
        assert snapshot.document["name"] == name
        assert snapshot.read()["name"] == name
        assert snapshot.read()["source_type"] == kind


@each(LIVE, "snapshot")
def test_a_snapshot_without_a_name_is_given_one(api: Api, kind: str) -> None:
    with new(api, kind) as source, kept(taken(source)) as snapshot:
        assert snapshot.document["name"]


@pytest.mark.operations("createSnapshot")
@pytest.mark.parametrize("kind", LIVE)
def test_a_snapshot_can_be_asked_for_by_its_source(api: Api, kind: str) -> None:
    with new(api, kind) as source:
        body = {"source_type": kind, "source_id": source.id, "name": new_name()}
        with kept(of(api, "snapshot", api.call("createSnapshot", json=body))) as snapshot:
            document = snapshot.read()
            assert document["name"] == body["name"]
            assert document.get("source_id", source.id) == source.id
