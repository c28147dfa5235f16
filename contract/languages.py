"""The languages of the contract, with what the suite knows of each: data (`languages.toml`)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CHEAP", "FILE", "LANGUAGES", "PATIENCE_SECONDS", "Language"]

FILE = Path(__file__).with_name("languages.toml")

PATIENCE_SECONDS = 600
"""How long a language may take that has to be made ready when it is first used."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its canonical name; languages.toml tells what the members mean."""

    name: str
    greeting: str
    line: str = ""
    prints: str = "42"
    interpreters: tuple[str, ...] = ()

    @property
    def interpreter(self) -> str:
        """The usual one; empty where there is none that a shebang could name."""
        return next(iter(self.interpreters), "")


def _read(file: Path) -> tuple[Mapping[str, Language], frozenset[str]]:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    found = {
        name: Language(name, **{**table, "interpreters": tuple(table.get("interpreters", ()))})
        for name, table in document["languages"].items()
    }
    return found, frozenset(document["cheap"])


LANGUAGES, CHEAP = _read(FILE)
"""Those of the file by name, and the names of those that a quick run takes."""
