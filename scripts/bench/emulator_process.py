"""The emulator as people run it: a process of its own, with its own state, on free ports."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

END_SECONDS = 60


@dataclass(frozen=True)
class EmulatorProcess:
    """A ready emulator: its address, its process, and the seconds from start to `Ready.`."""

    api: str
    pid: int
    ready_seconds: float


@contextmanager
def emulator_process(**settings: str) -> Iterator[EmulatorProcess]:
    """Run `up` with these settings for the block; raises RuntimeError when it ends too soon."""
    with tempfile.TemporaryDirectory() as state:
        own = {"data_dir": f"{state}/data", "key_file": f"{state}/key", "ca_dir": f"{state}/ca"}
        ports = dict.fromkeys(("port", "tls_port", "admin_port"), "0")
        flags = {**own, **ports, "log_level": "warning", **settings}
        command = [sys.executable, "-m", "emulator.cli", "up"]
        for name, value in flags.items():
            command += [f"--{name.replace('_', '-')}", value]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            _line(process, "Ready.")
            ready_seconds = time.perf_counter() - began
            api = _line(process, "  API ").split()[-1]
            yield EmulatorProcess(api, process.pid, ready_seconds)
        finally:
            process.terminate()
            process.communicate(timeout=END_SECONDS)


def _line(process: "subprocess.Popen[str]", start: str) -> str:
    """The next printed line that begins with `start`."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    for line in process.stdout:
        if line.startswith(start):
            return line
    raise RuntimeError(f"the emulator ended with status {process.wait()} before it was ready")
