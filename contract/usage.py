"""What a request may use up, in vCPU-minutes: a table of operations.

The service publishes no price of a request: plans are flat, and what counts against them is
processors and time. So a request is charged for what it could use at most, by the limits of
openapi.yaml: `ttl` (60 s for executions, 3,600 s for sessions, where 0 is no limit) and `vcpu`.
What runs until it is removed is charged for an hour, and what takes up storage for one minute. A
target's `vcpu_minute_price` turns that into money.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from contract.exchange import Request

__all__ = ["USAGE", "vcpu_minutes"]

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """`seconds` when the request gives no `ttl`; `timed` says whether its `ttl` counts."""

    seconds: float
    timed: bool = False


_EXECUTION, _SESSION = Usage(60, timed=True), Usage(HOUR, timed=True)
_SERVICE, _STORED = Usage(HOUR), Usage(60)

USAGE: Mapping[str, Usage] = {
    "execute": _EXECUTION,
    "executeAsync": _EXECUTION,
    "run": _EXECUTION,
    "runAsync": _EXECUTION,
    "createSession": _SESSION,
    "boostSession": _SERVICE,
    "updateSession": _SERVICE,
    "createService": _SERVICE,
    "updateService": _SERVICE,
    "resizeService": _SERVICE,
    "spawnImage": _SERVICE,
    "cloneSnapshot": _SERVICE,
    "snapshotSession": _STORED,
    "snapshotService": _STORED,
    "createSnapshot": _STORED,
    "publishImage": _STORED,
    "publishImageAlias": _STORED,
    "cloneImage": _STORED,
    "generateImage": _STORED,
}
"""Every operation whose `x-contract` says that it costs."""


def vcpu_minutes(request: Request) -> float:
    """The most that a request can use up; 0 for what costs nothing, by `x-contract`."""
    operation = request.operation
    if operation is None or not operation.traits.costs:
        return 0.0
    usage = USAGE.get(operation.id, _SERVICE)
    given = _given(request)
    seconds = (_positive(given.get("ttl")) or usage.seconds) if usage.timed else usage.seconds
    return seconds / 60 * (_positive(given.get("vcpu")) or 1.0)


def _given(request: Request) -> Mapping[str, Any]:
    query = dict(parse_qsl(urlsplit(request.target).query))
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        body = {}
    return {**query, **body} if isinstance(body, dict) else query


def _positive(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < float("inf") else None
