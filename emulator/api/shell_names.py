"""Names of shells in requests, and what is told of those that are none."""

from typing import TYPE_CHECKING

from emulator.api.call import Json
from emulator.errors import UnknownShell
from emulator.nearest import did_you_mean
from emulator.sandbox.runtimes import Catalogue

if TYPE_CHECKING:
    from emulator.emulator import Emulator


def check_shell(emulator: "Emulator", fields: Json) -> None:
    """Raise UnknownShell for a shell that is a text, but none of the names."""
    name = fields.get("shell")
    if isinstance(name, str):
        check_shell_name(emulator.catalogue, name)


def check_shell_name(catalogue: Catalogue, name: str) -> None:
    """Raise UnknownShell, which tells a language's shell, or names that are near."""
    shells = catalogue.shells
    if shells.find(name) is None:
        hint = _hint_of_language(catalogue, name) or did_you_mean(name, shells.names())
        raise UnknownShell(f"shell: no such shell{hint}; GET /shells lists shells and REPLs")


def _hint_of_language(catalogue: Catalogue, name: str) -> str:
    """What to say of the name of a language, if it is one."""
    runtime = catalogue.find(name) if name in catalogue.names else None
    if runtime is None:
        return ""
    of_language = dict(catalogue.shells.by_language())
    if runtime.name in of_language:
        return f": the one of {runtime.name} is {of_language[runtime.name]}"
    return f": {runtime.name} has none, these languages have one: {', '.join(sorted(of_language))}"
