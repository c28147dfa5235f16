"""Servers that lose or change what goes into a program and what comes out of it."""

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from contract.mutants.mutant import Kind, Mutant
from contract.mutants.mutators import chained, document, on_request, request_document
from contract.mutants.traffic import Build, Call

_TEXTS = ("stdout", "stderr", "output")
_RUNS = ("execute", "run", "getJob", "waitJob")
_KEPT = 512
_EIGHTH = 2**28


def _texts(edit: Callable[[str], str]) -> Build:
    """Edits what a program wrote."""

    def edited(body: Any) -> None:  # noqa: ANN401 - any JSON
        body.update({name: edit(body[name]) for name in _TEXTS if name in body})

    return document(edited)


def _loses(
    name: str,
    fault: str,
    build: Build,
    operations: tuple[str, ...] = _RUNS,
    kind: Kind = Kind.DATA_LOSS,
) -> Mutant:
    return Mutant(name, fault, kind, "semantics", operations, build)


def _merged(body: Any) -> None:  # noqa: ANN401 - any JSON
    if "stderr" in body:
        body["stdout"] = body.get("stdout", "") + body["stderr"]
        body["stderr"] = ""
        if "output" in body:
            body["output"] = body["stdout"]


def _swapped(body: Any) -> None:  # noqa: ANN401 - any JSON
    body["stdout"], body["stderr"] = body.get("stderr", ""), body.get("stdout", "")


