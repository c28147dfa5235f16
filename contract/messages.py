"""JSON that comes beside answers: the frames of a WebSocket, the events of a stream."""

import json
from typing import Any

from contract.outcomes import ContractBroken
from contract.spec import Spec

__all__ = ["SHOWN", "document"]

SHOWN = 400
"""How many characters of what came are told."""


def document(spec: Spec, pointer: str, text: str) -> dict[str, Any]:
    """A message, parsed; raises ContractBroken where it does not fit the schema at `pointer`."""
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise ContractBroken("schema", f"a message is no JSON: {text[:SHOWN]!r}") from None
    fault = next(spec.validator(pointer).iter_errors(found), None)
    if fault is not None:
        raise ContractBroken("schema", f"{text[:SHOWN]}: {fault.message}")
    return found
