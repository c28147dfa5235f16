"""What all kinds have in common: reads, lists, locks, the freezer, and an end."""

import pytest

from contract.api import Api
from contract.families.lifecycle.kinds import each
from contract.outcomes import NotRun
from contract.things import LASTING, LIVE, new, runs

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
        runs(thing)
        assert thing.content("kept") == CONTENT


@each(LIVE, "freeze", "unfreeze")
def test_freezing_or_unfreezing_twice_leaves_it_so(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        thing.do("freeze")
        thing.do("freeze", expect=(200, 409))
        assert thing.read()["status"] == "frozen"
        thing.do("unfreeze")
        runs(thing)
        thing.do("unfreeze", expect=(200, 409))
        assert thing.read()["status"] == "running"


@each(LIVE, "sleep", "wake")
def test_the_older_names_of_the_freezer_do_the_same(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        thing.do("sleep")
        assert thing.read()["status"] == "frozen"
        thing.do("wake")
        runs(thing)


@pytest.mark.operations("freezeSession")
def test_a_session_without_a_multiplexer_is_not_frozen(api: Api) -> None:
    with new(api, "session", multiplexer=None) as plain:
        plain.do("freeze", expect=400)
        assert plain.read()["status"] == "running"


@pytest.mark.operations("boostSession", "unboostSession", "getSession")
def test_a_session_has_the_size_that_it_was_given(api: Api) -> None:
    with new(api, "session", vcpu=1) as thing:
        assert thing.do("boost", json={"vcpu": 3}).json["vcpu"] == 3
        boosted = thing.read()
        assert boosted.get("vcpu", 3) == 3
        assert boosted.get("boosted", True) is True
        assert boosted.get("memory_mb", 3 * 2048) == 3 * 2048
        assert thing.do("unboost").json["vcpu"] == 1
        assert thing.read().get("vcpu", 1) == 1


@pytest.mark.operations("boostSession")
def test_a_boost_that_says_no_size_is_to_two(api: Api) -> None:
    with new(api, "session") as thing:
        assert thing.do("boost").json["vcpu"] == 2


@each(LIVE, "execute")
def test_a_command_has_its_output_streams_apart_and_its_exit_code(api: Api, kind: str) -> None:
    with new(api, kind) as thing:
        ran = thing.run("echo out; echo err >&2; exit 3")
        assert (ran["stdout"], ran["stderr"], ran["exit_code"]) == ("out\n", "err\n", 3)
        assert ran.get("success", False) is False


@pytest.mark.operations("executeSessionAlias")
def test_the_shell_s_path_runs_a_command_too(api: Api) -> None:
    """The cloud answers 426, as it wants a WebSocket there."""
    with new(api, "session") as thing:
        body = {"command": "echo on"}
        answer = thing.call("executeSessionAlias", json=body, expect=(200, 426))
        assert answer.status == 426 or answer.json["stdout"] == "on\n"


@pytest.mark.operations("getSession")
def test_a_session_is_found_by_the_name_of_its_container(api: Api) -> None:
    with new(api, "session") as thing:
        name = thing.read().get("container_name")
        if name is None:
            raise NotRun("a session does not tell the name of its container")
        assert api.call("getSession", {"id": name}).json["session_id"] == thing.id


@pytest.mark.operations("createSession", "getSession")
def test_a_session_has_the_shell_that_it_was_given(api: Api) -> None:
    with new(api, "session", shell="sh") as thing:  # noqa: S604 - a member of the request
        assert thing.document.get("shell", "sh") == "sh"
        assert thing.read()["shell"] == "sh"
