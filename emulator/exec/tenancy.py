"""The emulator that `exec` uses: one that runs, else one that lives for as long as it is used.

Lock files in the data directory, which the kernel lets go whatever ends a process:

  starting   held while one is looked for and started, so that it is started once
  tenants    shared by every `exec`; an emulator that they started ends when it gets it alone
  emulator   held by such an emulator from its start to its end
"""

import fcntl
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from emulator.paths import ROOT
from emulator.settings import SettingError, Settings

POLL_SECONDS = 0.1
HANDOVER_SECONDS = 1.0
"""How long the last one waits for an emulator to see that it is not used any more."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """Where the emulator serves TLS, and the PEM of its authority."""

    host: str
    port: int
    certificate: bytes


def lock_directory(settings: Settings) -> Path:
    return settings.data_dir / "exec"


@contextmanager
def emulator_in_use(settings: Settings, flags: Sequence[str], report: Report) -> Iterator[Found]:
    """A ready emulator at the admin address of `settings`, for the block.

    Args:
        settings: what `flags` and the environment say.
        flags: settings for an emulator that has to be started.
        report: told what takes time.

    Raises:
        SettingError: none can be started, or something else answers at the address.
    """
    if settings.admin_port == 0:
        raise SettingError("exec finds an emulator by its admin port, which cannot be 0")
    locks = lock_directory(settings)
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock(locks / "tenants", fcntl.LOCK_SH) as tenants:
        with lock(locks / "starting", fcntl.LOCK_EX):
            runs = _readiness(settings) is not None
            process = None if runs else _start(settings, flags, report)
            _wait_until_ready(settings, process, report)
        yield _found(settings)
        is_last = _try(tenants, fcntl.LOCK_EX)
    if is_last:
        _wait_for_end(locks)


@contextmanager
def lock(path: Path, kind: int) -> Iterator[int]:
    """Wait for a lock on a file, made where it is missing; yields its handle."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, kind)
        yield handle
    finally:
        os.close(handle)


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(path: Path, kind: int) -> bool:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return _try(handle, kind)
    finally:
        os.close(handle)


def _wait_for_end(locks: Path) -> None:
    """Until an emulator that was started for `exec` has ended, or another `exec` uses it."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while not _is_free(locks / "emulator", fcntl.LOCK_SH):
        is_ending = not _is_free(locks / "tenants", fcntl.LOCK_SH)
        if not is_ending and time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)


def _log(settings: Settings) -> Path:
    return settings.data_dir / "logs" / "exec.log"


def _start(settings: Settings, flags: Sequence[str], report: Report) -> "subprocess.Popen[bytes]":
    """Start one out of reach of the terminal's signals; what it says goes to a file."""
    log = _log(settings)
    report(f"starting an emulator for as long as it is used; its log is {log}")
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "emulator.exec.started", *flags],
            env={**os.environ, "PYTHONPATH": search},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until_ready(
    settings: Settings, process: "subprocess.Popen[bytes] | None", report: Report
) -> None:
    told: list[str] = []
    while (state := _readiness(settings)) is None or state["status"] != "ready":
        if process is None and state is None:
            raise SettingError("the emulator ended before it was ready")
        if process is not None and process.poll() is not None:
            said = _log(settings).read_text(errors="replace").strip()
            raise SettingError(f"the emulator did not start:\n{said}")
        reasons = state["reasons"] if state else []
        if reasons != told:
            report("; ".join(told := reasons))
        time.sleep(POLL_SECONDS)


def _readiness(settings: Settings) -> dict[str, Any] | None:
    """What the emulator says of itself; None where nothing listens."""
    try:
        return _ask(settings, "/_emulator/ready", "status", "reasons")
    except ConnectionRefusedError:
        return None


def _found(settings: Settings) -> Found:
    answer = _ask(settings, "/_emulator/tls", "address", "certificate")
    address = urlsplit(answer["address"])
    return Found(str(address.hostname), int(address.port or 0), answer["certificate"].encode())


def _ask(settings: Settings, path: str, *fields: str) -> dict[str, Any]:
    """GET from the admin surface; raises SettingError when an answer lacks one of `fields`."""
    where = f"{settings.admin_host} port {settings.admin_port}"
    connection = http.client.HTTPConnection(settings.admin_host, settings.admin_port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise SettingError(f"what answers at {where} is no emulator ({error})") from None
    finally:
        connection.close()
    if not answer.keys() >= set(fields):
        raise SettingError(f"what answers at {where} is no emulator of this version")
    return answer
