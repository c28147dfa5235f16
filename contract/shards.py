"""The families of a run, each in a pytest process of its own."""

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contract import evidence, options
from contract.outcomes import Outcome
from contract.printable import printable
from contract.progress import Progress
from contract.redact import Redactor
from contract.state import caching

__all__ = [
    "FAMILIES",
    "METER",
    "Shard",
    "ended",
    "families",
    "in_parallel",
    "pytest_arguments",
    "pytest_command",
]

FAMILIES = Path(__file__).parent / "families"
FIRST, LAST = frozenset({"operations"}), frozenset({"authentication"})
"""What tells most by a request, each operation once, and what takes most of them: half a run's."""

METER = "meter.json"
"""The file beside the events in which the families of a run count what they use up."""

_POLL_SECONDS = 0.2
_PASSED, _FAILED, _NONE_FIT = 0, 1, 5
"""The exit statuses of a pytest that came to its end."""


def families() -> list[str]:
    """The names of all families: a module `test_NAME.py` or a folder NAME of such modules each.

    They are in the order of a run, which a small budget follows no further than it reaches.
    """
    folders = {file.parent.name for file in FAMILIES.glob("*/test_*.py")}
    found = folders | {file.stem.removeprefix("test_") for file in FAMILIES.glob("test_*.py")}
    return sorted(found, key=lambda name: (name in LAST, name not in FIRST, name))


def checks(family: str) -> str:
    """Where the checks of a family are, below FAMILIES."""
    return family if (FAMILIES / family).is_dir() else f"test_{family}.py"


def pytest_command(
    args: argparse.Namespace, test: str, *, seed: int | None, events: Path
) -> list[str]:
    """How pytest is started for a family's file, or for one test of it by its id."""
    return [
        *(sys.executable, "-m", "pytest"),
        # Other plugins are left out: pytest would compile all that belongs to them in its own way.
        *("--disable-plugin-autoload", "-p", "contract.plugin", "-p", "_hypothesis_pytestplugin"),
        *pytest_arguments(args, test, seed=seed, events=events),
    ]


def pytest_arguments(
    args: argparse.Namespace, test: str, *, seed: int | None, events: Path
) -> list[str]:
    """What pytest is told when it runs a family's file; options that `args` lacks are left out."""
    own = [
        *("-q", "-p", "no:cacheprovider"),
        *("-c", str(FAMILIES / "pytest.ini"), f"--rootdir={FAMILIES}"),
        str(FAMILIES / test),
        f"--contract-evidence={events}",
    ]
    if seed is not None:
        own.append(f"--hypothesis-seed={seed}")
    for option in options.OPTIONS:
        value = getattr(args, option.name.replace("-", "_"), None)
        if value is True:
            own.append(f"--contract-{option.name}")
        elif value not in (None, False):
            own.append(f"--contract-{option.name}={value}")
    return own


def ended(status: int, events: Path) -> bool:
    """Whether a pytest came to its end, and what it wrote down is what it says by its status.

    A failure before there is evidence, or after, would otherwise be no failure at all.
    """
    if not events.exists():
        return status in (_PASSED, _NONE_FIT)
    whole = failed = False
    for event in evidence.read([events]):
        whole = whole or event["event"] == "end"
        failed = failed or event.get("outcome") == Outcome.FAILED
    told = {_PASSED, _NONE_FIT, *([_FAILED] if failed else ())}
    return whole and status in told


@dataclass(slots=True)
class Shard:
    """One family: what it is started with, and where its events and its output go."""

    args: argparse.Namespace
    family: str
    seed: int
    folder: Path
    redactor: Redactor
    _listener: threading.Thread | None = field(default=None, init=False)

    @property
    def events(self) -> Path:
        return self.folder / f"{self.family}.jsonl"

    @property
    def output(self) -> Path:
        return self.folder / f"{self.family}.txt"

    def start(self) -> "subprocess.Popen[bytes]":
        command = pytest_command(self.args, checks(self.family), seed=self.seed, events=self.events)
        command += ["-k", self.args.only] if self.args.only else []
        command += ["-x"] if self.args.fail_fast else []
        command += [f"--contract-meter={self.folder / METER}", "--contract-fence"]
        # In a group of its own, it is told of an interrupt by `in_parallel` alone, and once.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=caching(),
            process_group=0,
        )
        self._listener = threading.Thread(target=self._listen, args=(process,))
        self._listener.start()
        return process

    def said(self) -> str:
        """All that pytest said, once it has ended."""
        if self._listener is not None:
            self._listener.join()
        return self.output.read_text(encoding="utf-8")

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        """Keep what pytest says, clean before it reaches the disk."""
        with process, self.output.open("w", encoding="utf-8") as output:
            for line in process.stdout or ():
                output.write(self.redactor.text(line.decode("utf-8", "replace")))


def in_parallel(shards: Sequence[Shard], jobs: int) -> Iterator[str]:
    """Run them, so many at once; the names of those that did not come to an end.

    When the block that asks is left early, those that run are interrupted, and waited for while
    they remove what they created; a second interrupt kills them.
    """
    waiting, running = list(shards), dict[str, tuple[Shard, subprocess.Popen[bytes], float]]()
    progress = Progress()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                shard = waiting.pop(0)
                running[shard.family] = (shard, shard.start(), time.monotonic())
            for family, (shard, process, began) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[family]
                said = shard.said()
                progress.erase()
                print(f"  {family:<16} {time.monotonic() - began:5.1f} s")
                if not ended(process.returncode, shard.events):
                    print(printable(said[-3000:]))
                    yield family
            progress.show({name: it[0].events for name, it in running.items()}, len(waiting))
            time.sleep(_POLL_SECONDS)
    finally:
        progress.erase()
        _stop([(shard, process) for shard, process, _ in running.values()])


def _stop(running: "Sequence[tuple[Shard, subprocess.Popen[bytes]]]") -> None:
    try:
        for _, process in running:
            process.send_signal(signal.SIGINT)
        for shard, process in running:
            process.wait()
            shard.said()
    finally:
        for _, process in running:
            process.kill()
            process.wait()
