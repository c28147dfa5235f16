"""The unsandbox.com API on one machine, over local Docker containers."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("unsandbox-emulator")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"
