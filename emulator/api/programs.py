"""From a validated request to a `Program`: what the schema cannot say is checked here."""

import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from emulator.accounts import Account
from emulator.api.call import Json
from emulator.errors import (
    BadRequest,
    RuntimeUnavailable,
    TierRequired,
    UnknownLanguage,
)
from emulator.nearest import did_you_mean
from emulator.sandbox.engine_faults import EngineFault
from emulator.sandbox.network import ZEROTRUST
from emulator.sandbox.program import InputFile, Program
from emulator.sandbox.runtimes import Catalogue, Runtime
from emulator.sandbox.shebang import interpreter_names

if TYPE_CHECKING:
    from emulator.emulator import Emulator

DEFAULT_TTL = 60
MAX_FILE_BYTES = 5_000_000
MAX_BASE64_CHARACTERS = 10_000_000
MAX_NAME_BYTES = 255
MAX_VARIABLE_BYTES = 131_071
"""Linux takes no longer `NAME=value` (MAX_ARG_STRLEN)."""
MAX_ENVIRONMENT_BYTES = 1_000_000


def program(
    runtime: Runtime,
    code: str,
    fields: Json,
    account: Account,
    fault: EngineFault | None = None,
) -> Program:
    """The program that `fields` (of an execute or run request) ask for, to be met by `fault`.

    Raises:
        BadRequest: a field breaks a rule; the message names both.
        ApiError: the account or this version lacks what is asked.
    """
    values: dict[str, Any] = dict(fields)
    network_mode = values.get("network_mode", ZEROTRUST)
    check_features(network_mode, account)
    _check_runtime(runtime)
    return Program(
        account=account.public_key,
        runtime=runtime.for_code(code),
        code=_utf8(runtime.readable(code), "code"),
        env=environment(values.get("env", {})),
        network_mode=network_mode,
        ttl=int(values.get("ttl", DEFAULT_TTL)),
        vcpu=int(values.get("vcpu", 1)),
        input_files=input_files(values.get("input_files", ())),
        return_artifact=values.get("return_artifact", False),
        return_wasm_artifact=values.get("return_wasm_artifact", False),
        fault=fault,
    )


def check_features(network_mode: str, account: Account) -> None:
    """Raise TierRequired for what the account's tier lacks."""
    if network_mode != ZEROTRUST and account.is_free:
        raise TierRequired(f"network_mode: the free tier has zerotrust, not {network_mode}")


def _check_runtime(runtime: Runtime) -> None:
    if not runtime.available:
        raise RuntimeUnavailable(f"language: {runtime.name}: {runtime.unavailable_reason}")


def check_wasm(catalogue: Catalogue, runtime: Runtime, fields: Json) -> None:
    """Raise BadRequest where a WebAssembly module is asked of a language that has none."""
    if fields.get("return_wasm_artifact") and runtime.wasm is None:
        raise BadRequest(
            f"return_wasm_artifact: {runtime.name} does not compile to WebAssembly here; "
            f"these do: {', '.join(catalogue.with_wasm())}"
        )


def check_language(emulator: "Emulator", fields: Json) -> None:
    """Raise UnknownLanguage for a language that is a text, but none of the names."""
    name = fields.get("language")
    if isinstance(name, str):
        named_runtime(emulator.catalogue, name)


def named_runtime(catalogue: Catalogue, name: str) -> Runtime:
    """The runtime of a language name or alias; raises UnknownLanguage with names that are near."""
    runtime = catalogue.find(name) if name in catalogue.names else None
    if runtime is None:
        near = did_you_mean(name, catalogue.names)
        raise UnknownLanguage(f"language: no such language{near}; GET /languages lists them")
    return runtime


def detected_runtime(catalogue: Catalogue, code: str) -> Runtime:
    """The runtime that the first line of `code` asks for; raises UnknownLanguage."""
    runtime = catalogue.detect(code)
    if runtime is None:
        *_, name = ("", *interpreter_names(code))
        near = did_you_mean(name, catalogue.interpreters)
        raise UnknownLanguage(
            "code: the first line must be a shebang of a supported language, like "
            f"#!/usr/bin/env python3{near}; or POST /execute with `language`, "
            "GET /languages lists them"
        )
    return runtime


def _utf8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{name}: must not contain lone surrogates") from None


def environment(variables: dict[str, str]) -> dict[str, str]:
    """`variables`, if a process can have them; raises BadRequest."""
    total = 0
    for name, value in variables.items():
        size = len(name) + len(_utf8(value, f"env.{name}")) + 1
        if "\0" in value:
            raise BadRequest(f"env.{name}: must not contain NUL")
        if size > MAX_VARIABLE_BYTES:
            raise BadRequest(f"env.{name}: must be at most {MAX_VARIABLE_BYTES} bytes")
        total += size
    if total > MAX_ENVIRONMENT_BYTES:
        raise BadRequest(f"env: must be at most {MAX_ENVIRONMENT_BYTES} bytes in all")
    return variables


def input_files(entries: Iterable[dict[str, str]]) -> tuple[InputFile, ...]:
    """Decoded files with safe relative paths; raises BadRequest naming the entry."""
    entries = tuple(entries)
    if sum(len(entry["content"]) for entry in entries) > MAX_BASE64_CHARACTERS:
        raise BadRequest(
            f"input_files: must be at most {MAX_BASE64_CHARACTERS} base64 characters together"
        )
    files = tuple(_input_file(number, entry) for number, entry in enumerate(entries))
    _check_paths([file.path for file in files])
    return files


_LINE_BREAKS = dict.fromkeys(map(ord, "\r\n"))
"""What programs that write base64 put in, 76 characters a line for instance."""


def _input_file(number: int, entry: dict[str, str]) -> InputFile:
    where = f"input_files[{number}]"
    path = _relative(entry["filename"], f"{where}.filename")
    try:
        content = base64.b64decode(entry["content"].translate(_LINE_BREAKS), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"{where}.content: must be base64") from None
    if len(content) > MAX_FILE_BYTES:
        raise BadRequest(f"{where}.content: must be at most {MAX_FILE_BYTES} bytes decoded")
    return InputFile(path, content)


def _relative(filename: str, where: str) -> str:
    """A path below the working directory: leading slashes and `.` parts are dropped."""
    if any(ord(character) < 0x20 or character == "\x7f" for character in filename):
        raise BadRequest(f"{where}: must not contain control characters")
    parts = [part for part in filename.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or filename.endswith("/"):
        raise BadRequest(f"{where}: must name a file below the working directory, without ..")
    if any(len(_utf8(part, where)) > MAX_NAME_BYTES for part in parts):
        raise BadRequest(f"{where}: each part must be at most {MAX_NAME_BYTES} bytes")
    return "/".join(parts)


def _check_paths(paths: list[str]) -> None:
    for number, path in enumerate(paths):
        where = f"input_files[{number}].filename"
        if path in paths[:number]:
            raise BadRequest(f"{where}: stands twice")
        if any(other.startswith(path + "/") for other in paths):
            raise BadRequest(f"{where}: is also the directory of another file")
