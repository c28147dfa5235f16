"""The programs that checks have a target run: data (`programs.toml`), by what they do."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.api import Api, member
from contract.languages import LANGUAGES
from contract.outcomes import NotRun, Rehearsed

__all__ = ["FILE", "Program", "Programs"]

FILE = Path(__file__).with_name("programs.toml")
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Program:
    """Source code; `interpreter` is what its shebang names, empty where there is none."""

    language: str
    code: str
    interpreter: str = ""

    @property
    def script(self) -> str:
        """With a shebang, for operations that find the language by it; raises NotRun."""
        if not self.interpreter:
            raise NotRun(f"{self.language} has no interpreter that a shebang could name")
        return f"#!{self.interpreter}\n{self.code}"


class Programs:
    """Those of the file, in the languages that a target lists and can run."""

    def __init__(self, api: Api, file: Path = FILE) -> None:
        self._table: Mapping[str, Mapping[str, str]] = tomllib.loads(
            file.read_text(encoding="utf-8")
        )
        self._api = api
        self._listed: frozenset[str] | None = None
        self._works: dict[str, bool] = {}

    def some(self, name: str) -> Program:
        """In the first language that runs; raises NotRun when there is none."""
        found = next(self._every(name), None)
        if found is None:
            known = ", ".join(self._table[name])
            raise NotRun(f"the target runs none of the languages that this needs: {known}")
        return found

    def every(self, name: str) -> list[Program]:
        """In each language that runs, at least one; raises NotRun when there is none."""
        return list(self._every(name)) or [self.some(name)]

    def runs(self, language: str) -> bool:
        """Whether the target lists a language and has it run a program that does nothing.

        In a dry run it is asked once, as in any other, and taken to do so from then on.
        """
        if self._listed is None:
            self._listed = self._languages()
        if language in self._listed and language not in self._works:
            self._works[language] = self._tried(language)
        return self._works.get(language, False)

    def _languages(self) -> frozenset[str]:
        try:
            return frozenset(member(self._api.call("listLanguages"), "languages"))
        except Rehearsed:
            self._listed = frozenset(self._table["nothing"])
            raise

    def _tried(self, language: str) -> bool:
        body = {"language": language, "code": self._table["nothing"][language]}
        try:
            answer = self._api.call("execute", json=body, expect=(200, _UNAVAILABLE))
        except Rehearsed:
            self._works[language] = True
            raise
        return answer.status != _UNAVAILABLE

    def _every(self, name: str) -> Iterator[Program]:
        for language, code in self._table[name].items():
            if self.runs(language):
                yield Program(language, code, LANGUAGES[language].interpreter)
