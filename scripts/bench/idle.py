"""How soon the emulator is ready, and what it takes of the machine when it only waits."""

import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from emulator.sandbox.engine import LABEL
from scripts.bench.bench import Bench
from scripts.bench.connection import Connection
from scripts.bench.emulator_process import emulator_process
from scripts.bench.report import Row, Sample

SETTLED_SECONDS = 5
"""How long the emulator may take to fill its pool and come to rest."""
MB = 1e6
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def start(bench: Bench) -> list[Row]:
    """From the process's start to `Ready.`, with the settings and the state that people have.

    The first start in a data directory, which makes what is in it, is not counted.
    """
    seconds = []
    with tempfile.TemporaryDirectory() as state:
        for _ in range(1 + bench.effort.repeats):
            with emulator_process(data_dir=f"{state}/data") as emulator:
                seconds.append(emulator.ready_seconds)
    sample = Sample("start", "s", seconds[1:])
    return [Row("start", "start to ready, images present, p50", sample.p50, "s", (sample,))]


def idle(bench: Bench) -> list[Row]:
    """What an idle emulator holds and does, and what each of its waiting containers holds."""
    with emulator_process() as emulator:
        time.sleep(SETTLED_SECONDS)
        before = _processor_seconds(emulator.pid)
        time.sleep(bench.effort.step_seconds)
        used = _processor_seconds(emulator.pid) - before
        share = Sample("of one", "%", [100 * used / bench.effort.step_seconds])
        process = Sample("PSS", "MB", [pss(emulator.pid) / MB])
        with Connection(emulator.api) as connection:
            pool = connection.get("/pools").document["pools"][0]["id"]
        containers = Sample("containers", "MB", held(bench, pool.partition("@")[2]))
    return [
        Row("memory-emulator", "idle emulator", process.p50, "MB", (process,)),
        Row("memory-container", "warm container, p50", containers.p50, "MB", (containers,)),
        Row("processor-idle", "idle emulator's processor time", share.p50, "%", (share,)),
    ]


def _processor_seconds(pid: int) -> float:
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def pss(pid: int) -> int:
    """Bytes of a process's memory, its part of what is shared with others included."""
    rollup = _text(Path(f"/proc/{pid}/smaps_rollup"))
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    if found is None:
        raise RuntimeError("this kernel does not tell the Pss of a process")
    return int(found[1]) * 1024


def held(bench: Bench, instance: str, kind: str | None = None) -> list[float]:
    """Megabytes that each container of an emulator holds, of one kind or of all."""
    labels = [f"{LABEL}={instance}", *([f"{LABEL}.runtime={kind}"] if kind else ())]
    api: Any = bench.engine.client.api
    found = api.containers(quiet=True, filters={"label": labels})
    return [_charged(api.inspect_container(it["Id"])["State"]["Pid"]) / MB for it in found]


def _charged(pid: int) -> int:
    """Bytes that a process's control group is charged for, page cache apart."""
    folder, usage, cache = _memory_group(pid)
    counts = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
    return int(_text(folder / usage)) - int(counts[cache])


def _memory_group(pid: int) -> tuple[Path, str, str]:
    """Where the kernel tells a process's memory, and by which names: version 1, else version 2."""
    lines = (line.split(":", 2) for line in _text(Path(f"/proc/{pid}/cgroup")).splitlines())
    paths = {controller: path.lstrip("/") for _, controller, path in lines}
    if "memory" in paths:
        return CONTROL_GROUPS / "memory" / paths["memory"], "memory.usage_in_bytes", "cache"
    return CONTROL_GROUPS / paths[""], "memory.current", "file"


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii")
