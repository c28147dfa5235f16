"""A program that was compiled before is not compiled again, and nothing else tells the two."""

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Client, test_account
from tests.server import Server, running, settings

_NUMBERS = itertools.count()

WARNED = "#warning look here\nint puts(const char *);\nint main(void) { puts(TEXT); return 3; }\n"


def source(text: str = "hello") -> str:
    """A program that warns while it is compiled, prints and fails; each one is new."""
    return f'// {next(_NUMBERS)}\n#define TEXT "{text}"\n{WARNED}'


@dataclass
class Counted:
    """The emulator's own figures, from when the test began."""

    admin: httpx.Client
    before: dict[str, int]

    def __call__(self) -> tuple[int, int]:
        """Hits and misses since."""
        now = self.admin.get("/_emulator/compiles").json()
        return now["hits"] - self.before["hits"], now["misses"] - self.before["misses"]


@pytest.fixture
def counted(admin: httpx.Client) -> Counted:
    return Counted(admin, admin.get("/_emulator/compiles").json())


@pytest.fixture
def other(client: Client) -> Iterator[Client]:
    made = client.as_account(test_account("free tier"))
    yield made
    made.close()


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from run to run."""
    own = {"job_id", "id", "total_time_ms", "execution_time_ms", "execution_time"}
    return {name: value for name, value in answer.items() if name not in own}


def test_the_second_run_of_a_source_is_as_the_first_but_not_compiled(
    client: Client, counted: Counted
) -> None:
    code = source()
    first, second = (client.execute("c", code, return_artifact=True) for _ in range(2))
    assert counted() == (1, 1)
    assert told(first) == told(second)
    assert (second["stdout"], second["exit_code"]) == ("hello\n", 3)
    assert "look here" in second["stderr"]
    (binary,) = second["artifacts"]
    assert base64.b64decode(binary["data"]).startswith(b"\x7fELF")


@pytest.mark.parametrize(
    "changes",
    [{"env": {"A": "b"}}, {"env": {"C_INCLUDE_PATH": "/tmp/input"}}],
    ids=["a variable", "a search path"],
)
def test_another_environment_is_another_compile(
    client: Client, counted: Counted, changes: dict[str, Any]
) -> None:
    code = source()
    client.execute("c", code)
    client.execute("c", code, **changes)
    assert counted() == (0, 2)
    client.execute("c", code, **changes)
    assert counted() == (1, 2)


def test_another_source_is_another_compile(client: Client, counted: Counted) -> None:
    assert [client.execute("c", source(text))["stdout"] for text in "ab"] == ["a\n", "b\n"]
    assert counted() == (0, 2)


def test_another_account_s_compile_is_never_used(
    client: Client, other: Client, counted: Counted
) -> None:
    code = source()
    client.execute("c", code)
    assert other.execute("c", code)["stdout"] == "hello\n"
    assert counted() == (0, 2)


def test_with_input_files_a_source_is_always_compiled(client: Client, counted: Counted) -> None:
    code = f'// {next(_NUMBERS)}\n#include "text.h"\n{WARNED}'
    for text in ("one", "two"):
        header = base64.b64encode(f'#define TEXT "{text}"'.encode()).decode()
        files = [{"filename": "text.h", "content": header}]
        assert client.execute("c", code, input_files=files)["stdout"] == f"{text}\n"
    assert counted() == (0, 0)


def test_a_compile_that_fails_is_tried_again(client: Client, counted: Counted) -> None:
    code = f"// {next(_NUMBERS)}\nint main(void) {{ nonsense }}"
    for _ in range(2):
        answer = client.execute("c", code)
        assert (answer["exit_code"], "nonsense" in answer["stderr"]) == (1, True)
    assert counted() == (0, 2)


@pytest.mark.parametrize("place", ["/tmp/input/main.d", "/tmp/artifacts/main.d"])
def test_a_compile_that_leaves_more_than_its_program_is_done_again(
    client: Client, counted: Counted, place: str
) -> None:
    code, env = source(), {"DEPENDENCIES_OUTPUT": place}
    answers = [client.execute("c", code, env=env, return_artifact=True) for _ in range(2)]
    assert told(answers[0]) == told(answers[1])
    assert counted() == (0, 2)


def test_a_program_that_replaces_itself_does_not_change_what_is_kept(
    client: Client, counted: Counted
) -> None:
    code = f"""// {next(_NUMBERS)}
#include <stdio.h>
#include <sys/stat.h>
int main(int count, char **words) {{
    puts("the compiled one");
    remove(words[0]);
    FILE *file = fopen(words[0], "w");
    fputs("#!/bin/sh\\necho another\\n", file);
    return fclose(file) || chmod(words[0], 0755);
}}
"""
    for _ in range(3):
        answer = client.execute("c", code)
        assert (answer["stdout"], answer["exit_code"]) == ("the compiled one\n", 0)
    assert counted() == (2, 1)


def test_a_program_larger_than_a_window_is_kept(client: Client, counted: Counted) -> None:
    code = f"""// {next(_NUMBERS)}
#include <stdio.h>
static char large[1 << 20] = {{1}};
int main(void) {{ printf("%d %zu\\n", large[0], sizeof large); return 0; }}
"""
    for _ in range(2):
        assert client.execute("c", code)["stdout"] == "1 1048576\n"
    assert counted() == (1, 1)


def test_what_is_kept_can_be_cleared(client: Client, admin: httpx.Client, counted: Counted) -> None:
    code = source()
    client.execute("c", code)
    assert admin.get("/_emulator/compiles").json()["entries"] > 0
    assert admin.delete("/_emulator/compiles").json() == {"status": "cleared"}
    assert admin.get("/_emulator/compiles").json()["entries"] == 0
    client.execute("c", code)
    assert counted() == (0, 2)


def compiled_twice(server: Server, code: str) -> dict[str, int]:
    client = Client(server.api)
    for _ in range(2):
        client.execute("c", code)
    client.close()
    figures: dict[str, int] = httpx.get(f"{server.admin}/_emulator/compiles").json()
    return figures


def test_a_restart_forgets_everything(tmp_path: Path) -> None:
    for _ in range(2):
        with running(settings(tmp_path, languages="c")) as server:
            figures = compiled_twice(server, WARNED.replace("TEXT", '"hello"'))
            assert (figures["hits"], figures["misses"]) == (1, 1)


def test_the_setting_turns_it_off(tmp_path: Path) -> None:
    with running(settings(tmp_path, languages="c", compile_cache="0")) as server:
        figures = compiled_twice(server, WARNED.replace("TEXT", '"hello"'))
    assert figures == {"entries": 0, "bytes": 0, "limit_bytes": 0, "hits": 0, "misses": 0}
