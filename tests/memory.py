"""How much memory this process takes."""

from pathlib import Path

_PAGES_OF_A_MEBIBYTE = 256


def mebibytes() -> float:
    """Of this process, in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) / _PAGES_OF_A_MEBIBYTE
