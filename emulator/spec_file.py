"""openapi.yaml as it is read: its bytes, and the document that they say."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import yaml


def load(path: Path, kept: Path | None = None) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a YAML file and its document.

    Parsing it takes as long as starting everything else, so with a folder `kept` the document is
    written there as JSON, under a name that holds the hash of the bytes.
    """
    text = path.read_bytes()
    if kept is None:
        return text, yaml.load(text, yaml.CSafeLoader)
    file = kept / f"{path.stem}-{hashlib.sha256(text).hexdigest()}.json"
    with suppress(OSError, msgspec.DecodeError):
        return text, msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    document: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    with suppress(OSError):  # a folder that cannot be written to costs time and nothing else
        _keep(document, file, f"{path.stem}-*.json")
    return text, document


def _keep(document: dict[str, Any], file: Path, others: str) -> None:
    """Put `document` in the place of earlier ones, whole or not at all."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    for old in file.parent.glob(others):
        old.unlink(missing_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    part.write_bytes(msgspec.json.encode(document))
    part.replace(file)
