"""What a network mode gives a sandbox, beside the loopback that every one has."""

from collections.abc import Mapping
from typing import Protocol

from emulator.sandbox.agent import Agent
from emulator.sandbox.relay import Relay

ZEROTRUST = "zerotrust"
SEMITRUSTED = "semitrusted"


class Network(Protocol):
    """One network mode."""

    environment: Mapping[str, str]
    """What programs find in their environment, unless their sender says otherwise."""

    async def require(self) -> None:
        """Return when programs can use it; raises Unavailable when they could not."""

    async def options(self, image: str) -> Mapping[str, object]:
        """What the engine is to give a container of a named image; EngineError or AgentError."""

    async def join(self, container_id: str, agent: Agent) -> Relay | None:
        """The ways out of a container that has been started; raises AgentError."""


class Zerotrust:
    """No way out at all."""

    environment: Mapping[str, str] = {}

    async def require(self) -> None:
        return

    async def options(self, image: str) -> Mapping[str, object]:
        del image
        return {}

    async def join(self, container_id: str, agent: Agent) -> None:
        del container_id, agent


def overlaid(defaults: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Both environments; what `own` sets in either case of its name has no default.

    Programs read `http_proxy` and `HTTP_PROXY`, and differ in which one wins.
    """
    taken = {name.lower() for name in own}
    kept = {name: value for name, value in defaults.items() if name.lower() not in taken}
    return {**kept, **own}
