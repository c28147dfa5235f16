"""What all kinds have in common: reads, lists, locks, the freezer, and an end."""

from contract.api import Api
from contract.families.lifecycle.kinds import each
from contract.things import LASTING, LIVE, Thing, new, runs

CONTENT = bytes(range(256))


@each(LASTING, "create", "get", "list", "delete")
def test_it_is_read_and_listed_until_it_is_deleted(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        document = thing.read()
        assert document[f"{kind}_id" if kind != "image" else "id"] == thing.id
        assert thing.is_listed()
        thing.do("delete")
        thing.do("get", expect=404)
        thing.do("delete", expect=404)
        assert not thing.is_listed()


@each(LASTING, "create", "delete")
def test_an_id_is_never_used_again(api: Api, kind: str) -> None:
    with new(api, kind) as first:
        first.do("delete")
    with new(api, kind) as second:
        assert second.id != first.id


@each(LASTING, "lock", "unlock", "delete")
def test_what_is_locked_is_deleted_after_its_unlock_alone(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        assert thing.do("lock").json.get("locked", True) is True
        assert thing.read().get("locked", True) is True
        thing.do("lock")
        thing.do("delete", expect=409)
        assert thing.is_listed()
        assert thing.do("unlock").json.get("locked", False) is False
        thing.do("delete")
        thing.do("get", expect=404)


@each(LIVE, "freeze", "unfreeze", "execute", "get")
def test_what_is_frozen_runs_nothing_and_loses_nothing(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        thing.write("kept", CONTENT)
        thing.do("freeze")
        assert thing.read()["status"] == "frozen"
        thing.run("cat kept", expect=409)
        assert thing.do("unfreeze").json["unfreeze_time_ms"] >= 0
        _runs_again(thing)
        assert thing.content("kept") == CONTENT


@each(LIVE, "freeze", "unfreeze")
def test_freezing_or_unfreezing_twice_leaves_it_so(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        thing.do("freeze")
        thing.do("freeze", expect=(200, 409))
        assert thing.read()["status"] == "frozen"
        thing.do("unfreeze")
        _runs_again(thing)
        thing.do("unfreeze", expect=(200, 409))
        assert thing.read()["status"] == "running"


@each(LIVE, "sleep", "wake")
def test_the_older_names_of_the_freezer_do_the_same(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        thing.do("sleep")
        assert thing.read()["status"] == "frozen"
        thing.do("wake")
        _runs_again(thing)


def _runs_again(thing: Thing) -> None:
    """At once where its answer says so, as a session's does."""
    if thing.kind == "session":
        assert thing.read()["status"] == "running"
    runs(thing)


@each(LIVE, "execute")
def test_a_command_has_its_output_streams_apart_and_its_exit_code(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        ran = thing.run("echo out; echo err >&2; exit 3")
        assert (ran["stdout"], ran["stderr"], ran["exit_code"]) == ("out\n", "err\n", 3)
        assert ran.get("success", False) is False
