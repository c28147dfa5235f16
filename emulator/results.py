"""What a run made, as the document that its job keeps; and documents as they are shown."""

import base64
from collections.abc import Mapping

from emulator.jobs import JobStatus
from emulator.sandbox.program import Artifact, Artifacts, Ending, Outcome, Program, Stream
from emulator.store.documents import Document

STATUS = {
    Ending.EXITED: JobStatus.COMPLETED,
    Ending.OUT_OF_MEMORY: JobStatus.COMPLETED,
    Ending.TIMED_OUT: JobStatus.TIMEOUT,
    Ending.CANCELLED: JobStatus.CANCELLED,
}

PAIRS = {
    "id": "job_id",
    "output": "stdout",
    "execution_time_ms": "total_time_ms",
    "execution_time": "total_time_ms",
}
"""Second names under which real clients read a value; they are shown, never kept."""

_ARTIFACT_PAIRS = {"content_base64": "data"}
_ARTIFACTS = ("artifact", "wasm_artifact")


def shown(document: Document) -> Document:
    """`document` with the second names of what is in it."""
    more = _paired(document, PAIRS)
    artifacts = document.get("artifacts")
    if isinstance(artifacts, list):
        more["artifacts"] = [_paired(one, _ARTIFACT_PAIRS) for one in artifacts]
    for name in _ARTIFACTS:
        one = document.get(name)
        if isinstance(one, dict):
            more[name] = _paired(one, _ARTIFACT_PAIRS)
    return more


def _paired(document: Document, pairs: Mapping[str, str]) -> Document:
    more = {second: document[first] for second, first in pairs.items() if first in document}
    return {**document, **more}


def result(outcome: Outcome, program: Program) -> Document:
    """The part of a job that is known from its end."""
    document = printed(outcome)
    if outcome.ending is Ending.TIMED_OUT:
        document["error"] = f"The program was stopped after its ttl of {program.ttl} seconds"
    if program.return_artifact or program.return_wasm_artifact:
        document |= _artifacts(outcome.artifacts)
    return document


def printed(outcome: Outcome) -> Document:
    """What a program printed, and its exit code."""
    document: Document = {
        "success": outcome.succeeded,
        "stdout": outcome.stdout.text(),
        "stderr": outcome.stderr.text() + _closing_lines(outcome),
        "exit_code": outcome.exit_code,
    }
    for name, stream in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if stream.truncated:
            document[f"{name}_truncated"] = True
    return document


def _closing_lines(outcome: Outcome) -> str:
    """What the platform has to say about the run, as last lines of stderr."""
    lines = [
        f"[{name} is cut off after {len(stream.data)} bytes]"
        for name, stream in (("stdout", outcome.stdout), ("stderr", outcome.stderr))
        if stream.truncated
    ]
    if outcome.ending is Ending.OUT_OF_MEMORY:
        lines.append("[killed: out of memory]")
    if not lines:
        return ""
    return _fresh_line(outcome.stderr) + "\n".join(lines) + "\n"


def _fresh_line(stderr: Stream) -> str:
    return "\n" if stderr.data and not stderr.data.endswith(b"\n") else ""


def _artifacts(found: Artifacts) -> Document:
    """What was not made has no field.

    `artifacts` comes last: the vendor's C client reads every object after it as one more file.
    """
    document: Document = {}
    for name, one in (("artifact", found.binary), ("wasm_artifact", found.wasm)):
        if one is not None:
            document[name] = artifact(one)
    if found.skipped:
        document["artifacts_skipped"] = found.skipped
    document["artifacts"] = [artifact(file) for file in found.files]
    return document


def artifact(file: Artifact) -> Document:
    """A file, as documents have it."""
    return {
        "type": "base64",
        "filename": file.filename,
        "data": base64.b64encode(file.content).decode(),
    }
