"""Languages as data: each folder of `runtimes/` with a `runtime.toml` is one.

Names, extensions and interpreters are what the API knows of a language. A language with a `[run]`
table can be run by this version; the others are known, and told to be unavailable.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from emulator.sandbox.runtime import (
    ARTIFACTS_DIRECTORY,
    CODE_DIRECTORY,
    INPUT_DIRECTORY,
    CatalogueError,
    Runtime,
    RuntimeTest,
)
from emulator.sandbox.runtime_files import OrderFile, read, read_runtime
from emulator.sandbox.shebang import interpreter_names
from emulator.sandbox.shells import Shells

BASE = "base"
"""The image under those of all languages."""

__all__ = [
    "ARTIFACTS_DIRECTORY",
    "BASE",
    "CODE_DIRECTORY",
    "INPUT_DIRECTORY",
    "Catalogue",
    "CatalogueError",
    "Runtime",
    "RuntimeTest",
]


class Catalogue:
    """Every language, found by what clients call it."""

    def __init__(
        self, folder: Path, runtimes: Iterable[Runtime], shells: Shells, usual: Iterable[str] = ()
    ) -> None:
        self.folder = folder
        self._runtimes = {runtime.name: runtime for runtime in runtimes}
        self.shells = shells
        for runtime in self:
            self._check_images(runtime)
        self._usual = tuple(usual)
        self._names = self._index("name or alias", lambda it: (it.name, *it.aliases))
        self._extensions = self._index("extension", lambda it: it.extensions)
        self._interpreters = self._index("interpreter", lambda it: it.interpreters)
        self.shell_of_language = dict(self._shells_of_languages())

    @classmethod
    def load(cls, path: Path) -> "Catalogue":
        """Read the folder `runtimes/`.

        Raises:
            CatalogueError: a file is missing, no TOML, or breaks a rule.
        """
        lists = read(path / "catalogue.toml", OrderFile)
        order = lists.languages
        expectations = read(path / "tests.toml", dict[str, dict[str, object]])
        found = {file.parent.name: file for file in path.glob("*/runtime.toml")}
        for name in (*order, *lists.usual):
            if name not in found:
                raise CatalogueError(f"{path / 'catalogue.toml'}: languages: no folder {name}")
        names = [*order, *sorted(found.keys() - set(order))]
        shells = Shells.load(path / "shell" / "shells.toml")
        runtimes = [read_runtime(found[name], expectations) for name in names]
        return cls(path, runtimes, shells, lists.usual)

    def __iter__(self) -> Iterator[Runtime]:
        return iter(self._runtimes.values())

    def languages(self) -> list[str]:
        """Names in the documented order."""
        return list(self._runtimes)

    def aliases(self) -> dict[str, str]:
        """From alias to name."""
        return {alias: runtime.name for runtime in self for alias in runtime.aliases}

    def available(self) -> list[Runtime]:
        """Those that can be run."""
        return [runtime for runtime in self if runtime.available]

    def usual(self) -> list[Runtime]:
        """Those that are built and kept warm unless others are asked for."""
        return [self._runtimes[name] for name in self._usual]

    @property
    def names(self) -> Collection[str]:
        """Every name and alias."""
        return self._names.keys()

    @property
    def interpreters(self) -> Collection[str]:
        """Every name that a shebang may have."""
        return self._interpreters.keys()

    def with_wasm(self) -> list[str]:
        """Names of those that compile to WebAssembly too."""
        return [runtime.name for runtime in self.available() if runtime.wasm is not None]

    def find(self, name: str) -> Runtime | None:
        """By name or alias, spelled as documented: in lower case."""
        return self._names.get(name.strip())

    def for_file(self, file: str) -> Runtime | None:
        """By the extension of a file name."""
        return self._extensions.get(Path(file).suffix)

    def detect(self, code: str) -> Runtime | None:
        """By the shebang that `code` begins with."""
        found = (self._interpreters.get(name) for name in interpreter_names(code))
        return next(filter(None, found), None)

    def _shells_of_languages(self) -> Iterator[tuple[str, str]]:
        """Every name of a language that has a shell, unless it is the name of another shell."""
        for language, shell in self.shells.by_language():
            runtime = self._runtimes.get(language)
            if runtime is None:
                key = f"{self.folder / 'shell' / 'shells.toml'}: shells.{shell}.languages"
                raise CatalogueError(f"{key}: {language!r} is no language")
            for name in (runtime.name, *runtime.aliases):
                if self.shells.find(name) is None:
                    yield name, shell

    def _check_images(self, runtime: Runtime, below: tuple[str, ...] = ()) -> None:
        """An image is built on another one, and in the end on the base; and so is what it uses."""
        chain = (*below, runtime.name)
        for name in (runtime.image.parent, *runtime.image.uses):
            there = (self.folder / name / "Dockerfile").is_file()
            if name in chain or (runtime.available and not there):
                key = f"{runtime.folder / 'runtime.toml'}: image"
                raise CatalogueError(f"{key}: leads nowhere: {' -> '.join((*chain, name))}")
            if name in self._runtimes:
                self._check_images(self._runtimes[name], chain)

    def _index(self, what: str, keys: Callable[[Runtime], Iterable[str]]) -> dict[str, Runtime]:
        index: dict[str, Runtime] = {}
        for runtime in self:
            for key in keys(runtime):
                other = index.setdefault(key, runtime)
                if other is not runtime:
                    raise CatalogueError(f"{what} {key!r}: both {other.name} and {runtime.name}")
        return index
