"""A session: what it is made with, what it is called, how large it is, and how it ends."""

import base64
import gzip
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from contract.api import Api, member
from contract.campaign import Campaign
from contract.outcomes import ContractBroken, NotRun
from contract.shell import ENTER, opened, plain
from contract.things import Thing, awaited, container, kept, new, new_name, of

MIB = 1024 * 1024
FILE, CONTENT = "given", bytes(range(256))
ASKED: Mapping[str, Any] = {
    "shell": "sh",
    "multiplexer": "screen",
    "network_mode": "zerotrust",
    "ttl": 600,
    "vcpu": 2,
    "input_files": [{"filename": FILE, "content": base64.b64encode(CONTENT).decode()}],
}
"""Nothing of it is what a session has unless it is asked for, but for the network."""

SHOWN = ("shell", "multiplexer", "network_mode", "ttl", "vcpu")
SHORT_TTL, SOON_SECONDS = 3, 6
FROZEN_SECONDS = 2.5
BEAT_SECONDS = 2
"""Whole seconds that pass in FROZEN_SECONDS, at least."""

BEATING = "(while date +%s; do sleep 0.2; done) > beats 2> /dev/null < /dev/null & sleep 0.3"
MEMORY_LIMIT = (
    "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null"
)
"""Where the kernel tells a container its limit: version 2 of cgroups, or 1."""


@pytest.fixture(scope="module")
def session(campaign: Campaign) -> Iterator[Thing]:
    """One for several checks, each of which leaves it as it was."""
    with new(campaign.api, "session", **ASKED) as thing:
        yield thing


# What it is made with


@pytest.mark.operations("createSession", "getSession")
def test_a_session_is_as_it_was_asked_for(session: Thing) -> None:
    for told in (session.document, session.read()):
        shown = {name: told[name] for name in SHOWN if name in told}
        assert shown == {name: ASKED[name] for name in shown}, told
        assert told.get("memory_mb", 4096) == 4096


@pytest.mark.operations("createSession", "executeSession")
def test_its_input_files_lie_in_its_working_directory(session: Thing) -> None:
    assert session.run("pwd")["stdout"] == "/tmp/input\n"  # noqa: S108 - in the session
    assert session.content(FILE) == CONTENT


@pytest.mark.operations("listSessions")
def test_the_items_of_the_list_have_no_parts(session: Thing) -> None:
    """Clients that look for brackets would end their list at those of a part."""
    items = member(session.api.call("listSessions"), "sessions")
    nested = [name for item in items for name, it in item.items() if isinstance(it, dict | list)]
    assert not nested, f"{nested} in an item"


@pytest.mark.operations("executeSessionAlias")
def test_the_shell_s_path_runs_a_command_too(session: Thing) -> None:
    """The cloud answers 426, as it wants a WebSocket there."""
    body = {"command": "echo on"}
    answer = session.call("executeSessionAlias", json=body, expect=(200, 426))
    assert answer.status == 426 or answer.json["stdout"] == "on\n"


# What it is called


@pytest.mark.operations("getSession", "executeSession", "lockSession", "unlockSession")
def test_a_session_goes_by_the_name_of_its_container(api: Api, session: Thing) -> None:
    path = {"id": container(session)}
    assert api.call("getSession", path).json["session_id"] == session.id
    assert api.call("executeSession", path, json={"command": "echo on"}).json["stdout"] == "on\n"
    api.call("lockSession", path)
    assert session.read().get("locked", True) is True
    api.call("unlockSession", path)
    assert session.read().get("locked", False) is False


# How large it is


@pytest.mark.operations("boostSession", "unboostSession", "getSession", "executeSession")
def test_a_session_has_the_size_that_it_was_given(api: Api) -> None:
    with new(api, "session", vcpu=1) as thing:
        before = _memory_limit(thing)
        assert thing.do("boost", json={"vcpu": 3}).json["vcpu"] == 3
        boosted = thing.read()
        assert boosted.get("vcpu", 3) == 3
        assert boosted.get("boosted", True) is True
        assert boosted.get("memory_mb", 3 * 2048) == 3 * 2048
        if before is not None:
            assert (_memory_limit(thing) or 0) > before, "its programs have no more memory"
        assert thing.do("unboost").json["vcpu"] == 1
        assert thing.read().get("vcpu", 1) == 1
        assert _memory_limit(thing) == before


def _memory_limit(thing: Thing) -> int | None:
    """What its programs may use, in bytes; None where the server keeps that to itself."""
    told = thing.run(MEMORY_LIMIT)["stdout"].split()
    return int(told[0]) if told and told[0].isdecimal() else None


@pytest.mark.operations("boostSession")
def test_a_boost_that_says_no_size_is_to_two(api: Api) -> None:
    with new(api, "session") as thing:
        assert thing.do("boost").json["vcpu"] == 2


@pytest.mark.operations("boostSession")
def test_a_session_is_never_smaller_than_it_was_made(session: Thing) -> None:
    session.do("boost", json={"vcpu": 1}, expect=409)
    assert session.read().get("vcpu", 2) == 2


# How it is frozen


@pytest.mark.operations("freezeSession")
def test_a_session_without_a_multiplexer_is_not_frozen(api: Api) -> None:
    with new(api, "session", multiplexer=None) as plain:
        plain.do("freeze", expect=400)
        assert plain.read()["status"] == "running"


