"""`unsandbox-emulator exec` as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from emulator.paths import ROOT
from tests.server import Server

PYTHON = sys.executable


class Exec:
    """The command, for an emulator of these settings and a home directory of its own."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        home.mkdir(exist_ok=True)
        self.flags = flags

    def command(self, *program: str, key: str | None = None) -> list[str]:
        chosen = [] if key is None else ["--key", key]
        return [PYTHON, "-m", "emulator.cli", "exec", *self.flags, *chosen, "--", *program]

    def environment(self, **further: str) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.home), "PYTHONPATH": str(ROOT), **further}

    def run(
        self, *program: str, given: bytes = b"", key: str | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            self.command(*program, key=key),
            env=self.environment(**environment),
            input=given,
            capture_output=True,
            check=False,
            timeout=120,
        )

    def start(self, *program: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.command(*program),
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def for_server(server: Server, home: Path) -> Exec:
    """For an emulator that runs already."""
    chosen = server.emulator.settings
    return Exec(
        home,
        f"--admin-port={server.admin.rpartition(':')[2]}",
        f"--data-dir={chosen.data_dir}",
        f"--key-file={chosen.key_file}",
    )
