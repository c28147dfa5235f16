"""Files, compiled programs and WebAssembly modules that come back with a run."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import wasmtime

from emulator.paths import RUNTIMES
from emulator.sandbox.runtime import Runtime, RuntimeTest
from emulator.sandbox.runtimes import Catalogue
from tests.built import needs
from tests.client import Client

Json = dict[str, Any]
PROGRAM = """
#include <stdio.h>
int main(int argc, char **argv) {
    int n = 0;
    while (getchar() != EOF) n++;
    printf("%d %d\\n", argc, n);
    return 7;
}
"""
NATIVE_ONLY = """
#include <setjmp.h>
#include <stdio.h>
jmp_buf here;
int main(void) { if (setjmp(here) == 0) longjmp(here, 1); puts("native"); return 0; }
"""


def content(artifact: Json) -> bytes:
    assert artifact["type"] == "base64"
    assert artifact["data"] == artifact["content_base64"]
    return base64.b64decode(artifact["data"], validate=True)


def named(answer: Json) -> dict[str, bytes]:
    """Contents by name; no name stands twice."""
    files = {artifact["filename"]: content(artifact) for artifact in answer["artifacts"]}
    assert len(files) == len(answer["artifacts"])
    return files


def run_wasi(module: bytes, arguments: list[str], stdin: bytes, directory: Path) -> tuple[int, str]:
    """Exit code and output of a module under a WASI runtime that shares nothing with ours."""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    (directory / "stdin").write_bytes(stdin)
    wasi = wasmtime.WasiConfig()
    wasi.argv = arguments
    wasi.stdin_file = str(directory / "stdin")
    wasi.stdout_file = str(directory / "stdout")
    store.set_wasi(wasi)
    start = linker.instantiate(store, wasmtime.Module(engine, module)).exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    code = 0
    try:
        start(store)
    except wasmtime.ExitTrap as ended:
        code = ended.code
    return code, (directory / "stdout").read_text()


def test_the_module_does_what_the_program_did(client: Client, tmp_path: Path) -> None:
    answer = client.execute("c", PROGRAM, return_wasm_artifact=True)
    assert (answer["stdout"], answer["exit_code"]) == ("1 0\n", 7)
    assert answer["stderr"] == ""
    assert answer["wasm_artifact"]["filename"] == "main.wasm"
    module = content(answer["wasm_artifact"])
    assert named(answer) == {"main.wasm": module}
    assert "artifact" not in answer
    assert run_wasi(module, ["main", "a", "b"], b"12345", tmp_path) == (7, "3 5\n")


TARGETS = [
    pytest.param(runtime, test, id=f"{runtime.name}-{test.name}", marks=needs(runtime))
    for runtime in Catalogue.load(RUNTIMES)
    if runtime.wasm is not None
    for test in runtime.tests
    if test.name in ("hello", "fib", "stderr")
]


@pytest.mark.parametrize(("runtime", "test"), TARGETS)
def test_every_such_target_makes_modules_that_do_what_the_programs_do(
    client: Client, runtime: Runtime, test: RuntimeTest, tmp_path: Path
) -> None:
    answer = client.execute(runtime.name, test.code, return_wasm_artifact=True)
    assert (answer["exit_code"], answer["stdout"]) == (test.exit_code, test.stdout)
    assert answer["stderr"] == test.stderr
    module = content(answer["wasm_artifact"])
    assert run_wasi(module, ["main"], b"", tmp_path) == (test.exit_code, test.stdout)


def test_headers_among_the_input_files_are_found_by_both_compilers(
    client: Client, tmp_path: Path
) -> None:
    header = {"filename": "code.h", "content": base64.b64encode(b"#define CODE 9\n").decode()}
    answer = client.execute(
        "c",
        '#include "code.h"\nint main(void) { return CODE; }',
        input_files=[header],
        return_wasm_artifact=True,
    )
    assert answer["exit_code"] == 9
    assert run_wasi(content(answer["wasm_artifact"]), ["main"], b"", tmp_path) == (9, "")


def test_program_module_and_files_come_together(client: Client) -> None:
    code = PROGRAM.replace("int n", 'fputs("left", fopen("/tmp/artifacts/note", "w")); int n')
    answer = client.execute("c", code, return_artifact=True, return_wasm_artifact=True)
    files = named(answer)
    assert set(files) == {"note", "main", "main.wasm"}
    assert files["note"] == b"left"
    assert files["main"] == content(answer["artifact"])
    assert files["main"].startswith(b"\x7fELF")
    assert files["main.wasm"] == content(answer["wasm_artifact"])
    assert files["main.wasm"].startswith(b"\0asm")


def test_no_object_follows_the_list_for_clients_that_take_it_for_a_file(client: Client) -> None:
    fields = {"language": "c", "code": PROGRAM, "return_artifact": True}
    text = client.post("/execute", {**fields, "return_wasm_artifact": True}).text
    assert text.partition('"artifacts":[')[2].count("{") == 2


def test_a_file_that_is_named_like_the_program_keeps_its_name(client: Client) -> None:
    code = (
        '#include <stdio.h>\nint main(void) { fputs("mine", fopen("/tmp/artifacts/main", "w")); }'
    )
    answer = client.execute("c", code, return_artifact=True)
    assert named(answer) == {"main": b"mine"}
    assert content(answer["artifact"]).startswith(b"\x7fELF")


def test_a_program_that_cannot_be_webassembly_runs_all_the_same(client: Client) -> None:
    answer = client.execute("c", NATIVE_ONLY, return_wasm_artifact=True)
    assert (answer["stdout"], answer["success"]) == ("native\n", True)
    assert "wasm_artifact" not in answer
    assert answer["artifacts"] == []
    assert "error" in answer["stderr"]
    assert answer["stderr"].endswith(
        "[no WebAssembly module: its compiler ended with exit code 1]\n"
    )


def test_nothing_is_made_of_what_does_not_compile(client: Client) -> None:
    answer = client.execute("c", "int main(", return_artifact=True, return_wasm_artifact=True)
    assert (answer["success"], answer["status"]) == (False, "completed")
    assert answer["artifacts"] == []
    assert not {"artifact", "wasm_artifact"} & set(answer)
    assert "WebAssembly" not in answer["stderr"]


def test_the_ttl_counts_for_both_compilers_and_the_program(client: Client) -> None:
    answer = client.execute(
        "c",
        "int main(void) { for (;;) ; }",
        ttl=3,
        return_artifact=True,
        return_wasm_artifact=True,
    )
    assert answer["status"] == "timeout"
    assert set(named(answer)) == {"main", "main.wasm"}


ENDINGS = {
    "fails": ("exit 3", "completed"),
    "times out": ("sleep 4711", "timeout"),
    "is killed": ("kill -9 $$", "completed"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_what_was_written_by_then_comes_back_whatever_the_end(client: Client, name: str) -> None:
    ending, status = ENDINGS[name]
    code = f"echo part > /tmp/artifacts/part; {ending}"
    answer = client.execute("bash", code, ttl=1, return_artifact=True)
    assert (answer["status"], answer["success"]) == (status, False)
    assert named(answer) == {"part": b"part\n"}


def test_what_is_left_out_is_told(client: Client) -> None:
    code = "cd /tmp/artifacts; for n in $(seq 103); do echo > $n; done; ln -s 1 link"
    answer = client.execute("bash", code, return_artifact=True)
    assert len(answer["artifacts"]) == 100
    assert answer["artifacts_skipped"] == 4
    assert "artifacts_skipped" not in client.execute("bash", "true", return_artifact=True)


def test_a_program_over_the_bound_is_left_out_and_told(client: Client) -> None:
    code = "char much[40 << 20] = {1}; int main(void) { return much[5]; }"
    answer = client.execute("c", code, return_artifact=True)
    assert (answer["success"], answer["artifacts"], answer["artifacts_skipped"]) == (True, [], 1)
    assert "artifact" not in answer


def test_a_link_in_place_of_the_module_leads_nowhere(client: Client) -> None:
    code = """
        #include <unistd.h>
        int main(void) { chdir("/tmp/code"); unlink("main.wasm"); unlink("main");
                         return symlink("/etc/passwd", "main.wasm") + symlink("/etc", "main"); }"""
    answer = client.execute("c", code, return_artifact=True, return_wasm_artifact=True)
    assert (answer["exit_code"], answer["artifacts"]) == (0, [])


def test_a_run_returns_them_too(client: Client) -> None:
    query = urlencode({"return_artifact": "true", "return_wasm_artifact": "1"})
    source = f"#!/usr/bin/tcc -run\n{PROGRAM}".encode()
    answer = client.send("POST", f"/run?{query}", source, "text/plain").json()
    assert set(named(answer)) == {"main", "main.wasm"}
    body = {"code": source.decode(), "return_wasm_artifact": True}
    assert set(named(client.post("/run", body).json())) == {"main.wasm"}


def test_the_job_has_what_the_answer_had(client: Client) -> None:
    answer = client.execute("c", PROGRAM, return_artifact=True, return_wasm_artifact=True)
    job = client.get(f"/jobs/{answer['job_id']}").json()
    for name in ("artifacts", "artifact", "wasm_artifact"):
        assert job[name] == answer[name]


def test_a_job_that_nobody_waited_for_has_them_too(client: Client, tmp_path: Path) -> None:
    body = {"language": "c", "code": PROGRAM, "return_wasm_artifact": True}
    job_id = client.post("/execute/async", body).json()["job_id"]
    job = client.get(f"/jobs/{job_id}/wait").json()
    assert run_wasi(content(job["wasm_artifact"]), ["main"], b"1", tmp_path) == (7, "1 1\n")


@pytest.mark.parametrize("path", ["/execute", "/run", "/execute/async", "/run/async"])
def test_a_language_without_such_a_target_is_a_400_that_names_those_with_one(
    client: Client, path: str
) -> None:
    with_one = ", ".join(Catalogue.load(RUNTIMES).with_wasm())
    fields = {"language": "python"} if path.startswith("/execute") else {}
    code = "#!/usr/bin/env python3\n"
    response = client.post(path, {**fields, "code": code, "return_wasm_artifact": True})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")
    assert response.json()["details"] == (
        f"return_wasm_artifact: python does not compile to WebAssembly here; these do: {with_one}"
    )
