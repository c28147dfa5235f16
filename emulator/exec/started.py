"""The emulator that `exec` starts: `up`, until no `exec` uses it any more.

Run as `python -m emulator.exec.started FLAGS...`.
"""

import fcntl
import os
import signal
import sys
import threading
from pathlib import Path

from emulator.cli import main, settings_of
from emulator.exec.tenancy import lock, lock_directory


def _end_when_alone(locks: Path) -> None:
    with lock(locks / "tenants", fcntl.LOCK_EX):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()  # who comes now waits for the lock, until this process has ended


def run(flags: list[str]) -> int:
    command = ["up", *flags]
    locks = lock_directory(settings_of(command))
    with lock(locks / "emulator", fcntl.LOCK_EX):
        threading.Thread(target=_end_when_alone, args=(locks,), daemon=True).start()
        return main(command)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
