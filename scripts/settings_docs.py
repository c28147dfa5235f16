#!/usr/bin/env python3
"""Print docs/settings.md: the table of emulator/settings.py for people."""

from pathlib import Path

from emulator.settings import SETTINGS
from emulator.store.secrets import MASTER_KEY_VARIABLE

HEAD = """# Settings

Each is a flag of `unsandbox-emulator up` and an environment variable; the flag wins.
This page is written by `python -m scripts.settings_docs`.

| flag | variable | default | what it is |
|---|---|---|---|
"""

TAIL = f"""
`{MASTER_KEY_VARIABLE}` (no flag: secrets do not belong on command lines) is the
base64 form of the 32 bytes that encrypt stored secrets; it takes the place of the key file.
Docker is found as its own tools do: `DOCKER_HOST`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`, else
the local socket.
"""


def cell(default: object) -> str:
    if default in (None, (), ""):
        return ""
    text = str(default).replace(str(Path.home()), "~")
    return f"`{text.lower() if isinstance(default, bool) else text}`"


def page() -> str:
    rows = [
        f"| `{row.flag}` | `{row.variable}` | {cell(row.default())} | {row.help} |\n"
        for row in SETTINGS
    ]
    return HEAD + "".join(rows) + TAIL


if __name__ == "__main__":
    print(page(), end="")
