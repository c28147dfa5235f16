import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import Client, test_account


def test_the_documented_success_has_the_documented_fields(client: Client) -> None:
    answer = client.execute("python", "print('Hello from unsandbox!')")
    documented = {
        "success": True,
        "stdout": "Hello from unsandbox!\n",
        "stderr": "",
        "exit_code": 0,
        "language": "python",
        "network_mode": "zerotrust",
    }
    assert documented.items() <= answer.items()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer["job_id"])
    assert answer["total_time_ms"] >= 1


def test_the_pairs_that_real_clients_read_hold_the_same_values(client: Client) -> None:
    answer = client.execute("bash", "echo hi")
    assert answer["output"] == answer["stdout"] == "hi\n"
    assert answer["execution_time"] == answer["execution_time_ms"] == answer["total_time_ms"]
    assert answer["status"] == "completed"
    assert "error" not in answer


def test_the_documented_syntax_error_is_an_unsuccessful_200(client: Client) -> None:
    answer = client.execute("python", "print('Hello")
    assert (answer["success"], answer["exit_code"], answer["stdout"]) == (False, 1, "")
    assert "SyntaxError" in answer["stderr"]
    assert "error" not in answer


def test_answers_are_compact_json(client: Client) -> None:
    response = client.post("/execute", {"language": "bash", "code": "echo 1"})
    assert b'"success":true' in response.content
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("alias", "name"), [("py", "python"), ("python3", "python"), ("js", "javascript")]
)
def test_aliases_of_languages_are_accepted(client: Client, alias: str, name: str) -> None:
    code = {"python": "print(42)", "javascript": "console.log(42)"}[name]
    answer = client.execute(alias, code)
    assert (answer["language"], answer["stdout"]) == (name, "42\n")


def test_variables_reach_the_program(client: Client) -> None:
    answer = client.execute(
        "bash", 'echo "Sum: $((X + Y))" "$NAME"', env={"X": "10", "Y": "20", "NAME": "ü $HOME `id`"}
    )
    assert answer["stdout"] == "Sum: 30 ü $HOME `id`\n"


def test_a_file_s_content_may_have_the_name_that_many_clients_give_it(client: Client) -> None:
    files = [{"filename": "data.csv", "content_base64": "YSxiCg=="}]
    assert client.execute("bash", "cat data.csv", input_files=files)["stdout"] == "a,b\n"


def test_input_files_lie_in_the_working_directory_and_are_linked_into_tmp(client: Client) -> None:
    files = [
        {"filename": "data.csv", "content": base64.b64encode(b"a,b\n").decode()},
        {"filename": "sub/dir/x.bin", "content": base64.b64encode(bytes(range(256))).decode()},
    ]
    code = "pwd; cat data.csv /tmp/input/data.csv /tmp/data.csv; od -An -tu1 sub/dir/x.bin | wc -w"
    answer = client.execute("bash", code, input_files=files)
    assert answer["stdout"].split() == ["/tmp/input", "a,b", "a,b", "a,b", "256"]
    assert "ls: " not in answer["stderr"]


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_base64_may_come_in_lines(client: Client, line_break: str) -> None:
    lines = base64.encodebytes(bytes(range(256))).decode().replace("\n", line_break)
    files = [{"filename": "x.bin", "content": lines}]
    answer = client.execute("bash", "od -An -v -tu1 x.bin", input_files=files)
    assert answer["stdout"].split() == [str(number) for number in range(256)]


def test_a_file_named_like_one_of_ours_hides_nothing(client: Client) -> None:
    files = [
        {"filename": name, "content": base64.b64encode(b"mine").decode()}
        for name in ("code", "main.sh", "artifacts/x", "input")
    ]
    answer = client.execute("bash", "cat code main.sh artifacts/x input", input_files=files)
    assert (answer["stdout"], answer["stderr"]) == ("mine" * 4, "")


def test_ten_files_of_the_greatest_size_arrive_whole(client: Client) -> None:
    content = base64.b64encode(b"x" * 749_997).decode()
    files = [{"filename": f"f{n}", "content": content} for n in range(10)]
    answer = client.execute("bash", "cat f* | wc -c", input_files=files)
    assert answer["stdout"].strip() == "7499970"


def test_a_timeout_keeps_what_was_printed_before(client: Client) -> None:
    began = time.monotonic()
    answer = client.execute("bash", "echo before; echo err >&2; sleep 30; echo after", ttl=1)
    assert time.monotonic() - began < 20
    assert (answer["status"], answer["success"], answer["exit_code"]) == ("timeout", False, 124)
    assert (answer["stdout"], answer["stderr"]) == ("before\n", "err\n")
    assert "ttl of 1 second" in answer["error"]


def test_the_compiler_is_stopped_by_the_ttl_too(client: Client) -> None:
    doubling = "\n".join(f"#define A{n} A{n - 1} A{n - 1}" for n in range(1, 40))
    answer = client.execute("c", f"#define A0 +1\n{doubling}\nint x = A39;", ttl=2)
    assert answer["status"] == "timeout"