@pytest.mark.slow_check
@pytest.mark.operations("freezeSession", "unfreezeSession", "getSession", "executeSession")
def test_a_frozen_session_stands_still_while_its_ttl_goes_on(session: Thing) -> None:
    session.run(BEATING)
    before = session.read().get("remaining_ttl")
    session.do("freeze")
    time.sleep(FROZEN_SECONDS)
    frozen = session.read().get("remaining_ttl")
    session.do("unfreeze")
    assert session.run("sleep 0.5")["exit_code"] == 0
    beats = [int(line) for line in session.run("cat beats")["stdout"].split()]
    longest = max(later - earlier for earlier, later in pairwise(beats))
    assert longest >= BEAT_SECONDS, f"what ran in a frozen session went on: {beats}"
    if before is None or frozen is None:
        raise NotRun("a session does not tell what is left of its ttl")
    assert 0 < frozen <= before - BEAT_SECONDS, f"remaining_ttl: {before}, then {frozen}"


# How it ends


@pytest.mark.operations("createSession", "getSession")
def test_a_session_tells_how_long_it_lives(session: Thing) -> None:
    told = session.read()
    assert 0 < told.get("remaining_ttl", 1) <= ASKED["ttl"]
    if "created_at" in told and "expires_at" in told:
        began, ends = (datetime.fromisoformat(told[it]) for it in ("created_at", "expires_at"))
        assert abs((ends - began).total_seconds() - ASKED["ttl"]) < SOON_SECONDS


@pytest.mark.slow_check
@pytest.mark.operations("createSession", "lockSession", "freezeSession", "getSession")
def test_a_ttl_that_is_over_ends_a_session_locked_or_frozen(api: Api) -> None:
    with (
        new(api, "session", ttl=SHORT_TTL) as frozen,
        new(api, "session", ttl=SHORT_TTL, multiplexer=None) as locked,
        opened(api, locked.id) as shell,
    ):
        locked.do("lock")
        frozen.do("freeze", expect=(200, 404))  # which may take longer than it lives
        assert shell.ended(SHORT_TTL + SOON_SECONDS)[0] == ["exit"]
        _ends(locked)
        _ends(frozen)


def _ends(thing: Thing) -> None:
    """Within time, and saying why, or being gone altogether."""
    awaited(
        lambda: _reason(thing),
        lambda reason: reason is not None,
        f"{thing.id} lives on",
        SOON_SECONDS,
    )


def _reason(thing: Thing) -> str | None:
    """Why a session has ended, as far as that is told; None while it lives."""
    answer = thing.do("get", expect=(200, 404))
    if answer.status == 404:
        return ""
    told = answer.json
    if told["status"] != "terminated":
        return None
    if not told.get("message"):
        raise ContractBroken("message", f"a session that has ended does not say why: {told}")
    return str(told["message"])


@pytest.mark.operations("getSession", "listSessions", "deleteSession", "executeSession")
def test_a_session_that_has_ended_is_of_no_more_use(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing:
        with opened(api, thing.id) as shell:
            shell.type(b"exit" + ENTER)
            shell.ended(SOON_SECONDS)
        _ends(thing)
        assert not thing.is_listed()
        thing.run("echo on", expect=404)
        for verb in ("freeze", "boost", "lock"):
            thing.do(verb, expect=404)
        thing.do("delete", expect=(200, 404))
        thing.do("get", expect=404)


# What is recorded


@pytest.mark.operations("createSession", "deleteSession")
def test_a_recording_has_what_the_terminal_showed(api: Api) -> None:
    """As scriptreplay plays it: the timing says how much comes when, after the log's first line."""
    marker = new_name()
    made = api.call("createSession", query={"audit": 1}, json={})
    with kept(of(api, "session", made)) as thing:
        with opened(api, thing.id) as shell:
            shell.answer(f"printf '%s\\n' {marker}")
            shell.type(b"exit" + ENTER)
            shell.ended(SOON_SECONDS)
        files = _recorded(thing)
        played = _beginning(files, "session.log").split(b"\n", 1)[1]
        timing = [line.split() for line in _beginning(files, "session.timing").splitlines()]
        assert sum(int(count) for _, count in timing) == len(played), "the timing is of another log"
        assert marker.encode() in plain(played)


@pytest.mark.operations("createSession", "deleteSession")
def test_nothing_is_recorded_unasked(api: Api) -> None:
    with new(api, "session", multiplexer=None) as thing:
        with opened(api, thing.id) as shell:
            shell.answer("echo on")
            shell.type(b"exit" + ENTER)
            shell.ended(SOON_SECONDS)
        assert _recorded(thing) == {}


def _recorded(thing: Thing) -> dict[str, bytes]:
    """What came with the end of a session, by name, unpacked."""
    ended = thing.do("delete", query={"audit": 1}).json
    return {
        file["filename"]: gzip.decompress(base64.b64decode(file["data"]))
        for file in ended.get("artifacts", [])
    }


def _beginning(files: Mapping[str, bytes], name: str) -> bytes:
    """The file whose name begins so; raises ContractBroken where there is none."""
    for found, content in files.items():
        if found.startswith(name):
            return content
    raise ContractBroken("artifacts", f"{name} is not among {sorted(files)}")