def _always_right(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("exit_code"):
        body.update(exit_code=0, success=True)


def _one_for_all(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("exit_code"):
        body["exit_code"] = 1


def _always_success(body: Any) -> None:  # noqa: ANN401 - any JSON
    if "success" in body:
        body["success"] = True


def _files(edit: Callable[[list[Any]], list[Any]]) -> Build:
    def edited(body: Any) -> None:  # noqa: ANN401 - any JSON
        if isinstance(body.get("input_files"), list):
            body["input_files"] = edit(body["input_files"])

    return request_document(edited)


def _contents(edit: Callable[[bytes], bytes]) -> Callable[[list[Any]], list[Any]]:
    def edited(files: list[Any]) -> list[Any]:
        return [{**file, "content": _recoded(file.get("content"), edit)} for file in files]

    return edited


def _recoded(content: object, edit: Callable[[bytes], bytes]) -> object:
    if not isinstance(content, str):
        return content
    try:
        decoded = base64.b64decode(content, validate=True)
    except ValueError:
        return content
    return base64.b64encode(edit(decoded)).decode()


def _artifacts(edit: Callable[[list[Any]], list[Any]]) -> Build:
    def edited(body: Any) -> None:  # noqa: ANN401 - any JSON
        if body.get("artifacts"):
            body["artifacts"] = edit(body["artifacts"])

    return document(edited)


def _artifact_data(edit: Callable[[bytes], bytes]) -> Callable[[list[Any]], list[Any]]:
    def edited(artifacts: list[Any]) -> list[Any]:
        return [{**it, "data": _recoded(it.get("data"), edit)} for it in artifacts]

    return edited


def _without(*names: str) -> Build:
    """A request's members are left out, in its body or its query."""

    def edited(call: Call) -> dict[str, Any]:
        path, _, query = call.target.partition("?")
        kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in names]
        return {"target": f"{path}?{urlencode(kept)}" if kept else path}

    def removed(body: Any) -> None:  # noqa: ANN401 - any JSON
        for name in names:
            body.pop(name, None)

    return chained(on_request(edited), request_document(removed))


def _code(edit: Callable[[str], str]) -> Build:
    def edited(body: Any) -> None:  # noqa: ANN401 - any JSON
        if isinstance(body.get("code"), str):
            body["code"] = edit(body["code"])

    return request_document(edited)


def _with_little_memory(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("language") == "python" and isinstance(body.get("code"), str):
        limit = f"resource.setrlimit(resource.RLIMIT_DATA, ({_EIGHTH}, {_EIGHTH}))"
        body["code"] = f"import resource; {limit}\n{body['code']}"


def _environment(edit: Callable[[str], str]) -> Build:
    def edited(body: Any) -> None:  # noqa: ANN401 - any JSON
        if isinstance(body.get("env"), dict):
            body["env"] = {
                name: edit(value) if isinstance(value, str) else value
                for name, value in body["env"].items()
            }

    return request_document(edited)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _network(mode: str) -> Build:
    """Programs get another network than they asked for, and are told that they got theirs."""

    def asked(body: Any) -> None:  # noqa: ANN401 - any JSON
        if isinstance(body.get("code"), str):
            body["network_mode"] = mode

    other = "zerotrust" if mode == "semitrusted" else "semitrusted"
    return chained(request_document(asked), document(lambda body: body.update(network_mode=other)))


def _timeout_as_completed(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("status") == "timeout":
        body.update(status="completed", success=True, exit_code=0)
        body.pop("error", None)


def _output_lost_at_ttl(body: Any) -> None:  # noqa: ANN401 - any JSON
    if body.get("status") == "timeout":
        body.update({name: "" for name in _TEXTS if name in body})


PROGRAMS = (
    _loses("output-cut", "Output ends after 512 characters.", _texts(lambda it: it[:_KEPT])),
    _loses("output-stripped", "Blanks at the end of output are lost.", _texts(str.rstrip)),
    _loses(
        "output-newlines",
        "CR LF in output becomes LF.",
        _texts(lambda it: it.replace("\r\n", "\n")),
    ),
    _loses("output-ascii", "Letters beyond ASCII come as question marks.", _texts(_ascii)),
    _loses(
        "output-without-nul",
        "Zero bytes are left out of output.",
        _texts(lambda it: it.replace("\0", "")),
    ),
    _loses(
        "output-without-escapes",
        "Terminal escapes are left out of output.",
        _texts(lambda it: re.sub(r"\x1b\[[0-9;]*m", "", it)),
    ),
    _loses("streams-merged", "stderr comes in stdout.", document(_merged), kind=Kind.STREAMS),
    _loses(
        "streams-swapped", "stdout and stderr are swapped.", document(_swapped), kind=Kind.STREAMS
    ),
    _loses(
        "stderr-lost",
        "stderr is empty.",
        document(lambda body: body.update(stderr="")),
        kind=Kind.STREAMS,
    ),
    _loses("exit-code-0", "Every exit code is 0.", document(_always_right), kind=Kind.STATE),
    _loses("exit-code-1", "Every failure has the exit code 1.", document(_one_for_all)),
    _loses("success-always", "Every program succeeds.", document(_always_success), kind=Kind.STATE),
    _loses(
        "ttl-completes",
        "A program that meets its ttl has completed.",
        document(_timeout_as_completed),
        kind=Kind.TIME,
    ),
    _loses(
        "ttl-loses-output",
        "What was written before the ttl was met is lost.",
        document(_output_lost_at_ttl),
    ),
    _loses("code-ascii", "Letters of code beyond ASCII are lost.", _code(_ascii), ("execute",)),
    _loses(
        "code-newlines",
        "CR LF in code becomes LF.",
        _code(lambda it: it.replace("\r\n", "\n")),
        ("execute",),
    ),
    _loses("env-lost", "Environment variables do not arrive.", _without("env"), ("execute", "run")),
    _loses(
        "env-stripped",
        "Blanks around the values of environment variables are lost.",
        _environment(str.strip),
        ("execute",),
    ),
    _loses("files-lost", "Input files do not arrive.", _without("input_files"), ("execute",)),
    _loses(
        "second-file-lost",
        "The first input file alone arrives.",
        _files(lambda files: files[:1]),
        ("execute",),
    ),
    _loses(
        "files-as-text",
        "Input files are treated as text: CR LF becomes LF.",
        _files(_contents(lambda it: it.replace(b"\r\n", b"\n"))),
        ("execute",),
    ),
    _loses(
        "files-utf-8",
        "Bytes of input files that are no UTF-8 are lost.",
        _files(_contents(lambda it: it.decode("utf-8", "ignore").encode())),
        ("execute",),
    ),
    _loses(
        "artifacts-lost",
        "No artifacts come back.",
        _without("return_artifact"),
        ("execute", "run"),
    ),
    _loses(
        "artifacts-first",
        "The first artifact alone comes back.",
        _artifacts(lambda found: found[:1]),
        ("execute",),
    ),
    _loses(
        "artifacts-cut",
        "The last byte of artifacts is lost.",
        _artifacts(_artifact_data(lambda it: it[:-1])),
        ("execute", "getJob"),
    ),
    _loses(
        "artifacts-utf-8",
        "Bytes of artifacts that are no UTF-8 are lost.",
        _artifacts(_artifact_data(lambda it: it.decode("utf-8", "ignore").encode())),
        ("execute",),
    ),
    _loses(
        "artifact-names",
        "Artifacts have lost their names.",
        _artifacts(lambda found: [{**it, "filename": "artifact"} for it in found]),
        ("execute",),
    ),
    _loses(
        "wasm-lost",
        "No WebAssembly module comes back.",
        _without("return_wasm_artifact"),
        ("execute", "run"),
    ),
    _loses(
        "run-ttl-ignored",
        "The ttl in the query is not kept.",
        _without("ttl"),
        ("run", "runAsync"),
        Kind.TIME,
    ),
    _loses(
        "looking-fails",
        "A program that looks for files by their name fails.",
        _code(lambda it: "exit 1" if "find / " in it else it),
        ("execute",),
        Kind.STATE,
    ),
    _loses(
        "looking-finds-nothing",
        "A program that looks for files by their name is shown none.",
        _code(lambda it: it.replace("find /", "true /")),
        ("execute",),
        Kind.STATE,
    ),
    Mutant(
        "memory-small",
        "A program has an eighth of the memory that comes with its vCPU.",
        Kind.LIMITS,
        "isolation",
        ("execute",),
        request_document(_with_little_memory),
        thorough=True,
    ),
    Mutant(
        "network-open",
        "A zerotrust program reaches the world outside.",
        Kind.ISOLATION,
        "isolation",
        ("execute",),
        _network("semitrusted"),
    ),
    Mutant(
        "network-open-later",
        "A zerotrust program that is run asynchronously reaches the world outside.",
        Kind.ISOLATION,
        "isolation",
        ("executeAsync", "getJob", "waitJob"),
        _network("semitrusted"),
    ),
    Mutant(
        "network-closed",
        "A semitrusted program reaches nothing.",
        Kind.ISOLATION,
        "isolation",
        ("execute",),
        _network("zerotrust"),
    ),
    Mutant(
        "network-untold",
        "Every program is said to be zerotrust.",
        Kind.ISOLATION,
        "isolation",
        ("execute",),
        document(lambda body: body.update(network_mode="zerotrust")),
    ),
    Mutant(
        "network-of-query-ignored",
        "The network in the query is ignored.",
        Kind.ISOLATION,
        "isolation",
        ("run", "runAsync"),
        _without("network_mode"),
    ),
)