def test_streams_stay_apart_and_in_order(client: Client) -> None:
    code = "for i in 1 2 3; do echo out$i; echo err$i >&2; done; exit 7"
    answer = client.execute("bash", code)
    assert answer["stdout"] == "out1\nout2\nout3\n"
    assert answer["stderr"] == "err1\nerr2\nerr3\n"
    assert answer["exit_code"] == 7


def test_invalid_utf8_becomes_the_replacement_character(client: Client) -> None:
    answer = client.execute("bash", r"printf 'a\xff\xc3b'")
    assert answer["stdout"] == "a\ufffd\ufffdb"


def test_a_character_written_in_two_parts_is_not_damaged(client: Client) -> None:
    code = r"printf '\xe2\x98'; sleep 0.2; printf '\x83'"
    assert client.execute("bash", code)["stdout"] == "☃"


def test_output_over_the_limit_is_dropped_and_told(client: Client) -> None:
    answer = client.execute("bash", "head -c 20000000 /dev/zero | tr '\\0' x; echo done >&2")
    assert len(answer["stdout"]) == 16 * 1024 * 1024
    assert answer["stdout_truncated"] is True
    assert "stderr_truncated" not in answer
    assert answer["stderr"] == "done\n[stdout is cut off after 16777216 bytes]\n"
    assert answer["exit_code"] == 0


def test_output_within_the_limit_is_whole_and_not_told(client: Client) -> None:
    answer = client.execute("bash", "head -c 16777216 /dev/zero | tr '\\0' x")
    assert len(answer["stdout"]) == 16 * 1024 * 1024
    assert "stdout_truncated" not in answer
    assert answer["stderr"] == ""


def test_out_of_memory_is_137_with_a_line_that_says_so(client: Client) -> None:
    answer = client.execute("python", "x = []\nwhile True: x.append(bytearray(10_000_000))")
    assert (answer["exit_code"], answer["success"], answer["status"]) == (137, False, "completed")
    assert answer["stderr"].endswith("[killed: out of memory]\n")
    assert "error" not in answer


def test_a_program_killed_by_a_signal_has_the_shell_s_exit_code(client: Client) -> None:
    assert client.execute("bash", "kill -SEGV $$")["exit_code"] == 139


def test_more_vcpus_give_more_memory(client: Client) -> None:
    code = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
        " || cat /sys/fs/cgroup/memory.max"
    )
    one = int(client.execute("bash", code)["stdout"])
    two = int(client.execute("bash", code, vcpu=2)["stdout"])
    assert (one, two) == (2 * 1024**3, 4 * 1024**3)


def test_artifacts_come_back_under_both_spellings_when_asked_for(client: Client) -> None:
    code = "cd /tmp/artifacts; mkdir sub; printf '\\0\\1' > a.bin; echo b > sub/b"
    answer = client.execute("bash", code, return_artifact=True)
    artifacts = {artifact["filename"]: artifact for artifact in answer["artifacts"]}
    assert set(artifacts) == {"a.bin", "sub/b"}
    assert base64.b64decode(artifacts["a.bin"]["content_base64"]) == b"\0\1"
    assert all(one["data"] == one["content_base64"] for one in artifacts.values())
    assert all(one["type"] == "base64" for one in artifacts.values())
    assert "artifacts" not in client.execute("bash", code)


def test_the_compiled_program_is_an_artifact(client: Client) -> None:
    code = '#include <stdio.h>\nint main(void) { puts("hi"); return 0; }'
    answer = client.execute("c", code, return_artifact=True)
    assert answer["stdout"] == "hi\n"
    (program,) = answer["artifacts"]
    assert answer["artifact"] == program
    assert base64.b64decode(program["data"]).startswith(b"\x7fELF")


def test_links_and_devices_are_no_artifacts(client: Client) -> None:
    code = (
        "cd /tmp/artifacts; ln -s /etc/passwd link; ln -s /etc dir; mkfifo pipe; "
        "ln -s . loop; echo ok > file"
    )
    answer = client.execute("bash", code, return_artifact=True)
    assert [artifact["filename"] for artifact in answer["artifacts"]] == ["file"]


def test_the_answer_does_not_wait_for_background_processes(client: Client) -> None:
    began = time.monotonic()
    answer = client.execute("bash", "sleep 60 & echo started")
    assert answer["stdout"] == "started\n"
    assert time.monotonic() - began < 20


BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"code": "x"}, "language: is required"),
    ({"language": "bash"}, "code: is required"),
    ({"language": "klingon", "code": "x"}, "language: "),
    ({"language": 5, "code": "x"}, "language: "),
    ({"language": "bash", "code": 5}, "code: "),
    ({"language": "bash", "code": "x", "ttl": 0}, "ttl: "),
    ({"language": "bash", "code": "x", "ttl": 901}, "ttl: "),
    ({"language": "bash", "code": "x", "ttl": "5"}, "ttl: "),
    ({"language": "bash", "code": "x", "ttl": 1.5}, "ttl: "),
    ({"language": "bash", "code": "x", "ttl": 10**30}, "ttl: "),
    ({"language": "bash", "code": "x", "vcpu": 0}, "vcpu: "),
    ({"language": "bash", "code": "x", "vcpu": 9}, "vcpu: "),
    ({"language": "bash", "code": "x", "network_mode": "none"}, "network_mode: "),
    ({"language": "bash", "code": "x", "env": []}, "env: "),
    ({"language": "bash", "code": "x", "env": {"A": 1}}, "env.A: "),
    ({"language": "bash", "code": "x", "env": {"A=B": "1"}}, "env: "),
    ({"language": "bash", "code": "x", "env": {"A": "\0"}}, "env.A: "),
    ({"language": "bash", "code": "x", "return_artifact": "yes"}, "return_artifact: "),
    ({"language": "bash", "code": "x", "input_files": {}}, "input_files: "),
    ({"language": "bash", "code": "x", "input_files": [{}]}, "input_files[0]"),
    (
        {"language": "bash", "code": "x", "input_files": [{"filename": "../x", "content": ""}]},
        "input_files[0].filename: ",
    ),
    (
        {
            "language": "bash",
            "code": "x",
            "input_files": [{"filename": str(n), "content": ""} for n in range(11)],
        },
        "input_files: ",
    ),
]


@pytest.mark.parametrize(("body", "told"), BAD_REQUESTS)
def test_bad_input_is_a_400_that_names_the_field(
    client: Client, body: dict[str, Any], told: str
) -> None:
    response = client.post("/execute", body)
    assert response.status_code == 400, response.text
    assert response.json()["details"].startswith(told), response.text


@pytest.mark.parametrize(
    "content",
    [b"{", b"nothing", b'{"code":"\xff"}', b"[" * 100_000, b'{"code":NaN}', b'"\\ud800"', b"\0"],
)
def test_a_body_that_is_no_json_is_a_400(client: Client, content: bytes) -> None:
    response = client.send("POST", "/execute", content)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_JSON")


@pytest.mark.parametrize("content", [b"1", b'"x"', b"true", b"[1]", b"null"])
def test_a_body_that_is_no_object_is_a_400_that_says_so(client: Client, content: bytes) -> None:
    response = client.send("POST", "/execute", content)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")
    assert response.json()["details"] == "body: must be a JSON object"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("pyton", " (did you mean python"),
        ("JavaScript", " (did you mean javascript"),
        (" bash", " (did you mean bash"),
        ("%%%", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_an_unknown_language_is_told_with_those_that_are_near(
    client: Client, name: str, near: str
) -> None:
    response = client.post("/execute", {"language": name, "code": "x"})
    assert (response.status_code, response.json()["code"]) == (400, "UNKNOWN_LANGUAGE")
    details = response.json()["details"]
    assert details.startswith(f"language: no such language{near}")
    assert ("did you mean" in details) == bool(near)
    assert details.endswith("; GET /languages lists them")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b" "])
def test_an_empty_body_lacks_what_is_required(client: Client, content: bytes) -> None:
    response = client.send("POST", "/execute", content)
    assert (response.status_code, response.json()["details"]) == (400, "language: is required")


def test_code_with_a_lone_surrogate_is_a_400(client: Client) -> None:
    body = b'{"language":"bash","code":"\\ud800"}'
    assert client.send("POST", "/execute", body).status_code == 400


def test_a_language_that_cannot_run_here_is_a_503_with_the_reason(client: Client) -> None:
    response = client.post("/execute", {"language": "julia", "code": "println(42)"})
    assert (response.status_code, response.json()["code"]) == (503, "RUNTIME_UNAVAILABLE")


def test_the_one_slot_key_gets_a_429_for_its_second_execution(client: Client) -> None:
    one = client.as_account(test_account("one slot"))
    with ThreadPoolExecutor() as threads:
        first = threads.submit(one.execute, "bash", "sleep 3")
        time.sleep(1)
        second = one.post("/execute", {"language": "bash", "code": "echo"})
        assert first.result()["success"]
    assert second.status_code == 429
    body = second.json()
    assert body["error"] == "concurrency_limit_reached"
    assert (body["active_executions"], body["concurrency_limit"]) == (1, 1)
    assert one.execute("bash", "echo again")["stdout"] == "again\n"
    one.close()


def test_many_executions_at_once_all_finish_once(client: Client) -> None:
    def one(number: int) -> tuple[str, str]:
        own = Client(client.base)
        answer = own.execute("bash", f"echo {number}")
        own.close()
        return answer["stdout"], answer["job_id"]

    count = 200
    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(one, range(count)))
    assert [stdout for stdout, _ in answers] == [f"{number}\n" for number in range(count)]
    assert len({job_id for _, job_id in answers}) == count
