"""One language of the API, and how its programs are run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

CODE_DIRECTORY = "/tmp/code"  # noqa: S108 - inside the sandbox, as the two below
"""Where the source and what is compiled from it lie."""
INPUT_DIRECTORY = "/tmp/input"  # noqa: S108
"""Where input files lie; the working directory."""
ARTIFACTS_DIRECTORY = "/tmp/artifacts"  # noqa: S108
"""Where a program leaves files for its sender."""

ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "USER": "sandbox",
}
"""What every program finds in its environment, before its language's and its sender's."""

UNAVAILABLE = "not available in this version"

FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Command = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]

PLACEHOLDERS = ("{source}", "{binary}", "{name}")
_IDENTIFIER = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)


class CatalogueError(ValueError):
    """The data does not hold together; the message names the file and the key."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a TOML file; a key that it does not name is an error."""


class ImageFacts(Table, frozen=True, rename={"parent": "from"}):
    """What the Dockerfile is built with, each under a build argument of its own.

    `parent` is the image of `runtimes/` that it is built on (`BASE`), `uses` are others that it
    copies from (the name in upper case), and `official` is an image of the language's own makers
    (`OFFICIAL`): here already, or pulled.
    """

    parent: FileName = "base"
    uses: tuple[FileName, ...] = ()
    official: str | None = None


class RunFacts(Table, frozen=True):
    """How programs are run.

    In commands `{source}` and `{binary}` stand for paths, `{name}` for the name of the source
    without its suffix. Where the code itself names its file, as Java's public class does, the first
    group of `named_by`, a regular expression, finds that name; `source` is for all other code.
    `shebang` says whether the interpreter skips one; compilers are never shown it.
    """

    source: FileName
    command: Command
    version: Command
    compile: tuple[str, ...] = ()
    binary: FileName | None = None
    named_by: str | None = None
    shebang: bool = True
    env: Mapping[str, str] = msgspec.field(default_factory=dict)


class WasmFacts(Table, frozen=True):
    """How the same source becomes a WebAssembly module; in `compile`, `{binary}` is its path."""

    compile: Command
    binary: FileName


@dataclass(frozen=True, slots=True)
class RuntimeTest:
    """A program with what must come of it.

    Its standard output is `printed`, `repeat` times over. `stderr` is a part of what is written
    there; nothing may be when it is empty. `times_out` says that the program only ends when its
    `ttl` (in seconds) does; its exit code then means nothing. `bar_seconds` is what it may take in
    a container that waits, compiling included; where it is missed the bench fails, no test.
    """

    name: str
    program: Path
    env: Mapping[str, str]
    files: Mapping[str, str]
    ttl: int
    printed: str
    repeat: int
    stderr: str
    exit_code: int
    times_out: bool
    bar_seconds: float | None

    @property
    def stdout(self) -> str:
        """Made when it is asked for: it may be a megabyte."""
        return self.printed * self.repeat

    @property
    def code(self) -> str:
        return self.program.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A language of the API, and how to run it if this version can."""

    name: str
    folder: Path
    aliases: tuple[str, ...]
    extensions: tuple[str, ...]
    interpreters: tuple[str, ...]
    image: ImageFacts
    run: RunFacts | None
    wasm: WasmFacts | None
    tests: tuple[RuntimeTest, ...]

    @property
    def available(self) -> bool:
        return self.run is not None

    @property
    def unavailable_reason(self) -> str | None:
        return None if self.available else UNAVAILABLE

    @property
    def facts(self) -> RunFacts:
        """The `[run]` table; raises CatalogueError for a runtime that is not available."""
        if self.run is None:
            raise CatalogueError(f"{self.name}: {UNAVAILABLE}")
        return self.run

    def for_code(self, code: str) -> "Runtime":
        """The same, with the file name that `code` wants for its source."""
        found = re.search(self.facts.named_by, code) if self.facts.named_by else None
        if found is None or not _IDENTIFIER.fullmatch(found[1] or ""):
            return self
        source = PurePosixPath(self.facts.source).with_stem(found[1]).name
        return replace(self, run=msgspec.structs.replace(self.facts, source=source))

    def readable(self, code: str) -> str:
        """Not all know a shebang; an empty line in its place leaves the others their numbers."""
        knows_it = self.facts.shebang and not self.facts.compile
        if code.startswith("#!") and not knows_it:
            return "\n" + code.partition("\n")[2]
        return code

    @property
    def source_path(self) -> str:
        return f"{CODE_DIRECTORY}/{self.facts.source}"

    @property
    def binary_path(self) -> str | None:
        """What compiling leaves behind, which is an artifact too; None where nothing does."""
        binary = self.facts.binary
        return None if binary is None else f"{CODE_DIRECTORY}/{binary}"

    @property
    def compile_command(self) -> tuple[str, ...]:
        """Empty where there is nothing to compile."""
        return self._filled(self.facts.compile, self.binary_path)

    @property
    def run_command(self) -> tuple[str, ...]:
        return self._filled(self.facts.command, self.binary_path)

    @property
    def version_command(self) -> tuple[str, ...]:
        return self._filled(self.facts.version, self.binary_path)

    @property
    def wasm_path(self) -> str | None:
        """Where the WebAssembly module lies once it is made; None without such a target."""
        return None if self.wasm is None else f"{CODE_DIRECTORY}/{self.wasm.binary}"

    @property
    def wasm_command(self) -> tuple[str, ...]:
        """Empty without such a target."""
        return () if self.wasm is None else self._filled(self.wasm.compile, self.wasm_path)

    @property
    def environment(self) -> dict[str, str]:
        """What a program finds in its environment unless its sender says otherwise."""
        return {**ENVIRONMENT, **self.facts.env}

    def _filled(self, command: tuple[str, ...], binary: str | None) -> tuple[str, ...]:
        source = self.source_path
        filled = {
            "{source}": source,
            "{binary}": binary or "",
            "{name}": PurePosixPath(source).stem,
        }
        return tuple(filled.get(word, word) for word in command)
