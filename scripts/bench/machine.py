"""What the figures depend on: the machine, the kernel, the engine."""

import os
import platform
import time
from pathlib import Path
from typing import Any

from emulator import __version__
from emulator.sandbox.engine import Engine
from emulator.sandbox.limits import machine_memory


def facts(engine: Engine) -> dict[str, str]:
    """Names and values, in words; a load says that the machine was not the bench's alone."""
    version: Any = engine.client.version()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processors": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{machine_memory() / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Docker": str(version["Version"]),
        "Python": platform.python_version(),
        "emulator": __version__,
        "load before": f"{os.getloadavg()[0]:.1f} processes",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
