"""Reading and checking the files of `runtimes/`; every error names the file and the key."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from emulator.sandbox.runtime import (
    PLACEHOLDERS,
    CatalogueError,
    ImageFacts,
    RunFacts,
    Runtime,
    RuntimeTest,
    Table,
    WasmFacts,
)
from emulator.typed import misfit

T = TypeVar("T")

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9+]*$")]
Extension = Annotated[str, msgspec.Meta(pattern=r"^\.[A-Za-z0-9]+$")]
Interpreter = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


class _Expectation(Table, frozen=True):
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    files: Mapping[str, str] = msgspec.field(default_factory=dict)
    ttl: Annotated[int, msgspec.Meta(ge=1, le=900)] = 60
    stdout: str = ""
    repeat: Annotated[int, msgspec.Meta(ge=1)] = 1
    stderr: str = ""
    exit_code: int = 0
    times_out: bool = False
    bar_seconds: float | None = None


class _RuntimeFile(Table, frozen=True):
    aliases: tuple[Name, ...]
    extensions: tuple[Extension, ...]
    interpreters: tuple[Interpreter, ...]
    image: ImageFacts = ImageFacts()
    run: RunFacts | None = None
    wasm: WasmFacts | None = None
    tests: dict[str, dict[str, object]] = msgspec.field(default_factory=dict)


class OrderFile(Table, frozen=True):
    """`catalogue.toml`."""

    languages: tuple[Name, ...]
    usual: tuple[Name, ...] = ()


def read(file: Path, kind: type[T]) -> T:
    """A TOML file as `kind`; raises CatalogueError."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{file}: {error}") from error
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{file}: {misfit(error)}") from error


def read_runtime(file: Path, common: Mapping[str, Mapping[str, object]]) -> Runtime:
    """A `runtime.toml`, with what all languages' test programs have in `common`.

    Raises:
        CatalogueError: it breaks a rule.
    """
    facts = read(file, _RuntimeFile)
    if not re.fullmatch(r"[a-z][a-z0-9]*", file.parent.name):
        raise CatalogueError(f"{file}: a language folder has a lower-case name")
    if facts.run is not None:
        _check_run(file, facts.run)
    if facts.wasm is not None:
        _check_wasm(file, facts.wasm, facts.run)
    return Runtime(
        name=file.parent.name,
        folder=file.parent,
        aliases=facts.aliases,
        extensions=facts.extensions,
        interpreters=facts.interpreters,
        image=facts.image,
        run=facts.run,
        wasm=facts.wasm,
        tests=() if facts.run is None else tuple(_tests(file, common, facts.tests)),
    )


def _check_run(file: Path, run: RunFacts) -> None:
    if run.named_by is not None:
        _check_pattern(file, run.named_by)
    commands = {"compile": run.compile, "command": run.command, "version": run.version}
    for key, words in commands.items():
        _check_placeholders(file, f"run.{key}", words)
        for word in words:
            if word == "{binary}" and run.binary is None:
                raise CatalogueError(
                    f"{file}: run.{key}: uses {{binary}}, but run.binary is missing"
                )
    if "{source}" not in run.compile + run.command:
        raise CatalogueError(f"{file}: run.command: no command takes {{source}}")


def _check_wasm(file: Path, wasm: WasmFacts, run: RunFacts | None) -> None:
    if run is None or not run.compile or wasm.binary in (run.source, run.binary):
        raise CatalogueError(f"{file}: wasm: stands beside a [run] that compiles to another file")
    _check_placeholders(file, "wasm.compile", wasm.compile)
    for word in ("{source}", "{binary}"):
        if word not in wasm.compile:
            raise CatalogueError(f"{file}: wasm.compile: takes no {word}")


def _check_pattern(file: Path, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise CatalogueError(f"{file}: run.named_by: {error}") from error
    if groups != 1:
        raise CatalogueError(f"{file}: run.named_by: has {groups} groups, not one")


def _check_placeholders(file: Path, key: str, words: tuple[str, ...]) -> None:
    for word in words:
        if re.fullmatch(r"\{\w*\}", word) and word not in PLACEHOLDERS:
            raise CatalogueError(f"{file}: {key}: {word!r} is no placeholder")


def _tests(
    file: Path,
    common: Mapping[str, Mapping[str, object]],
    special: Mapping[str, Mapping[str, object]],
) -> Iterator[RuntimeTest]:
    for name in [*common, *(name for name in special if name not in common)]:
        key = f"tests.{name}"
        try:
            expected = msgspec.convert(
                {**common.get(name, {}), **special.get(name, {})}, _Expectation
            )
        except msgspec.ValidationError as error:
            raise CatalogueError(f"{file}: {key}: {misfit(error)}") from error
        yield RuntimeTest(
            name=name,
            program=_program(file, key),
            env=expected.env,
            files=expected.files,
            ttl=expected.ttl,
            printed=expected.stdout,
            repeat=expected.repeat,
            stderr=expected.stderr,
            exit_code=expected.exit_code,
            times_out=expected.times_out,
            bar_seconds=expected.bar_seconds,
        )


def _program(file: Path, key: str) -> Path:
    pattern = key.replace(".", "/") + ".*"
    programs = list(file.parent.glob(pattern))
    if len(programs) != 1:
        raise CatalogueError(f"{file}: {key}: {len(programs)} programs {pattern}, not one")
    return programs[0]
