"""The emulator as people run it: a process of its own, with its own state, on free ports."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

END_SECONDS = 60
_TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class EmulatorProcess:
    """A ready emulator: its address, its process, and the seconds from start to `Ready.`."""

    api: str
    pid: int
    ready_seconds: float


@contextmanager
def emulator_process(**settings: str) -> Iterator[EmulatorProcess]:
    """Run `up` with these settings for the block; raises RuntimeError when it ends too soon.

    It logs every request, as it does for people, but to a file.
    """
    with tempfile.TemporaryDirectory() as state, Path(state, "log").open("wb") as log:
        own = {"data_dir": f"{state}/data", "key_file": f"{state}/key", "ca_dir": f"{state}/ca"}
        ports = dict.fromkeys(("port", "tls_port", "admin_port"), "0")
        flags = {**own, **ports, **settings}
        command = [sys.executable, "-m", "emulator.cli", "up"]
        for name, value in flags.items():
            command += [f"--{name.replace('_', '-')}", value]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            if _line(process, "Ready.") is None:
                raise RuntimeError(f"the emulator ended too soon: {_tail(Path(log.name))}")
            ready_seconds = time.perf_counter() - began
            api = str(_line(process, "  API ")).split()[-1]
            yield EmulatorProcess(api, process.pid, ready_seconds)
        finally:
            process.terminate()
            process.communicate(timeout=END_SECONDS)


def _line(process: "subprocess.Popen[str]", start: str) -> str | None:
    """The next printed line that begins with `start`; None when there is none to come."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    return next((line for line in process.stdout if line.startswith(start)), None)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARACTERS:]
