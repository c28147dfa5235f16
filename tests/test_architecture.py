"""Who may import whom, as ARCHITECTURE.md says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.paths import ROOT

ABOVE_THE_PARTS = (
    "ca",
    "exec",
    "api",
    "control",
    "app",
    "cli",
    "doctor",
    "injection",
    "keys",
    "life",
    "middleware",
    "up",
)
JOBS = ("jobs", "results", "runs")
FORBIDDEN = {
    "emulator/gateway": (*ABOVE_THE_PARTS, "store", "emulator", "auth", *JOBS),
    "emulator/sandbox": (*ABOVE_THE_PARTS, "gateway", "store", "emulator", "auth", *JOBS),
    "emulator/services": (*ABOVE_THE_PARTS, "gateway", "emulator", "auth", *JOBS),
    "emulator/sessions": (*ABOVE_THE_PARTS, "gateway", "emulator", "auth", *JOBS),
    "emulator/store": (*ABOVE_THE_PARTS, "sandbox", "emulator", "auth", *JOBS),
    "emulator/api": ("app", "ca", "exec", "cli", "doctor", "keys", "life", "up", "control"),
    "emulator/control": ("app", "ca", "exec", "cli", "doctor", "keys", "life", "up", "api"),
}


def modules(folder: str) -> Iterator[Path]:
    return (ROOT / folder).rglob("*.py")


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_layers_import_downwards_only(folder: str) -> None:
    wrong = {
        (str(module.relative_to(ROOT)), name)
        for module in modules(folder)
        for name in imported(module)
        for layer in FORBIDDEN[folder]
        if name == f"emulator.{layer}" or name.startswith(f"emulator.{layer}.")
    }
    assert wrong == set()


def test_the_contract_suite_knows_nothing_of_the_emulator() -> None:
    """And the emulator nothing of the suite, but how it explains signatures."""
    names = {"contract": "emulator", "emulator": "contract"}
    wrong = {
        (str(module.relative_to(ROOT)), name)
        for folder, other in names.items()
        for module in modules(folder)
        for name in imported(module)
        if name.split(".")[0] == other and not name.startswith("contract.explain")
    }
    assert wrong == set()


def test_no_language_is_named_in_the_program() -> None:
    """A language is a folder, never an `if`: `python` as a string would be one."""
    names = {folder.parent.name for folder in (ROOT / "runtimes").glob("*/runtime.toml")}
    wrong = {
        (str(module.relative_to(ROOT)), node.value)
        for module in modules("emulator")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names - {"c", "r", "d", "v", "scheme"}
    }
    assert wrong == set()
