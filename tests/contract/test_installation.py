"""The suite out of its wheel, in an environment that knows nothing of this checkout."""

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from contract.shards import families
from emulator.paths import ROOT

PACKED = ("pyproject.toml", "README.md", "LICENSE", "openapi.yaml", "contract", "emulator")
LOCKED = r"^([A-Za-z0-9_.-]+)==[^;]*$"
"""A package that every platform takes."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, folder / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    (made,) = (folder / "dist").glob("*.whl")
    return made


class Environment:
    """A virtual environment with the wheel, and packages that are installed here."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder)
        self.python = folder / "bin" / "python"
        (self.packages,) = folder.glob("lib/python*/site-packages")
        zipfile.ZipFile(wheel).extractall(self.packages)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.python), "-I", "-m", "contract.cli", *arguments]
        return subprocess.run(
            command, cwd=self.packages, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture
def environment(tmp_path: Path, wheel: Path) -> Environment:
    return Environment(tmp_path / "environment", wheel)


def test_with_the_extra_it_works_out_of_its_wheel(environment: Environment) -> None:
    (environment.packages / "extra.pth").write_text(f"{distribution('pytest').locate_file('')}\n")
    ran = environment.run("run", "--help")
    assert ran.returncode == 0, ran.stderr
    assert all(name in ran.stdout for name in families())
    nobody = environment.run("run", "--url", "http://127.0.0.1:9")
    assert nobody.returncode == 2
    assert "nothing answers at http://127.0.0.1:9" in nobody.stderr
    shipped = {file.relative_to(ROOT) for file in (ROOT / "contract").rglob("*") if file.is_file()}
    missing = {
        file
        for file in shipped
        if not (environment.packages / file).is_file() and "__pycache__" not in file.parts
    }
    assert missing == set()


def test_without_the_extra_it_says_what_to_install(environment: Environment) -> None:
    for name in re.findall(LOCKED, (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        link(name, environment.packages)
    ran = environment.run("run")
    assert ran.returncode == 2
    assert "pip install '.[contract]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def link(name: str, packages: Path) -> None:
    """Have one distribution of this environment in another one."""
    found = distribution(name)
    tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "bin")}
    for top in tops - {"__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(found.locate_file(top))))
