import subprocess

from hypothesis import given
from hypothesis import strategies as st

from emulator import compat
from emulator.compat import canonical_query, signed_bodies, wants_jobs_object
from emulator.exchange import Exchange


def exchange() -> Exchange:
    return Exchange("req_1", "POST", "/execute", "")


def canonical_body(operation_id: str, body: object, seen: Exchange) -> object:
    return compat.canonical_body(operation_id, body, seen, {"javascript": "node", "js": "node"})


def session(body: dict[str, object]) -> object:
    return canonical_body("createSession", body, exchange())


def test_an_alias_is_read_as_its_field_and_noted() -> None:
    seen = exchange()
    body = canonical_body("execute", {"network": "semitrusted", "return_artifacts": True}, seen)
    assert body == {"network_mode": "semitrusted", "return_artifact": True}
    assert len(seen.notes) == 2


def test_the_canonical_field_wins_over_its_alias() -> None:
    body = {"network": "semitrusted", "network_mode": "zerotrust"}
    assert canonical_body("execute", body, exchange()) == {"network_mode": "zerotrust"}


def test_null_counts_as_absent_and_an_empty_array_as_an_empty_object() -> None:
    assert canonical_body("execute", {"code": "x", "env": None}, exchange()) == {"code": "x"}
    assert canonical_body("execute", [], exchange()) == {}


def test_files_are_read_under_the_name_that_seventeen_clients_give_their_content() -> None:
    seen = exchange()
    files = [{"filename": "a", "content_base64": "YQ=="}, {"filename": "b", "content": "Yg=="}]
    for operation in ("execute", "createSession", "createService"):
        body = canonical_body(operation, {"input_files": [dict(file) for file in files]}, seen)
        assert body == {
            "input_files": [
                {"filename": "a", "content": "YQ=="},
                {"filename": "b", "content": "Yg=="},
            ]
        }
    assert seen.notes == ["compat: content_base64 read as content"]
    for odd in ("text", [1, "a", []], {"content_base64": "YQ=="}):
        assert canonical_body("execute", {"input_files": odd}, seen) == {"input_files": odd}


def test_a_session_is_described_in_the_words_of_many_clients() -> None:
    assert session({"network": "semitrusted"}) == {"network_mode": "semitrusted"}
    assert session({"persistence": "screen"}) == {"multiplexer": "screen"}
    assert session({"tmux": True, "screen": False}) == {"multiplexer": "tmux"}
    assert session({"tmux": False, "screen": True}) == {"multiplexer": "screen"}
    assert session({"tmux": False, "screen": False}) == {}
    assert session({"tmux": True, "multiplexer": "screen"}) == {"multiplexer": "screen"}
    assert session({"tmux": "yes"}) == {"tmux": "yes"}  # means nothing, as any unknown field
    assert session({"language": "bash", "shell": "zsh"}) == {"shell": "zsh"}
    assert session({"language": "bash", "shell": None}) == {"shell": "bash"}


def test_a_language_in_the_place_of_a_shell_is_read_as_its_repl() -> None:
    seen = exchange()
    assert canonical_body("createSession", {"shell": "js"}, seen) == {"shell": "node"}
    assert session({"language": "javascript"}) == {"shell": "node"}
    assert session({"shell": "zsh"}) == {"shell": "zsh"}
    assert session({"shell": ["js"]}) == {"shell": ["js"]}
    assert seen.notes == ["compat: shell js read as node"]
    execute = {"language": "js", "code": "x"}
    assert canonical_body("execute", dict(execute), seen) == execute


def test_a_recording_is_asked_for_in_the_body_too() -> None:
    for query, body, read in (
        ({}, {"audit": True}, {"audit": "true"}),
        ({}, {"audit": False}, {"audit": "false"}),
        ({"audit": "1"}, {"audit": False}, {"audit": "1"}),
        ({}, {"audit": "yes"}, {}),
    ):
        assert canonical_query("createSession", dict(query), body, exchange()) == read


def test_what_needs_nothing_is_left_alone_without_a_note() -> None:
    seen = exchange()
    assert canonical_body("execute", {"code": "x"}, seen) == {"code": "x"}
    assert canonical_body("execute", "text", seen) == "text"
    assert canonical_query("run", {"ttl": "5"}, "text", seen) == {"ttl": "5"}
    assert seen.notes == []


def test_clients_that_know_a_list_of_jobs_as_an_object_are_told_by_their_name() -> None:
    seen = exchange()
    for agent in ("un-cli/2.0", "un-rust-sync/2.0", "Java/17.0.1", "Ruby", "PHP/8.2"):
        assert wants_jobs_object({"user-agent": agent}, seen)
    assert seen.notes == ["compat: the list as an object, for this client"]
    for headers in ({}, {"user-agent": "curl/8.5"}, {"user-agent": "unknown"}):
        assert not wants_jobs_object(headers, exchange())


def test_a_body_that_no_shell_can_have_signed_is_not_looked_through_for_escapes() -> None:
    assert [*signed_bodies("POST", b"\\n" + b"a" * 100_000)]
    assert [*signed_bodies("POST", b"\\n" + b"a" * 131_072)] == []


@given(st.lists(st.sampled_from(["\\n", "\\t", "\\\\", "\\r", '\\"', "a", "{", " "]), min_size=1))
def test_escapes_are_expanded_as_the_posix_shell_does(parts: list[str]) -> None:
    text = "".join(parts) + "\\n"
    program = 'printf "%b" "$1"'
    shell = subprocess.run(["sh", "-c", program, "sh", text], capture_output=True, check=True)
    assert shell.stdout in [body for _, body in signed_bodies("POST", text.encode())]
