"""Where the contract and the runtimes lie: beside the package, in a checkout or an image."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "openapi.yaml"
RUNTIMES = ROOT / "runtimes"
