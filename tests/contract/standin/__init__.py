"""A server without containers that answers the operations which the emulator does not have yet.

It is a test double for the suite's own tests alone, so that the checks of services, snapshots,
images and logs are not untried code; it goes when the emulator has these operations. Of sessions it
has what snapshots are made of, and what other tests make and end.
State is a table of things in memory; commands run in a tiny shell of Python functions. It knows
nothing of the emulator: routes, aliases and the schemas of requests come from `openapi.yaml`.
"""

from tests.contract.standin.faults import FAULTS
from tests.contract.standin.server import StandIn, running

__all__ = ["FAULTS", "StandIn", "running"]
