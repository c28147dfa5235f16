"""What a run was: the first lines of every report."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["Header", "suite_version"]


@dataclass(frozen=True, slots=True)
class Header:
    """`contract` is the SHA-256 digest of openapi.yaml; `asked` says what part of the suite ran.

    `began` is in seconds since 1970, `seconds` the run's length.
    """

    target: str
    url: str
    real: bool
    profile: str
    effort: str
    strict: bool
    seed: int
    contract: str
    contract_version: str
    asked: str
    whole: bool
    began: float
    seconds: float
    suite: str

    @property
    def document(self) -> Mapping[str, Any]:
        """As JSON, times in UTC."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **values,
            "began": _moment(self.began),
            "ended": _moment(self.began + self.seconds),
            "seconds": round(self.seconds, 1),
        }


def suite_version() -> str:
    """The version of this suite; `unknown` when it runs without being installed."""
    try:
        return version("unsandbox-emulator")
    except PackageNotFoundError:
        return "unknown"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
