"""What is to be run, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from emulator.sandbox.engine_faults import EngineFault
from emulator.sandbox.runtimes import Runtime

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Bytes of each stream that an answer carries; what is over is dropped and told."""

OUT_OF_MEMORY = 137
"""Exit code of a program that the kernel killed for memory: 128 + SIGKILL."""

TIMED_OUT = 124
"""Exit code of a program that outlived its ttl, as timeout(1) has it."""

CANCELLED = 137
"""Exit code of a program that was ended on request: 128 + SIGKILL."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file for the working directory; `path` is relative and has no `..`."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """One execution as asked for, every part checked; `account` is its sender's public key."""

    account: str
    runtime: Runtime
    code: bytes
    env: Mapping[str, str]
    network_mode: str
    ttl: int
    vcpu: int
    input_files: tuple[InputFile, ...]
    return_artifact: bool
    return_wasm_artifact: bool = False
    fault: EngineFault | None = None

    @property
    def bytes(self) -> int:
        """About how much memory it takes while it waits."""
        files = sum(len(file.content) for file in self.input_files)
        env = sum(len(name) + len(value) for name, value in self.env.items())
        return len(self.code) + files + env


class Ending(StrEnum):
    """How a run ended, platform failures apart: those are exceptions."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Stream:
    """What a program printed, up to OUTPUT_LIMIT, and whether there was more."""

    data: bytes = b""
    truncated: bool = False

    def followed_by(self, later: "Stream") -> "Stream":
        """Both, within the limit of one."""
        data = self.data + later.data
        truncated = self.truncated or later.truncated or len(data) > OUTPUT_LIMIT
        return Stream(data[:OUTPUT_LIMIT], truncated)

    def text(self) -> str:
        """UTF-8, with U+FFFD for what is none; a character that the limit cut is left out."""
        data = self.data
        if self.truncated:
            data = data[: len(data) - _cut_character(data)]
        return data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a run left for its sender."""

    filename: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Artifacts:
    """All that a run left: `files`, with what its compilers made, which also stand alone.

    `skipped` counts entries that are no regular file, cannot be read or are over a bound.
    """

    files: tuple[Artifact, ...] = ()
    binary: Artifact | None = None
    wasm: Artifact | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run, or of one of its commands."""

    ending: Ending
    exit_code: int
    stdout: Stream
    stderr: Stream
    artifacts: Artifacts = Artifacts()

    @property
    def succeeded(self) -> bool:
        return self.ending is Ending.EXITED and self.exit_code == 0

    def followed_by(self, later: "Outcome") -> "Outcome":
        """The later end, with what both printed: a compiler's warnings come first."""
        return replace(
            later,
            stdout=self.stdout.followed_by(later.stdout),
            stderr=self.stderr.followed_by(later.stderr),
        )


NEVER_STARTED = Outcome(Ending.CANCELLED, CANCELLED, Stream(), Stream())
"""What comes of a program that was no longer wanted before it had a container."""


def _cut_character(data: bytes) -> int:
    """How many bytes at the end of `data` begin a UTF-8 character without ending it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
            return back if length > back else 0
    return 0
