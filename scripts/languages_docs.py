#!/usr/bin/env python3
"""Write docs/languages.md: what `runtimes/` says of each language, and what was measured of it.

The measured part is docs/languages.json, which `unsandbox-emulator runtimes test --all --json`
writes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emulator.paths import ROOT, RUNTIMES
from emulator.sandbox.runtimes import Catalogue, Runtime
from emulator.sandbox.shells import Shell

FILE = ROOT / "docs" / "languages.md"
MEASURED = ROOT / "docs" / "languages.json"

HEAD = """# Languages

The 42 languages of `GET /languages`. A few are built by `up` and kept warm (setting `languages`);
every other one is built on its first use, which a waiting job tells in its `message`, or
beforehand:

```sh
unsandbox-emulator runtimes list            # state and size of each image, and why one is missing
unsandbox-emulator runtimes build ruby go   # or --all
unsandbox-emulator runtimes test ruby go    # every test program, in both isolation modes
```

A language is a folder of `runtimes/`: a Dockerfile, `runtime.toml` and its test programs. What
Debian, PyPI and npm do not have is taken from the image of the language's makers (`official`);
where no registry gives that, executing answers 503 `RUNTIME_UNAVAILABLE` with the reason.

`hello` is the time of a whole execution on a machine with 2 cores, compiling included and nothing
cached: warm in a container that waits, cold in one that is started for it. Sizes are of whole
images; they share layers. There, `runtimes build --all` took 7 minutes and 10 GB of disk for all
but those that are listed below as not run, the image of shells included.

This page is written by `python -m scripts.languages_docs`.

| language | version | aliases | extensions | how it is run | wasm | image | warm hello | cold |
|---|---|---|---|---|---|---|---|---|
"""

NOT_RUN = """
Not run where the figures come from:

| language | why | what it needs |
|---|---|---|
"""

SHELLS = """
## Shells and REPLs

Those of `GET /shells`. Most are in one image, `shell`, with the tools that a person expects:
`unsandbox-emulator runtimes build shell` builds it, 1.3 GB in 4 minutes. What would be too large
there is in the image of its language. Clients may name a language in the place of its shell.

| shell | other names | language | command | image |
|---|---|---|---|---|
"""


def page(catalogue: Catalogue, measured: dict[str, Any]) -> str:
    """The whole page; `measured` is what the command wrote."""
    seen = {row["language"]: row for row in measured["languages"]}
    rows = "".join(_row(runtime, seen.get(runtime.name, {})) for runtime in catalogue)
    missing = "".join(_missing(catalogue, measured["not_run"]))
    shells = "".join(_shell(*named) for named in sorted(catalogue.shells.shells.items()))
    return HEAD + rows + (NOT_RUN + missing if missing else "") + SHELLS + shells


def _row(runtime: Runtime, seen: dict[str, Any]) -> str:
    cells = (
        runtime.name,
        seen.get("version", ""),
        ", ".join(runtime.aliases),
        " ".join(runtime.extensions),
        f"`{_commands(runtime)}`" if runtime.available else "",
        "yes" if runtime.wasm else "",
        f"{seen['image_bytes'] / 1e6:.0f} MB" if seen else "",
        f"{seen['warm_ms']:.0f} ms" if seen else "",
        f"{seen['cold_ms']:.0f} ms" if seen else "",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _commands(runtime: Runtime) -> str:
    facts = runtime.facts
    commands = (facts.compile, facts.command)
    return " && ".join(" ".join(words) for words in commands if words)


def _missing(catalogue: Catalogue, not_run: dict[str, str]) -> Iterator[str]:
    for name, reason in not_run.items():
        runtime = catalogue.find(name)
        official = runtime.image.official if runtime else None
        yield f"| {name} | {reason} | {f'`{official}`' if official else ''} |\n"


def _shell(name: str, shell: Shell) -> str:
    names, languages = ", ".join(shell.aliases), ", ".join(shell.languages)
    return f"| {name} | {names} | {languages} | `{' '.join(shell.command)}` | {shell.image} |\n"


def written(file: Path = MEASURED) -> str:
    """The page as it should be now."""
    return page(Catalogue.load(RUNTIMES), json.loads(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
